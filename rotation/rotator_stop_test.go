package rotation_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/rotationtest"
)

// stops takes steps, days apart too, and checks that each is refused and none deletes.
func (w *world) stops(r *rotation.Rotator, why string) {
	w.Helper()
	before := w.alive()
	for range 5 {
		_, err := r.Step(w.Context())
		if !errors.Is(err, rotation.ErrStopped) || !strings.Contains(err.Error(), why) {
			w.Fatalf("Step: %v, want ErrStopped with %q", err, why)
		}
		time.Sleep(10 * day)
	}
	if err := r.Health(); !errors.Is(err, rotation.ErrStopped) {
		w.Errorf("Health: %v, want ErrStopped", err)
	}
	for _, ask := range map[string]error{
		"Rotate": r.Rotate(w.Context()), "Rollback": r.Rollback(w.Context()),
		"ReplaceThenRevoke": r.ReplaceThenRevoke(w.Context()), "RevokeNow": r.RevokeNow(w.Context()),
	} {
		if !errors.Is(ask, rotation.ErrStopped) {
			w.Errorf("a request: %v, want ErrStopped", ask)
		}
	}
	if got := w.alive(); !slices.Equal(got, before) {
		w.Errorf("alive %q, want %q: nothing is to be deleted", got, before)
	}
}

var monthlyOptions = rotation.RotatorOptions{Schedule: rotation.Every(30*day, 0)}

// In every phase, a value that somebody else put into the store stops the
// rotator. Adopt takes it as it is, and rotations go on.
func TestThirdValue(t *testing.T) {
	for _, phase := range []rotation.Phase{"idle", "staged", "tested", "promoting", "draining", "revoking"} {
		t.Run(string(phase), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				r := w.rotator(&monthlyOptions)
				w.settle(r, rotation.PhaseIdle)
				if phase != rotation.PhaseIdle {
					w.until(r, phase)
				}
				theirs := w.service.NewKey("svc_1", "by hand", 0)
				w.set(theirs)
				w.stops(r, "none that this rotator knows")

				if err := r.Adopt(t.Context()); err != nil {
					t.Fatal(err)
				}
				if !w.told(rotation.RotationStopped) || !w.told(rotation.RotationAdopted) {
					t.Errorf("events %q", w.kinds())
				}
				before := w.alive()
				if s := w.status(r); !s.Current.Foreign || s.Current.Fingerprint != theirs.Fingerprint() {
					t.Errorf("the current key is %+v, want the adopted one", s.Current)
				} else if len(s.Reported) != len(before)-1 {
					t.Errorf("reported %+v, want every key of ours that is left", s.Reported)
				}
				if err := r.Rotate(t.Context()); err != nil {
					t.Fatal(err)
				}
				w.until(r, rotation.PhaseDraining)
				w.settle(r, rotation.PhaseIdle)
				if got := w.alive(); !slices.Contains(got, "by hand") || len(got) != len(before)+1 {
					t.Errorf("alive %q after another rotation, want %q and one more", got, before)
				}
			})
		})
	}
}

// Somebody changes the secret by hand and leaves the key id that was beside it,
// or the reverse; or deletes the value.
func TestPatchedByHand(t *testing.T) {
	for name, patch := range map[string]func(w *world, was *keyprovider.Key){
		"another secret, the old id": func(w *world, was *keyprovider.Key) {
			k, err := keyprovider.NewKey(w.service.NewKey("svc_1", "by hand", 0).Reveal(), was.Info())
			if err != nil {
				w.Fatal(err)
			}
			w.set(k)
		},
		"the old secret, another id": func(w *world, was *keyprovider.Key) {
			info := was.Info()
			info.ID = w.service.NewKey("svc_1", "by hand", 0).Info().ID
			k, err := keyprovider.NewKey(was.Reveal(), info)
			if err != nil {
				w.Fatal(err)
			}
			w.set(k)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				r := w.rotator(&monthlyOptions)
				w.until(r, rotation.PhaseIdle)
				w.until(r, rotation.PhaseDraining)
				patch(w, w.current())
				w.stops(r, "the store's value")
			})
		})
	}
}

// A store that was copied has a state that names another store, and a rotator
// of the copy does nothing; that of the original goes on.
func TestClonedStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		original := w.rotator(&monthlyOptions)
		w.settle(original, rotation.PhaseIdle)
		w.until(original, rotation.PhaseDraining)

		store := w.store
		w.store = store.Clone("copy")
		r := w.rotator(&monthlyOptions)
		w.stops(r, "another store")
		w.store = store
		w.settle(original, rotation.PhaseIdle)
		serves := w.current()

		// The copy is adopted: the keys of the original are none of its own.
		w.store = store.Clone("copy")
		r = w.rotator(&monthlyOptions)
		if err := r.Adopt(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.until(r, rotation.PhaseDraining)
		w.settle(r, rotation.PhaseIdle)
		if err := w.issuer.Probe(t.Context(), serves); err != nil {
			t.Errorf("the original's key: %v", err)
		}
	})
}

// The same document under another Domain option is another's.
func TestOtherDomainOption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.settle(w.rotator(&monthlyOptions), rotation.PhaseIdle)
		o := monthlyOptions
		o.Domain = "eu"
		w.stops(w.rotator(&o), "another Domain")
	})
}

