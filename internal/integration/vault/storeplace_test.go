package vault

import (
	"context"
	"errors"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/vault/api"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation/vaultstore"
)

// documented returns the rules of a policy as docs/vault.md shows them, for a
// mount of the test's own.
func documented(tb testing.TB, name, mount string) string {
	tb.Helper()
	page, err := os.ReadFile("../../../docs/vault.md")
	must(tb, err)
	found := regexp.MustCompile("(?s)```hcl\n# " + name + "\n(.*?)```").FindSubmatch(page)
	if found == nil {
		tb.Fatalf("docs/vault.md shows no policy %s", name)
	}
	return strings.ReplaceAll(string(found[1]), `"secret/`, `"`+mount+"/")
}

// A storePlace is a secret with the documented policies, on a mount that
// demands check-and-set, behind a gate.
type storePlace struct {
	tb     testing.TB
	mount  string
	policy string
	gate   *gate
	tokens struct{ rotator, reader string }
}

func newStorePlace(tb testing.TB) *storePlace {
	tb.Helper()
	p := &storePlace{tb: tb, mount: engine(tb, "kv2", unique("kv")), policy: unique("rotator"), gate: newGate(tb)}
	_, err := admin(tb).Logical().WriteWithContext(tb.Context(), p.mount+"/config", map[string]any{"cas_required": true})
	must(tb, err)
	p.grant(documented(tb, "openai-rotator", p.mount))
	p.tokens.rotator = token(tb, p.policy)
	reading := unique("reader")
	must(tb, admin(tb).Sys().PutPolicyWithContext(tb.Context(), reading, documented(tb, "openai-reader", p.mount)))
	p.tokens.reader = token(tb, reading)
	return p
}

// grant replaces the rotator's policy.
func (p *storePlace) grant(rules string) {
	p.tb.Helper()
	must(p.tb, admin(p.tb).Sys().PutPolicy(p.policy, rules))
}

func (p *storePlace) path() string { return p.mount + "/openai" }

// store makes a store that is to be closed by its user.
func (p *storePlace) store() *vaultstore.Store {
	p.tb.Helper()
	return p.storeOf(&vaultstore.Options{Address: p.gate.URL})
}

func (p *storePlace) storeOf(opts *vaultstore.Options) *vaultstore.Store {
	p.tb.Helper()
	opts.TokenFile = file(p.tb, p.tokens.rotator)
	s, err := vaultstore.New(p.tb.Context(), p.path(), opts)
	must(p.tb, err)
	return s
}

// A ferry carries every request over, also one whose caller has left: its write
// may land after that, here as on any network. The suite wants to know at once
// what a call that was broken off has done, so the next request waits for it.
type ferry struct {
	base http.RoundTripper
	mu   sync.Mutex
	late []chan struct{} // each closed when a write that was left behind has landed
}

func (f *ferry) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	late := slices.Clone(f.late)
	f.mu.Unlock()
	for _, landed := range late {
		select {
		case <-landed:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if r.Method != http.MethodPut {
		return f.base.RoundTrip(r)
	}
	type answer struct {
		resp *http.Response
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		resp, err := f.base.RoundTrip(r.Clone(context.WithoutCancel(r.Context())))
		answers <- answer{resp, err}
	}()
	select {
	case a := <-answers:
		return a.resp, a.err
	case <-r.Context().Done():
	}
	landed := make(chan struct{})
	f.mu.Lock()
	f.late = append(f.late, landed)
	f.mu.Unlock()
	go func() {
		defer close(landed)
		if a := <-answers; a.err == nil {
			_ = a.resp.Body.Close()
		}
	}()
	return nil, r.Context().Err()
}

// set stores fields as a person does.
func (p *storePlace) set(fields map[string]any) {
	p.tb.Helper()
	current := 0
	switch secret, err := admin(p.tb).KVv2(p.mount).GetMetadata(p.tb.Context(), "openai"); {
	case err == nil:
		current = secret.CurrentVersion
	case !errors.Is(err, api.ErrSecretNotFound):
		p.tb.Fatal(err)
	}
	_, err := admin(p.tb).KVv2(p.mount).Put(p.tb.Context(), "openai", fields, api.WithCheckAndSet(current))
	must(p.tb, err)
}

func (p *storePlace) fail(class error) (restore func()) {
	switch {
	case errors.Is(class, keyprovider.ErrDenied):
		p.grant(`path "nothing" { capabilities = ["read"] }`)
		return func() { p.grant(documented(p.tb, "openai-rotator", p.mount)) }
	case errors.Is(class, keyprovider.ErrUnavailable):
		must(p.tb, server.Seal(p.tb.Context()))
		return func() { must(p.tb, server.Unseal(p.tb.Context())) }
	}
	return nil
}

func mintedKey(tb testing.TB) *keyprovider.Key {
	tb.Helper()
	k, err := keyprovider.NewKey(keyprovidertest.NewSecret(), keyprovider.Info{ID: unique("key_")})
	must(tb, err)
	return k
}
