package workload

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/internal/oauthtest"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// counter is an exchange that takes a while and counts itself.
type counter struct {
	n    atomic.Int32
	take time.Duration
	life time.Duration
}

func (c *counter) exchange(ctx context.Context) (*keyprovider.Key, error) {
	c.n.Add(1)
	select {
	case <-time.After(c.take):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	r := &response{secret: keyprovidertest.NewSecret, expiresIn: c.life}
	return r.key(time.Now(), token{}, keyprovider.Info{})
}

// Any number of callers at one time costs two exchanges: that of the first, and
// one that began when all others had asked.
func TestCallersShareExchanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := newGate(), &counter{take: time.Second, life: time.Hour}
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				if _, err := g.fetch(t.Context(), "", time.Minute, c.exchange); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := c.n.Load(); got > 2 {
			t.Errorf("1000 callers cost %d exchanges, want 2", got)
		}
	})
}

// The end of the caller whose exchange it is fails no other.
func TestCallersEndIsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := newGate(), &counter{take: time.Second, life: time.Hour}
		impatient, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		go func() {
			if _, err := g.fetch(impatient, "", time.Minute, c.exchange); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the impatient caller: %v", err)
			}
		}()
		synctest.Wait()
		if key, err := g.fetch(t.Context(), "", time.Minute, c.exchange); err != nil || key == nil {
			t.Errorf("the caller behind: %v, %v", key, err)
		}
	})
}

// A Subject that never returns delays callers no longer than their contexts, or
// the timeout; and not for ever.
func TestHungSubject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, release := newGate(), make(chan struct{})
		hung := func(context.Context) (*keyprovider.Key, error) {
			<-release
			return nil, errors.New("too late")
		}
		began := time.Now()
		_, err := g.fetch(t.Context(), "", 10*time.Second, hung)
		if took := time.Since(began); !errors.Is(err, keyprovider.ErrUnavailable) || took != 10*time.Second || !strings.Contains(err.Error(), "no token within 10s") {
			t.Errorf("a hung exchange ended after %v with %v", took, err)
		}
		c := &counter{life: time.Hour}
		if _, err := g.fetch(t.Context(), "", 10*time.Second, c.exchange); err != nil {
			t.Errorf("the exchange after a hung one: %v", err)
		}
		g.pace.left = 1000
		g.pace.limit = 1000
		for range 2 * maxRunning {
			_, _ = g.fetch(t.Context(), "", time.Second, hung)
		}
		if got := len(g.running); got != maxRunning {
			t.Errorf("%d exchanges hang, want %d at most", got, maxRunning)
		}
		close(release)
		synctest.Wait()
		if _, err := g.fetch(t.Context(), "", time.Second, c.exchange); err != nil {
			t.Errorf("the exchange after all have returned: %v", err)
		}
	})
}

// Waiting callers share a failure, instead of failing one after the other.
func TestCallersShareFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		hang := func(ctx context.Context) (*keyprovider.Key, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		began := time.Now()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { _, _ = g.fetch(t.Context(), "", 10*time.Second, hang) })
		}
		wg.Wait()
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("50 callers of an endpoint that hangs took %v, want two timeouts", took)
		}
	})
}

func TestPace(t *testing.T) {
	now := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	p := pace{limit: burst, left: burst}
	take := func(want bool) {
		t.Helper()
		if err := p.take(now); (err == nil) != want {
			t.Errorf("take = %v, want allowed: %t", err, want)
		}
	}
	for range burst {
		take(true)
	}
	take(false)
	now = now.Add(refill - time.Second)
	take(false)
	now = now.Add(time.Second)
	take(true)
	take(false)
	taken := 0
	for range 3600 { // an hour, tried each second
		now = now.Add(time.Second)
		if p.take(now) == nil {
			taken++
		}
	}
	if taken != 120 {
		t.Errorf("%d exchanges in an hour, want 120", taken)
	}
	now = now.Add(24 * time.Hour)
	for range burst {
		take(true)
	}
	take(false)
}