// The whole store is restored from a copy that was made rotations ago.
func TestRestoredSnapshot(t *testing.T) {
	for _, phase := range []rotation.Phase{"idle", "staged", "draining", "revoking"} {
		t.Run(string(phase), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				r := w.rotator(&monthlyOptions)
				w.settle(r, rotation.PhaseIdle)
				if phase != rotation.PhaseIdle {
					w.until(r, phase)
				}
				restore := w.store.Snapshot()
				for range 2 {
					w.settle(r, rotation.PhaseIdle)
					w.until(r, rotation.PhaseStaged)
					w.settle(r, rotation.PhaseIdle)
				}
				serving := w.current()
				restore()
				before := w.alive()
				for range 20 {
					p, err := r.Step(t.Context())
					if errors.Is(err, rotation.ErrStopped) {
						break
					}
					time.Sleep(time.Until(p.Until))
				}
				if err := w.issuer.Probe(t.Context(), serving); err != nil {
					t.Errorf("the key that consumers may still have: %v", err)
				}
				if got := w.alive(); !slices.Equal(got, before) {
					t.Errorf("alive %q, want %q", got, before)
				}
				if err := r.Health(); err == nil {
					t.Error("Health is nil in a restored world")
				}
				if phase == rotation.PhaseIdle {
					w.stops(r, "restored")
				}
				w.set(serving)
				if err := r.Adopt(t.Context()); err != nil {
					t.Fatal(err)
				}
				w.until(r, rotation.PhaseDraining)
				w.settle(r, rotation.PhaseIdle)
				if err := r.Health(); err != nil {
					t.Errorf("Health after Adopt: %v", err)
				}
			})
		})
	}
}

// Two domains on one account do not see each other's keys, whatever happens.
func TestTwoDomains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		other := &world{T: t, service: w.service, issuer: w.issuer, store: rotationtest.NewMemory("other")}
		a, b := w.rotator(&monthlyOptions), other.rotator(&monthlyOptions)
		human := w.service.NewKey("svc_1", "keybearer/of-a-human", 0)
		for range 3 {
			w.until(a, rotation.PhaseStaged)
			other.until(b, rotation.PhaseStaged)
			w.settle(a, rotation.PhaseIdle)
			other.settle(b, rotation.PhaseIdle)
		}
		if n := len(w.alive()); n != 3 {
			t.Errorf("alive %q, want one of each domain and the human's", w.alive())
		}
		for _, k := range []*keyprovider.Key{w.current(), other.current(), human} {
			if err := w.issuer.Probe(t.Context(), k); err != nil {
				t.Errorf("%s: %v", k.Info().ID, err)
			}
		}
	})
}

// Somebody writes a state that points the admin key at what is not the
// rotator's, or at the key that serves.
func TestHostileStateDeletesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.rotator(&monthlyOptions)
		w.settle(r, rotation.PhaseIdle)
		w.until(r, rotation.PhaseDraining)
		time.Sleep(2 * day)
		victim := w.service.NewKey("svc_1", "billing", 0).Info().ID
		s := w.status(r)
		good, rev, err := w.store.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for name, replace := range map[string][]string{
			"garbage":               {string(good), "{"},
			"the victim's id":       {`"` + s.Former.ID + `"`, `"` + victim + `"`},
			"its id and name":       {`"` + s.Former.ID + `"`, `"` + victim + `"`, s.Former.Name, "billing"},
			"the keys exchanged":    {s.Former.ID, "X", s.Current.ID, s.Former.ID, "X", s.Current.ID},
			"the prints exchanged":  {s.Former.Fingerprint, "X", s.Current.Fingerprint, s.Former.Fingerprint, "X", s.Current.Fingerprint},
			"another store":         {`"memory:test"`, `"memory:prod"`},
			"another domain's root": {s.Domain, "00000000-" + s.Domain[9:]},
			"revoke at once":        {`"phase":"draining"`, `"phase":"revoking"`, s.Former.ID, "X", s.Current.ID, s.Former.ID, "X", s.Current.ID},
			"as an orphan":          {`"promoted_at"`, `"orphans":[{"id":"` + victim + `","name":"keybearer/` + s.Domain + `/1/7","rotation":1,"attempt":7,"fingerprint":""}],"promoted_at"`},
		} {
			doc := string(good)
			for i := 0; i < len(replace); i += 2 {
				if !strings.Contains(doc, replace[i]) {
					t.Fatalf("%s: the state has no %q", name, replace[i])
				}
				doc = strings.ReplaceAll(doc, replace[i], replace[i+1])
			}
			if _, err = w.store.SetState(t.Context(), []byte(doc), rev); err != nil {
				t.Fatal(err)
			}
			r := w.rotator(&monthlyOptions)
			for range 4 {
				p, _ := r.Step(t.Context())
				time.Sleep(min(time.Until(p.Until), time.Minute))
			}
			for _, k := range []string{victim, s.Current.ID} {
				if _, err := w.issuer.Inspect(t.Context(), k); err != nil {
					t.Errorf("%s: %s: %v", name, k, err)
				}
			}
			if _, rev, err = w.store.State(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}
