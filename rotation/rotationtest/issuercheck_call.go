package rotationtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// issuerCall is one method of an Issuer, called with good arguments.
type issuerCall struct {
	name string
	call func(ctx context.Context) error
}

// unwanted is the name of keys that no check may find.
const unwanted = "keybearer/unwanted"

func (p *issuerProbe) calls(k *keyprovider.Key) []issuerCall {
	id := k.Info().ID
	return []issuerCall{
		{"List", func(ctx context.Context) error { _, err := p.issuer.List(ctx); return err }},
		{"Inspect", func(ctx context.Context) error { _, err := p.issuer.Inspect(ctx, id); return err }},
		{"Restrict", func(ctx context.Context) error {
			return p.issuer.Restrict(ctx, id, rotation.Restriction{Lifetime: lifetime / 2})
		}},
		{"Revoke", func(ctx context.Context) error { return p.issuer.Revoke(ctx, id) }},
		{"Issue", func(ctx context.Context) error { _, err := p.issuer.Issue(ctx, unwanted, lifetime); return err }},
		{"Probe", func(ctx context.Context) error { return p.issuer.Probe(ctx, k) }},
	}
}

// Obligation 1: with a context that is done, a call fails, says so, and changes
// nothing.
func checkIssuerDoneBefore(tb testing.TB, h IssuerHarness) {
	p := h.open(tb)
	k := p.mustIssue()
	before := p.mustInspect(k.Info().ID)
	for what, ctx := range p.DoneContexts() {
		for _, c := range p.calls(k) {
			var err error
			p.Within(c.name, func() { err = c.call(ctx) })
			p.vet(c.name, err)
			p.MustWrap(ctx, c.name+" "+what, err)
		}
	}
	p.mustSame("a key after calls with a context that is done", p.mustInspect(k.Info().ID), before)
	if found := p.named(unwanted); len(found) > 0 {
		p.Errorf("Issue with a context that is done made %d keys", len(found))
	}
}

// Obligation 1: a call returns once its context is done, even if the service
// does not answer.
func checkIssuerDoneMeanwhile(tb testing.TB, h IssuerHarness) {
	p := h.open(tb)
	p.Need(p.place.Hang != nil, "the harness cannot make the service hang (IssuerPlace.Hang)")
	k := p.mustIssue()
	release := sync.OnceFunc(p.place.Hang())
	defer release()
	for _, c := range p.calls(k) {
		ctx, stop := context.WithTimeout(p.Context(), min(50*time.Millisecond, p.Patience/4))
		var err error
		p.Within(c.name, func() { err = c.call(ctx) })
		p.vet(c.name, err)
		if err == nil || ctx.Err() == nil {
			p.Errorf("%s answered while the service hangs (%v): the issuer caches, or IssuerPlace.Hang does not work", c.name, err)
		} else {
			p.MustWrap(ctx, c.name, err)
		}
		stop()
	}
	release()
	p.eventually("the issuer does not work again after the service hung", func() error {
		_, err := p.list(p.Context())
		return err
	})
}

// Obligation 1: any number may call at one time.
func checkIssuerConcurrent(tb testing.TB, h IssuerHarness) {
	p := h.open(tb)
	shared := p.mustIssue()
	p.mustLive(shared)
	var calling sync.WaitGroup
	for i := range 8 {
		calling.Go(func() {
			k, err := p.issuer.Issue(p.Context(), fmt.Sprintf("keybearer/0123abcd-ef4567/%d/1", 1000+i), lifetime)
			if err != nil || k == nil {
				p.Errorf("Issue beside others: %v", err)
				return
			}
			p.Know(k.Reveal())
			for what, err := range map[string]error{
				"Probe":    p.issuer.Probe(p.Context(), shared),
				"Restrict": p.issuer.Restrict(p.Context(), k.Info().ID, rotation.Restriction{Lifetime: lifetime / 2}),
			} {
				if err != nil {
					p.Errorf("%s beside others: %v", what, err)
				}
			}
			if keys, err := p.issuer.List(p.Context()); err != nil || len(keys) < 2 {
				p.Errorf("List beside others: %d keys, %v", len(keys), err)
			}
			if err := p.issuer.Revoke(p.Context(), k.Info().ID); err != nil {
				p.Errorf("Revoke beside others: %v", err)
			}
		})
	}
	p.Within("calls by many at one time", calling.Wait)
	if n := len(p.mustList()); n < 1 {
		p.Errorf("List has %d keys, want the one that was not revoked", n)
	}
	p.mustInspect(shared.Info().ID)
}