// A token that is due is exchanged whatever the pace says.
func TestDueIsNotPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := newGate(), &counter{life: time.Minute}
		var last keyprovider.Version
		for range 100 {
			key, err := g.fetch(t.Context(), last, time.Second, c.exchange)
			if err != nil {
				t.Fatal(err)
			}
			last = key.Version()
			time.Sleep(time.Until(key.Info().RefreshAfter))
		}
		if got := c.n.Load(); got != 100 {
			t.Errorf("%d exchanges for 100 tokens that were due", got)
		}
		for range 1 + burst { // the first is due as well
			if _, err := g.fetch(t.Context(), "", time.Second, c.exchange); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := g.fetch(t.Context(), "", time.Second, c.exchange); !errors.Is(err, keyprovider.ErrUnavailable) {
			t.Errorf("the exchange after %d before their time: %v, want ErrUnavailable", burst, err)
		}
	})
}

// What the user's code panics with is not shown, and ends nothing.
func TestPanics(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	var nothing map[string]string
	for what, f := range map[string]Func{
		"panicked with a string": func(context.Context) (string, error) { panic(secret) },
		"nil map":                func(context.Context) (string, error) { nothing["a"] = secret; return "", nil },
	} {
		p := provide(t, &Options{IdentityProviderID: testProvider, ServiceAccountID: testAccount, Subject: f})
		_, err := p.Fetch(t.Context(), "")
		if !errors.Is(err, keyprovider.ErrUnavailable) || !strings.Contains(err.Error(), what) || keyprovidertest.Leaks(err.Error(), secret) {
			t.Errorf("Fetch: %v, want ErrUnavailable that says %q", err, what)
		}
	}
}

// The errors of a user's function have their classes, and their text stays out.
func TestFuncErrors(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	foreign := errors.New("cannot use " + secret)
	for name, test := range map[string]struct {
		err, class error
		says       string
	}{
		"any":     {foreign, keyprovider.ErrUnavailable, "cannot be had"},
		"classed": {errors.Join(keyprovider.ErrDenied, foreign), keyprovider.ErrDenied, "cannot be had"},
		"ours":    {fail(keyprovider.ErrNotFound, reason("the agent is not there")), keyprovider.ErrNotFound, "the agent is not there"},
	} {
		t.Run(name, func(t *testing.T) {
			subject := Func(func(context.Context) (string, error) { return "", test.err })
			p := provide(t, &Options{IdentityProviderID: testProvider, ServiceAccountID: testAccount, Subject: subject})
			_, err := p.Fetch(t.Context(), "")
			if keyprovider.Class(err) != test.class || !strings.Contains(err.Error(), test.says) || keyprovidertest.Leaks(err.Error(), secret) {
				t.Errorf("Fetch: %v, want %v with %q", err, test.class, test.says)
			}
			if test.err == foreign && !errors.Is(err, foreign) {
				t.Error("the cause is not wrapped")
			}
		})
	}
}

// The exchange passes no transport but one of its own, whatever the program has
// made the default.
func TestDefaultTransportIsNotTrusted(t *testing.T) {
	before := http.DefaultTransport
	t.Cleanup(func() { http.DefaultTransport = before })
	http.DefaultTransport = roundTripper(func(*http.Request) (*http.Response, error) {
		t.Error("the exchange went through the program's own default transport")
		return nil, io.EOF
	})
	idp := oauthtest.NewIssuer("https://idp.example")
	p := provide(t, &Options{IdentityProviderID: testProvider, ServiceAccountID: testAccount, Subject: Func(func(context.Context) (string, error) {
		return idp.Token(testSubject, audience, time.Hour), nil
	})})
	nowhere := oauthtest.NewNetwork(nil)
	defer nowhere.Close()
	p.client.Transport.(*http.Transport).DialContext = nowhere.Transport().DialContext
	if _, err := p.Fetch(t.Context(), ""); !errors.Is(err, keyprovider.ErrUnavailable) {
		t.Errorf("Fetch: %v", err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
