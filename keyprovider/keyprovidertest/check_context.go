package keyprovidertest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// Rule 4: with a context that is done, Fetch fails and says so.
func checkDoneBefore(tb testing.TB, h Harness) {
	p := h.open(tb)
	secret := p.store()
	held := p.mustFetch(secret).Version()
	for what, ctx := range p.DoneContexts() {
		for _, last := range []keyprovider.Version{"", held} {
			_, err := p.fetch(ctx, last)
			p.MustWrap(ctx, "Fetch "+what, err)
		}
	}
	p.mustFetch(secret)
}

// Rule 4: Fetch returns once its context is done, even if the store does not
// answer.
func checkDoneMeanwhile(tb testing.TB, h Harness) {
	p := h.open(tb)
	p.Need(p.place.Hang != nil, "the harness cannot make the store hang (Place.Hang)")
	secret := p.store()
	p.mustFetch(secret)
	release := sync.OnceFunc(p.place.Hang())
	defer release()
	moment := min(50*time.Millisecond, p.Patience/4)
	for _, last := range []keyprovider.Version{"", "keyprovidertest-no-such-version"} {
		expiring, stop := context.WithTimeout(p.Context(), moment)
		p.mustGiveUp(expiring, "Fetch past its deadline", last)
		stop()
		cancelled, cancel := context.WithCancel(p.Context())
		timer := time.AfterFunc(moment, cancel)
		p.mustGiveUp(cancelled, "Fetch cancelled meanwhile", last)
		timer.Stop()
		cancel()
	}
	release()
	p.mustFetch(secret)
}

// mustGiveUp fails the test unless a Fetch ends with its context.
func (p *probe) mustGiveUp(ctx context.Context, what string, last keyprovider.Version) {
	p.Helper()
	if _, err := p.fetch(ctx, last); err == nil || ctx.Err() == nil {
		p.Errorf("Fetch answered while the store hangs (%v): the provider caches, or Place.Hang does not work", err)
	} else {
		p.MustWrap(ctx, what, err)
	}
}

const callers = 64

// Rule 4: any number may fetch at one time, also while the key changes.
func checkConcurrent(tb testing.TB, h Harness) {
	p := h.open(tb)
	a, b := p.store(), NewSecret()
	held := p.mustFetch(a).Version()

	var fetching sync.WaitGroup
	for i := range callers {
		fetching.Go(func() {
			for n := range 4 {
				last := held
				if (i+n)%2 == 0 {
					last = ""
				}
				key, err := p.place.Provider.Fetch(p.Context(), last)
				switch {
				case err == nil && key == nil:
					p.Error("Fetch returned neither a key nor an error")
				case err == nil && key.Reveal() != a && key.Reveal() != b:
					p.Error("Fetch brought a secret that was never stored")
				case errors.Is(err, keyprovider.ErrNotModified) && last == "":
					p.Error("Fetch answered ErrNotModified to a caller that holds no version")
				case err != nil && !errors.Is(err, keyprovider.ErrNotModified):
					p.Errorf("Fetch beside others: %v", err)
				}
			}
		})
	}
	for _, secret := range []string{b, a, b, a} {
		p.set(secret, []byte(secret))
	}
	p.Within("Fetch by many at one time", fetching.Wait)
	p.mustFetch(a)
}

// Rule 4: calls are independent; the end of one caller's patience is not the
// end of another's.
func checkCancelOne(tb testing.TB, h Harness) {
	p := h.open(tb)
	secret := p.store()
	release := func() {}
	if p.place.Hang != nil {
		release = sync.OnceFunc(p.place.Hang()) // so that the calls overlap for certain
		defer release()
	}
	impatient, cancel := context.WithCancel(p.Context())
	var leaving, staying sync.WaitGroup
	for range 8 {
		leaving.Go(func() {
			if _, err := p.place.Provider.Fetch(impatient, ""); err != nil {
				p.MustWrap(impatient, "Fetch cancelled", err)
			}
		})
		staying.Go(func() {
			if key, err := p.place.Provider.Fetch(p.Context(), ""); err != nil {
				p.Errorf("Fetch beside others that are cancelled: %v", err)
			} else if key.Reveal() != secret {
				p.Error("Fetch brought another secret than the one stored")
			}
		})
	}
	cancel()
	p.Within("Fetch cancelled", leaving.Wait)
	release()
	p.Within("Fetch beside others that are cancelled", staying.Wait)
}