// issuerClassCheck: a failure of the service is reported as its class, by every
// method but Probe, and changes nothing.
func issuerClassCheck(class error) func(testing.TB, IssuerHarness) {
	return func(tb testing.TB, h IssuerHarness) {
		p := h.open(tb)
		p.Need(p.place.Fail != nil, "the harness cannot make the service fail (IssuerPlace.Fail)")
		k := p.mustIssue()
		before := p.mustInspect(k.Info().ID)
		restore := p.place.Fail(class)
		p.Need(restore != nil, "the service has no failure that is "+class.Error())
		for _, c := range p.calls(k) {
			if c.name == "Probe" {
				continue
			}
			var err error
			p.Within(c.name, func() { err = c.call(p.Context()) })
			p.vet(c.name, err)
			if !errors.Is(err, class) {
				p.Errorf("%s: %v, want: %v", c.name, err, class)
			}
		}
		restore()
		p.mustSame("a key after calls that failed", p.mustInspect(k.Info().ID), before)
		if found := p.named(unwanted); len(found) > 0 {
			p.Errorf("Issue failed and made %d keys", len(found))
		}
	}
}

// lose loses the answer of one call, which takes effect.
func (p *issuerProbe) lose(what string, call func() error) {
	p.Helper()
	p.Need(p.place.Lose != nil, "the harness cannot lose answers (IssuerPlace.Lose)")
	restore := sync.OnceFunc(p.place.Lose())
	defer restore()
	err := call()
	restore()
	if definite(err) {
		p.Errorf("%s took effect, its answer was lost, and it says that it had none: %v", what, err)
	}
}

// Obligation 2, of Issue: one call makes one key, though its answer is lost.
func checkLostIssue(tb testing.TB, h IssuerHarness) {
	p := h.open(tb)
	name := p.name()
	p.lose("Issue", func() error {
		_, err := p.issue(p.Context(), name)
		if err == nil {
			p.Error("Issue returned a key though the service's answer was lost: it asked again")
		}
		return err
	})
	if found := p.named(name); len(found) != 1 {
		p.Errorf("Issue whose answer was lost made %d keys, want 1: whoever asks again makes orphans", len(found))
	}
}

// Obligation 2, of Revoke.
func checkLostRevoke(tb testing.TB, h IssuerHarness) {
	p := h.open(tb)
	k := p.mustIssue()
	p.Need(p.place.Lose != nil, "the harness cannot lose answers (IssuerPlace.Lose)")
	restore := sync.OnceFunc(p.place.Lose())
	defer restore()
	// Gone is what the caller wanted to hear: ErrNotFound is right here, too.
	if err := p.revoke(p.Context(), k.Info().ID); definite(err) && !errors.Is(err, keyprovider.ErrNotFound) {
		p.Errorf("Revoke took effect, its answer was lost, and it says that it had none: %v", err)
	}
	restore()
	_, err := p.inspect(p.Context(), k.Info().ID)
	p.mustBe("Inspect of a key that was revoked", err, keyprovider.ErrNotFound)
	p.mustBe("Revoke again", p.revoke(p.Context(), k.Info().ID), keyprovider.ErrNotFound)
}

// Obligation 2, of Restrict.
func checkLostRestrict(tb testing.TB, h IssuerHarness) {
	p := h.open(tb)
	k := p.mustIssue()
	p.lose("Restrict", func() error {
		return p.restrict(p.Context(), k.Info().ID, rotation.Restriction{Lifetime: lifetime / 2})
	})
	p.mustExpire(p.mustInspect(k.Info().ID), lifetime/2)
}

// mustExpire fails the test unless the key ends in about d.
func (p *issuerProbe) mustExpire(k rotation.IssuedKey, d time.Duration) {
	p.Helper()
	if left := time.Until(k.ExpiresAt); left < d-slack || left > d+slack {
		p.Errorf("the key ends in %v, want %v", left, d)
	}
}

// Used: the service tells of the use of a key, and of that key alone.
func checkUsed(tb testing.TB, h IssuerHarness) {
	p := h.open(tb)
	p.Need(p.place.Use != nil, "the harness cannot use a key (IssuerPlace.Use)")
	used, idle := p.mustIssue(), p.mustIssue()
	p.mustLive(used)
	for _, k := range []*keyprovider.Key{used, idle} {
		if at := p.mustInspect(k.Info().ID).LastUsedAt; k == idle && !at.IsZero() {
			p.Errorf("a key that was never used was used at %v", at)
		}
	}
	p.place.Use(used)
	if at := p.mustInspect(used.Info().ID).LastUsedAt; time.Since(at).Abs() > slack {
		p.Errorf("a key that was used now was used at %v", at)
	}
	if at := p.mustInspect(idle.Info().ID).LastUsedAt; !at.IsZero() {
		p.Errorf("a key that was never used was used at %v, after another one was", at)
	}
}
