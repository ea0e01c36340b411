package vaultstore

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

var described = keyprovider.Info{ID: "key_1", ServiceAccountID: "svc_1", RotationID: "d/7",
	CreatedAt: time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC), StatedExpiry: time.Date(2027, 2, 21, 8, 0, 0, 0, time.UTC)}

// From an empty store to a second key and back again.
func TestOneRotation(t *testing.T) {
	s, w := newStore(t, nil)
	w.CASRequired = true
	first, second := newKey(t, described), newKey(t, keyprovider.Info{ID: "key_2"})
	_, rev, err := s.Current(t.Context())
	if wantClass(t, err, keyprovider.ErrNotFound); rev != "" {
		t.Errorf("revision of nothing = %q, want none", rev)
	}
	must(t, s.Stage(t.Context(), first))
	if _, _, err := s.Current(t.Context()); !errors.Is(err, keyprovider.ErrNotFound) {
		t.Errorf("readers see a staged key: %v", err)
	}
	staged, err := s.Staged(t.Context())
	must(t, err)
	if info := staged.Info(); !staged.Equal(first) || info.ID != described.ID || info.RotationID != described.RotationID ||
		info.ServiceAccountID != described.ServiceAccountID || !info.CreatedAt.Equal(described.CreatedAt) || !info.StatedExpiry.Equal(described.StatedExpiry) {
		t.Errorf("staged = %v with %+v, want %v with %+v", staged, staged.Info(), first, described)
	}
	must(t, s.Promote(t.Context(), staged, ""))
	held, rev := current(t, s)
	if !held.Equal(first) || held.Info().ID != "key_1" {
		t.Errorf("current = %v with %+v, want %v", held, held.Info(), first)
	}
	must(t, s.Stage(t.Context(), second))
	must(t, s.Promote(t.Context(), second, rev))
	wantClass(t, s.Promote(t.Context(), second, rev), rotation.ErrConflict)
	if held, _ := current(t, s); !held.Equal(second) || held.Info().ServiceAccountID != "" {
		t.Errorf("current = %v with %+v, want %v and nothing of the first", held, held.Info(), second)
	}
	former, err := s.Former(t.Context(), first.Fingerprint())
	must(t, err)
	if !former.Equal(first) || former.Info().ID != "key_1" {
		t.Errorf("former = %v with %+v", former, former.Info())
	}
	_, rev = current(t, s)
	must(t, s.Promote(t.Context(), former, rev))
	if held, _ := current(t, s); !held.Equal(first) {
		t.Errorf("after the rollback: %v, want %v", held, first)
	}
	must(t, s.Unstage(t.Context(), second.Fingerprint()))
	_, err = s.Staged(t.Context())
	wantClass(t, err, keyprovider.ErrNotFound)
}

// What users keep beside the key is theirs; what describes the key goes with it.
func TestForeignFieldsStay(t *testing.T) {
	s, w := newStore(t, &Options{Field: "token"})
	w.Put(map[string]any{"token": "old-token", "org": "org-1", "limits": map[string]any{"rpm": 500}, "api_key": "of somebody else",
		"key_id": "key_old", "expires_at": "2026-12-01T00:00:00Z"})
	_, rev := current(t, s)
	k := newKey(t, keyprovider.Info{RotationID: "d/1"})
	must(t, s.Promote(t.Context(), k, rev))
	want := map[string]any{"token": k.Reveal(), "org": "org-1", "limits": map[string]any{"rpm": 500.0}, "api_key": "of somebody else", "rotation_id": "d/1"}
	if got := w.Versions[1].Data; !reflect.DeepEqual(got, want) {
		t.Errorf("stored fields = %v, want %v", maps.Keys(got), maps.Keys(want))
	}
}

// A version that is gone is a revision to promote from all the same.
func TestDeletedIsARevision(t *testing.T) {
	for name, remove := range map[string]func(*wire){
		"deleted":   func(w *wire) { w.Versions[0].Deleted = time.Now() },
		"destroyed": func(w *wire) { w.Versions[0].Destroyed = true },
	} {
		t.Run(name, func(t *testing.T) {
			s, w := newStore(t, nil)
			w.Put(map[string]any{"api_key": "first"})
			remove(w)
			_, rev, err := s.Current(t.Context())
			wantClass(t, err, keyprovider.ErrNotFound, name)
			k := newKey(t, keyprovider.Info{})
			wantClass(t, s.Promote(t.Context(), k, ""), rotation.ErrConflict)
			must(t, s.Promote(t.Context(), k, rev))
			if held, _ := current(t, s); !held.Equal(k) {
				t.Errorf("current = %v, want %v", held, k)
			}
		})
	}
}

