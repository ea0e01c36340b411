package rotationtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/conformance"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

// Obligation 7: Revoke ends the key of this id and no other, not even one of
// the same name.
func checkRevoke(tb testing.TB, h IssuerHarness) {
	p := h.open(tb)
	name := p.name()
	first, err := p.issue(p.Context(), name)
	p.must("Issue", err)
	twin, err := p.issue(p.Context(), name)
	p.must("Issue", err)
	other := p.mustIssue()
	var foreign string
	if p.place.Foreign != nil {
		foreign = p.place.Foreign()
	}
	p.must("Revoke", p.revoke(p.Context(), first.Info().ID))
	p.mustDie(first)
	_, err = p.inspect(p.Context(), first.Info().ID)
	p.mustBe("Inspect of a key that was revoked", err, keyprovider.ErrNotFound)
	if _, listed := p.mustList()[first.Info().ID]; listed {
		p.Error("List has a key that was revoked")
	}
	for _, k := range []*keyprovider.Key{twin, other} {
		p.mustInspect(k.Info().ID)
		p.mustLive(k)
	}
	if foreign != "" {
		p.mustInspect(foreign)
	}
}

// Obligation 7: what is not ours stays.
func checkRevokeForeign(tb testing.TB, h IssuerHarness) {
	p := h.open(tb)
	p.Need(p.place.Foreign != nil, "the harness cannot make a key of somebody else (IssuerPlace.Foreign)")
	id := p.place.Foreign()
	before := p.mustInspect(id)
	if before.Owned {
		p.Fatalf("the key of somebody else is Owned: %+v", before)
	}
	p.mustBe("Revoke of a key that is not owned", p.revoke(p.Context(), id), keyprovider.ErrDenied)
	p.mustSame("a key that is not owned, after Revoke", p.mustInspect(id), before)
}

// Obligation 7: a key that is gone is ErrNotFound.
func checkRevokeGone(tb testing.TB, h IssuerHarness) {
	p := h.open(tb)
	k, stays := p.mustIssue(), p.mustIssue()
	p.must("Revoke", p.revoke(p.Context(), k.Info().ID))
	for range 2 {
		p.mustBe("Revoke of a key that is gone", p.revoke(p.Context(), k.Info().ID), keyprovider.ErrNotFound)
	}
	for _, id := range []string{"key_no_such_key", "", ".", "../" + stays.Info().ID} {
		if err := p.revoke(p.Context(), id); !errors.Is(err, keyprovider.ErrNotFound) && !errors.Is(err, keyprovider.ErrInvalid) {
			p.Errorf("Revoke(%q): %v, want ErrNotFound", id, err)
		}
	}
	p.mustInspect(stays.Info().ID)
}

// Obligation 8: a new key is alive in the end, and asking changes nothing.
func checkProbeAlive(tb testing.TB, h IssuerHarness) {
	p := h.open(tb)
	k := p.mustIssue()
	before := p.mustInspect(k.Info().ID)
	p.mustLive(k)
	p.mustSame("a key after Probe", p.mustInspect(k.Info().ID), before)
	// From a store a key comes back without what only the issuer knew.
	bare, err := keyprovider.NewKey(k.Reveal(), keyprovider.Info{})
	p.must("NewKey", err)
	p.must("Probe of a key without Info", p.ask(p.Context(), bare))
}

// Obligation 8: a key that the service does not know is ErrDenied.
func checkProbeDead(tb testing.TB, h IssuerHarness) {
	p := h.open(tb)
	secret := keyprovidertest.NewSecret()
	p.Know(secret)
	never, err := keyprovider.NewKey(secret, keyprovider.Info{})
	p.must("NewKey", err)
	p.mustBe("Probe of a key that never was", p.ask(p.Context(), never), keyprovider.ErrDenied)
	k := p.mustIssue()
	p.mustLive(k)
	p.must("Revoke", p.revoke(p.Context(), k.Info().ID))
	p.mustDie(k)
}

// Obligation 8: where nothing is known of the key, Probe does not call it dead
// or alive.
func checkProbeDoubt(tb testing.TB, h IssuerHarness) {
	p := h.open(tb)
	p.Need(p.place.Doubt != nil, "the harness cannot make the service evasive (IssuerPlace.Doubt)")
	k := p.mustIssue()
	p.mustLive(k)
	restore := p.place.Doubt()
	if err := p.ask(p.Context(), k); err == nil || errors.Is(err, keyprovider.ErrDenied) {
		p.Errorf("Probe where nothing is known: %v, want neither nil nor ErrDenied", err)
	}
	restore()
	p.mustLive(k)
}

