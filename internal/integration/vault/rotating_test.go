package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/keyprovider/vault"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/openaiadmin"
	"github.com/keybearer/keybearer/rotation/vaultstore"
)

// rotating is a key under rotation, from OpenAI's Admin API by way of Vault to
// callers of OpenAI: the stack is what its readers have, and the place what its
// rotators have.
type rotating struct {
	*stack
	place   *storePlace
	account string
	issuer  *openaiadmin.Issuer
	control *rotation.Rotator // reaches the server without a gate, and takes no steps

	stepped atomic.Int64 // steps that replicas have taken

	mu     sync.Mutex
	minted []string
}

func newRotating(t *testing.T) *rotating {
	t.Helper()
	place := newStorePlace(t)
	r := &rotating{place: place, stack: &stack{t: t, gate: newGate(t), mount: place.mount,
		openai: openaitest.New(&openaitest.Options{Admin: openaitest.AdminBehaviour{NewKeyDelay: 20 * time.Millisecond}})}}
	t.Cleanup(r.openai.Close)
	r.account = r.openai.AddAccount("bot")
	adminKey := r.openai.MintAdmin(openaitest.AdminMintOptions{Name: "rotator"})
	r.keys = append(r.keys, adminKey, place.tokens.rotator, place.tokens.reader)
	admin, err := rotation.NewSource(t.Context(), keyprovidertest.Static(adminKey), &rotation.SourceOptions{Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() { _ = admin.Close() })
	r.issuer, err = openaiadmin.New(admin, &openaiadmin.Options{
		Project: "proj_keybearer", ServiceAccount: r.account, Scopes: []string{openaitest.ScopeModelRequest},
		Origin: r.openai.Origin(), Base: r.openai.Transport(), Timeout: time.Second, Logger: r.logger(),
	})
	must(t, err)
	r.control, _ = r.rotator(server.Addr, "control")
	return r
}

func (r *rotating) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// rotator makes one, as a process that starts does. What is an hour and more
// elsewhere is 60 ms here.
func (r *rotating) rotator(addr, holder string) (*rotation.Rotator, func()) {
	r.t.Helper()
	// The name is not the gate's: rotators of one secret reach it in many ways.
	s, err := vaultstore.New(r.t.Context(), r.place.path(), &vaultstore.Options{Address: addr, Server: "vault.test", TokenFile: file(r.t, r.place.tokens.rotator)})
	must(r.t, err)
	rotator, err := rotation.NewRotator(exact{r.issuer, r}, s, &rotation.RotatorOptions{
		Schedule: rotation.Every(time.Hour), // what is due before that is asked for
		Overlap:  60 * time.Millisecond, Quiet: 60 * time.Millisecond, TestFor: 30 * time.Second,
		Lease: 200 * time.Millisecond, CallTimeout: time.Second, Holder: holder, Logger: r.logger(),
	})
	must(r.t, err)
	return rotator, func() { _ = s.Close() }
}

// exact is the issuer, with the last use of a key to the microsecond. The Admin
// API tells whole seconds, which is no matter where one waits for an hour
// without a call, and hides a call where one waits for 60 ms. For the same reason
// it does not count requests, which the API does by the minute.
type exact struct {
	rotation.Issuer
	r *rotating
}

func (e exact) Inspect(ctx context.Context, id string) (rotation.IssuedKey, error) {
	k, err := e.Issuer.Inspect(ctx, id)
	for _, known := range e.r.openai.Keys() {
		if known.ID == id {
			k.LastUsedAt = known.LastUsedAt
		}
	}
	return k, err
}

func (e exact) Issue(ctx context.Context, name string, lifetime time.Duration) (*keyprovider.Key, error) {
	k, err := e.Issuer.Issue(ctx, name, lifetime)
	if err == nil {
		e.r.mu.Lock()
		e.r.minted = append(e.r.minted, k.Reveal())
		e.r.mu.Unlock()
	}
	return k, err
}

// read puts readers on the secret.
func (r *rotating) read() {
	r.t.Helper()
	provider, err := vault.New(r.t.Context(), r.place.path(), &vault.Options{Address: r.gate.URL, TokenFile: file(r.t, r.place.tokens.reader), DisableWatch: true})
	must(r.t, err)
	r.connect(provider, 20*time.Millisecond)
}

// number is how many rotations there were, and whether the last has ended.
func (r *rotating) number() (n int, ended bool) {
	status, err := r.control.Status(context.WithoutCancel(r.t.Context()))
	if err != nil { // sealed, say
		return 0, false
	}
	_, text, _ := strings.Cut(status.Rotation, "/")
	n, _ = strconv.Atoi(text)
	return n, status.Phase == rotation.PhaseIdle && status.Request == ""
}

// finish takes the steps of one rotator until nothing is left to do.
func (r *rotating) finish() {
	r.t.Helper()
	rotator, done := r.rotator(server.Addr, "last")
	defer done()
	eventually(r.t, "the end of the rotation", func() bool {
		p, err := rotator.Step(context.WithoutCancel(r.t.Context()))
		_, ended := r.number()
		return err == nil && ended && p.Did == ""
	})
}

// live are the keys of the account that OpenAI lets in.
func (r *rotating) live() (live []openaitest.Key) {
	for _, k := range r.openai.Keys() {
		if k.ServiceAccountID == r.account && k.RevokedAt.IsZero() {
			live = append(live, k)
		}
	}
	return live
}

// inspect checks what must be true after any rotation: the callers noticed
// nothing, the key that the store names is the only one that lives, nothing is
// staged, and no secret is anywhere else.
func (r *rotating) inspect() {
	t := r.t
	t.Helper()
	r.keys = append(r.keys, r.minted...)
	r.check()
	s := r.place.store()
	defer s.Close()
	current, _, err := s.Current(t.Context())
	must(t, err)
	switch live := r.live(); {
	case len(live) != 1:
		t.Errorf("keys alive at the end = %+v, want one", live)
	case live[0].ID != current.Info().ID:
		t.Errorf("the store names the key %q, the one alive is %q", current.Info().ID, live[0].ID)
	}
	_, err = s.Staged(t.Context())
	wantClass(t, err, keyprovider.ErrNotFound)
	status, err := r.control.Status(t.Context())
	must(t, err)
	if len(status.Orphans) > 0 || len(status.Reported) > 0 || status.Current == nil || status.Current.Fingerprint != current.Fingerprint() {
		t.Errorf("status = %+v, want no orphan, nothing reported, and the current key %s", status, current.Fingerprint())
	}
	r.inspectStored()
}

// inspectStored looks through every version that Vault keeps of the state, and
// of what was staged.
func (r *rotating) inspectStored() {
	t := r.t
	t.Helper()
	kv := admin(t).KVv2(r.mount)
	for _, name := range []string{"openai.rotation", "openai.pending"} {
		versions, err := kv.GetVersionsAsList(t.Context(), name)
		must(t, err)
		for _, v := range versions {
			secret, err := kv.GetVersion(t.Context(), name, v.Version)
			if err != nil {
				continue // aged out
			}
			if shown, _ := json.Marshal(secret.Data); keyprovidertest.Leaks(string(shown), r.keys...) {
				t.Errorf("version %d of %s holds a secret", v.Version, name)
			}
		}
	}
}

// One rotation from an empty store on, and back again.
func TestRotation(t *testing.T) {
	r := newRotating(t)
	r.finish() // there is no key yet: the first one is minted
	r.read()
	stop := r.load()
	defer stop()
	first := r.live()[0]
	if !strings.HasPrefix(first.Name, "keybearer/") || first.ExpiresAt.IsZero() || fmt.Sprint(first.Scopes) != fmt.Sprint([]string{openaitest.ScopeModelRequest}) {
		t.Errorf("the first key = %+v, want a name of ours, an end, and its scope", first)
	}
	must(t, r.control.Rotate(t.Context()))
	r.finish()
	r.settle()
	r.inspect()
	second := r.live()[0]
	if second.ID == first.ID || second.Requests == 0 {
		t.Errorf("after the rotation %q serves, before it %q", second.ID, first.ID)
	}

	// What somebody else puts there is not touched, and nothing is revoked.
	mine := r.openai.Mint(openaitest.MintOptions{ServiceAccountID: r.account, Name: "by hand"})
	r.place.set(map[string]any{"api_key": mine})
	must(t, r.control.Rotate(t.Context()))
	rotator, done := r.rotator(r.place.gate.URL, "second")
	defer done()
	eventually(t, "the rotator stops", func() bool {
		p, _ := rotator.Step(t.Context())
		return p.Phase == rotation.PhaseStopped
	})
	if live := r.live(); len(live) != 2 {
		t.Errorf("keys alive = %+v, want both", live)
	}
	stop()
	r.check()
}