// A secret deleted with its history counts from 1 again.
func TestMadeAnew(t *testing.T) {
	s, w := newStore(t, nil)
	w.Put(map[string]any{"api_key": "first"})
	_, rev := current(t, s)
	w.Versions[0].Created = w.Versions[0].Created.Add(time.Second)
	wantClass(t, s.Promote(t.Context(), newKey(t, keyprovider.Info{}), rev), rotation.ErrConflict)
	wantClass(t, s.Promote(t.Context(), newKey(t, keyprovider.Info{}), "x"), rotation.ErrConflict)
}

func TestFormerLooksBack(t *testing.T) {
	s, w := newStore(t, &Options{History: 4})
	var keys []*keyprovider.Key
	for range 6 {
		k := newKey(t, keyprovider.Info{})
		keys = append(keys, k)
		w.Put(map[string]any{"api_key": k.Reveal()})
	}
	w.Versions[3].Deleted, w.Versions[4].Data = time.Now(), map[string]any{"other": 1}
	for i, k := range keys {
		got, err := s.Former(t.Context(), k.Fingerprint())
		if found := i == 2 || i == 5; !found {
			wantClass(t, err, keyprovider.ErrNotFound)
		} else if err != nil || !got.Equal(k) {
			t.Errorf("Former of version %d = %v, %v", i+1, got, err)
		}
	}
	before := w.Count("GET secret/data/openai")
	_, err := s.Former(t.Context(), "nothing")
	if wantClass(t, err, keyprovider.ErrNotFound, "max_versions"); w.Count("GET secret/data/openai")-before != 4 {
		t.Errorf("reads = %d, want History = 4", w.Count("GET secret/data/openai")-before)
	}
}

// What aged out ends the search.
func TestFormerEndsWhereVersionsEnd(t *testing.T) {
	s, w := newStore(t, &Options{History: 100})
	for range 15 {
		w.Put(map[string]any{"api_key": newKey(t, keyprovider.Info{}).Reveal()})
	}
	before := w.Count("GET secret/data/openai")
	_, err := s.Former(t.Context(), "nothing")
	if wantClass(t, err, keyprovider.ErrNotFound); w.Count("GET secret/data/openai")-before != 11 {
		t.Errorf("reads = %d, want the 10 that are kept and one more", w.Count("GET secret/data/openai")-before)
	}
}

func TestStageAgainWritesNothing(t *testing.T) {
	s, w := newStore(t, nil)
	k := newKey(t, described)
	for range 3 {
		must(t, s.Stage(t.Context(), k))
	}
	if got := w.Count("PUT secret/data/openai.pending"); got != 1 {
		t.Errorf("writes = %d, want 1", got)
	}
	must(t, s.Stage(t.Context(), newKey(t, described)))
	if got := w.Count("PUT secret/data/openai.pending"); got != 2 {
		t.Errorf("writes = %d, want 2", got)
	}
}

// No version of the pending secret holds a key after Unstage, except for one
// that was staged behind its back.
func TestUnstageWipes(t *testing.T) {
	s, w := newStore(t, nil)
	first, second, late := newKey(t, described), newKey(t, described), newKey(t, described)
	must(t, s.Unstage(t.Context(), first.Fingerprint()))
	must(t, s.Stage(t.Context(), first))
	must(t, s.Stage(t.Context(), second))
	must(t, s.Unstage(t.Context(), first.Fingerprint()))
	if k, err := s.Staged(t.Context()); err != nil || !k.Equal(second) {
		t.Errorf("staged = %v, %v, want %v", k, err, second)
	}
	other := open(t, "secret/openai", &Options{Client: w.client(t)})
	w.Intercept = func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/destroy/") {
			w.Lock()
			w.Intercept = nil
			w.Unlock()
			must(t, other.Stage(t.Context(), late))
		}
		return false
	}
	// The request is read by then: the fake goes on with what it brought.
	must(t, s.Unstage(t.Context(), second.Fingerprint()))
	if k, err := s.Staged(t.Context()); err != nil || !k.Equal(late) {
		t.Errorf("staged = %v, %v, want %v", k, err, late)
	}
	must(t, s.Unstage(t.Context(), late.Fingerprint()))
	for _, v := range w.Others["openai.pending"] {
		if !v.Destroyed || v.Data != nil {
			t.Errorf("version %d still holds a key", v.Number)
		}
	}
	must(t, s.Stage(t.Context(), second)) // from a version that is no more
}