// UsageReader: requests are counted, from the time that is asked for.
func checkUsage(tb testing.TB, h IssuerHarness) {
	p := h.open(tb)
	reader, ok := p.issuer.(rotation.UsageReader)
	p.Need(ok, "the issuer is no rotation.UsageReader")
	p.Need(p.place.Use != nil, "the harness cannot use a key (IssuerPlace.Use)")
	used, idle := p.mustIssue(), p.mustIssue()
	p.mustLive(used)
	usage := func(k *keyprovider.Key) int64 {
		n, err := reader.Usage(p.Context(), k.Info().ID, k.Info().CreatedAt.Add(-time.Minute))
		p.vet("Usage", err)
		p.must("Usage", err)
		return n
	}
	before := usage(used)
	p.place.Use(used)
	p.eventually("usage is not counted", func() error {
		if n := usage(used); n <= before {
			return errors.New("no request more was counted")
		}
		return nil
	})
	if n := usage(idle); n != 0 {
		p.Errorf("a key that was never used made %d requests", n)
	}
	for what, ctx := range p.DoneContexts() {
		_, err := reader.Usage(ctx, used.Info().ID, time.Now())
		p.vet("Usage", err)
		p.MustWrap(ctx, "Usage "+what, err)
	}
}

// CredentialExpirer: the end of the issuer's credential does not depend on who
// asks.
func checkCredential(tb testing.TB, h IssuerHarness) {
	p := h.open(tb)
	expirer, ok := p.issuer.(rotation.CredentialExpirer)
	p.Need(ok, "the issuer is no rotation.CredentialExpirer")
	first, err := expirer.CredentialExpiry(p.Context())
	p.vet("CredentialExpiry", err)
	p.must("CredentialExpiry", err)
	again, err := expirer.CredentialExpiry(p.Context())
	p.must("CredentialExpiry", err)
	if !first.Equal(again) {
		p.Errorf("CredentialExpiry is %v, and was %v", again, first)
	}
	for what, ctx := range p.DoneContexts() {
		if _, err := expirer.CredentialExpiry(ctx); err != nil { // what is known needs no context
			p.vet("CredentialExpiry", err)
			p.MustWrap(ctx, "CredentialExpiry "+what, err)
		}
	}
}

// exercise makes the issuer go through all that the harness can do to it.
func (p *issuerProbe) exercise() {
	p.Helper()
	k := p.mustIssue()
	p.mustLive(k)
	p.mustList()
	p.must("Restrict", p.restrict(p.Context(), k.Info().ID, rotation.Restriction{Lifetime: lifetime / 2}))
	call := func(ctx context.Context) {
		for _, c := range p.calls(k) {
			p.Within(c.name, func() {
				if err := c.call(ctx); err != nil {
					p.Scan(c.name+"'s error", err)
				}
			})
		}
	}
	for _, ctx := range p.DoneContexts() {
		call(ctx)
	}
	for _, class := range classes {
		if p.place.Fail == nil {
			break
		}
		if restore := p.place.Fail(class); restore != nil {
			call(p.Context())
			restore()
		}
	}
	if p.place.Doubt != nil {
		restore := p.place.Doubt()
		_ = p.ask(p.Context(), k)
		restore()
	}
	_ = p.revoke(p.Context(), k.Info().ID)
	p.mustDie(k)
	if s, ok := p.issuer.(interface{ String() string }); ok {
		p.Scan("String", s.String())
	}
}

// checkIssuerOutput: printing the issuer shows no key.
func checkIssuerOutput(tb testing.TB, h IssuerHarness) {
	p := h.open(tb)
	p.exercise()
	p.ScanAll("the issuer", p.issuer)
}

// checkIssuerLog: the issuer logs no key.
func checkIssuerLog(tb testing.TB, h IssuerHarness) {
	logged := conformance.CatchLog(tb)
	p := h.open(tb)
	p.exercise()
	p.Scan("the log", logged.String())
}

// checkIssuerGoroutines: when the calls are over and the service is stopped, no
// goroutine is left.
func checkIssuerGoroutines(tb testing.TB, h IssuerHarness) {
	conformance.CountGoroutines(tb, h.Patience)
	h.open(tb).exercise()
}