func TestState(t *testing.T) {
	s, w := newStore(t, nil)
	_, rev, err := s.State(t.Context())
	if wantClass(t, err, keyprovider.ErrNotFound); rev != "" {
		t.Errorf("revision = %q", rev)
	}
	document := []byte("{\n  \"phase\": \"idle\", \"n\": 12345678901234567890, \"text\": \"<é>\"}\n")
	rev, err = s.SetState(t.Context(), document, "")
	must(t, err)
	got, again, err := s.State(t.Context())
	if must(t, err); string(got) != string(document) || again != rev {
		t.Errorf("state = %q at %q, want %q at %q", got, again, document, rev)
	}
	_, err = s.SetState(t.Context(), []byte("{}"), "")
	wantClass(t, err, rotation.ErrConflict)
	for name, bad := range map[string][]byte{"none": nil, "no text": {0xff}, "too large": make([]byte, 16<<10+1)} {
		if _, err := s.SetState(t.Context(), bad, rev); !errors.Is(err, keyprovider.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = s.SetState(t.Context(), []byte(strings.Repeat("x", 16<<10)), rev)
	must(t, err)
	w.Others["openai.rotation"] = append(w.Others["openai.rotation"][:1:1], w.Others["openai.rotation"][1])
	w.Others["openai.rotation"][1].Data = map[string]any{"something": "else"}
	_, rev, err = s.State(t.Context())
	if wantClass(t, err, keyprovider.ErrInvalid, "no state"); rev == "" {
		t.Error("no revision to set it from")
	}
	w.Others["openai.rotation"][1].Destroyed = true
	_, _, err = s.State(t.Context())
	wantClass(t, err, keyprovider.ErrNotFound, "destroyed")
}

// One of sixteen gets through, each time.
func TestCompareAndSet(t *testing.T) {
	s, w := newStore(t, nil)
	w.Put(map[string]any{"api_key": "first"})
	for range 10 {
		_, rev := current(t, s)
		_, stateRev, _ := s.State(t.Context())
		var promoted, set atomic.Int32
		var wg sync.WaitGroup
		for range 16 {
			k := newKey(t, keyprovider.Info{})
			wg.Go(func() {
				count(t, &promoted, s.Promote(t.Context(), k, rev))
				_, err := s.SetState(t.Context(), []byte("{}"), stateRev)
				count(t, &set, err)
				if err := s.Stage(t.Context(), k); err != nil {
					t.Errorf("Stage: %v", err)
				}
			})
		}
		wg.Wait()
		if promoted.Load() != 1 || set.Load() != 1 {
			t.Errorf("promoted %d, set %d times from one revision", promoted.Load(), set.Load())
		}
	}
}

func count(t *testing.T, n *atomic.Int32, err error) {
	switch {
	case err == nil:
		n.Add(1)
	case !errors.Is(err, rotation.ErrConflict):
		t.Errorf("%v, want ErrConflict", err)
	}
}

func TestEndedContextAndClosed(t *testing.T) {
	s, w := newStore(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	before := w.Count("")
	for name, call := range calls(s, newKey(t, keyprovider.Info{})) {
		if err := call(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a context that is done: %v", name, err)
		}
	}
	must(t, s.Close())
	for name, call := range calls(s, newKey(t, keyprovider.Info{})) {
		if err := call(t.Context()); !errors.Is(err, keyprovider.ErrUnavailable) {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
	if got := w.Count(""); got != before {
		t.Errorf("requests = %d, want none", got-before)
	}
}

// calls are all that a store does.
func calls(s *Store, k *keyprovider.Key) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Current":  func(ctx context.Context) error { _, _, err := s.Current(ctx); return err },
		"Former":   func(ctx context.Context) error { _, err := s.Former(ctx, "x"); return err },
		"Stage":    func(ctx context.Context) error { return s.Stage(ctx, k) },
		"Staged":   func(ctx context.Context) error { _, err := s.Staged(ctx); return err },
		"Unstage":  func(ctx context.Context) error { return s.Unstage(ctx, "x") },
		"Promote":  func(ctx context.Context) error { return s.Promote(ctx, k, "") },
		"State":    func(ctx context.Context) error { _, _, err := s.State(ctx); return err },
		"SetState": func(ctx context.Context) error { _, err := s.SetState(ctx, []byte("{}"), ""); return err },
	}
}
