package rotation_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

func TestColdStart(t *testing.T) {
	for _, test := range []struct {
		name  string
		steps []keyprovidertest.Step
		class error
		took  [2]time.Duration // least and most
	}{
		{"at once", nil, nil, [2]time.Duration{0, 0}},
		{"unavailable twice", []keyprovidertest.Step{{Err: keyprovider.ErrUnavailable}, {Err: keyprovider.ErrUnavailable}}, nil, [2]time.Duration{time.Second, 5 * time.Second}},
		{"unclassified error", []keyprovidertest.Step{{Err: errors.New("boom")}}, nil, [2]time.Duration{time.Second, 2 * time.Second}},
		{"panic", []keyprovidertest.Step{{Panic: "boom"}}, nil, [2]time.Duration{time.Second, 2 * time.Second}},
		{"denied", []keyprovidertest.Step{{Err: keyprovider.ErrDenied}}, keyprovider.ErrDenied, [2]time.Duration{0, 0}},
		{"not found", []keyprovidertest.Step{{Err: keyprovider.ErrNotFound}}, keyprovider.ErrNotFound, [2]time.Duration{0, 0}},
		{"invalid", []keyprovidertest.Step{{Err: keyprovider.ErrInvalid}}, keyprovider.ErrInvalid, [2]time.Duration{0, 0}},
		{"not modified", []keyprovidertest.Step{{Err: keyprovider.ErrNotModified}}, keyprovider.ErrInvalid, [2]time.Duration{0, 0}},
		{"slow", []keyprovidertest.Step{{Delay: 3 * time.Second}}, nil, [2]time.Duration{3 * time.Second, 3 * time.Second}},
		{"hung once", []keyprovidertest.Step{{Delay: time.Hour}}, nil, [2]time.Duration{10 * time.Second, 12 * time.Second}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				secret := keyprovidertest.NewSecret()
				fake := keyprovidertest.NewFake(secret)
				fake.Next(test.steps...)
				began := time.Now()
				source, err := rotation.NewSource(t.Context(), fake, quiet(rotation.SourceOptions{}))
				took := time.Since(began)
				if took < test.took[0] || took > test.took[1] {
					t.Errorf("took %v, want %v to %v", took, test.took[0], test.took[1])
				}
				if test.class != nil {
					if !errors.Is(err, test.class) {
						t.Errorf("got %v, want %v", err, test.class)
					}
				} else if err != nil {
					t.Errorf("got %v, want a source", err)
				} else {
					holds(t, source, secret)
					source.Close()
				}
				if got := fake.Closes(); got != 1 {
					t.Errorf("the provider was closed %d times, want once", got)
				}
			})
		})
	}
}

func TestColdStartEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := keyprovidertest.NewFake("")
		fake.Fail(keyprovider.ErrUnavailable)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		_, err := rotation.NewSource(ctx, fake, quiet(rotation.SourceOptions{}))
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, keyprovider.ErrUnavailable) {
			t.Errorf("got %v, want the context's error and the last fetch's", err)
		}
		if n := fake.Fetches(); n < 4 || n > 20 {
			t.Errorf("%d fetches in 30 s, want a few", n)
		}
		if fake.Closes() != 1 {
			t.Error("a NewSource that fails must close the provider")
		}
	})
}

// A provider that ignores the end of its context costs NewSource as long as it
// costs Close.
func TestColdStartWithDeafProvider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := keyprovidertest.NewFake("")
		fake.Next(keyprovidertest.Step{Delay: time.Hour, Deaf: true})
		began := time.Now()
		_, err := rotation.NewSource(expiring(t, time.Second), fake, quiet(rotation.SourceOptions{}))
		if !errors.Is(err, context.DeadlineExceeded) || fake.Closes() != 1 {
			t.Errorf("got %v with the provider closed %d times, want the context's error, and once", err, fake.Closes())
		}
		if took := time.Since(began); took != 6*time.Second {
			t.Errorf("took %v, want the context's second and the five of Close", took)
		}
		wait(2 * time.Hour) // the deaf fetch returns
	})
}

func TestColdStartWithExpiredKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := keyprovidertest.NewFake("")
		fake.SetKey(keyprovidertest.NewSecret(), keyprovider.Info{ExpiresAt: time.Now().Add(-time.Second)})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := rotation.NewSource(ctx, fake, quiet(rotation.SourceOptions{}))
		if !errors.Is(err, keyprovider.ErrExpired) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want ErrExpired and the context's error", err)
		}
		if n := fake.Fetches(); n < 2 {
			t.Errorf("%d fetches, want a retry", n)
		}
	})
}

func TestNewSourceNeedsProvider(t *testing.T) {
	for name, p := range map[string]keyprovider.KeyProvider{
		"nil":         nil,
		"nil pointer": (*keyprovidertest.Fake)(nil), // whose constructor's error was not looked at
		"nil func":    keyprovider.Func(nil),
	} {
		if _, err := rotation.NewSource(t.Context(), p, nil); !errors.Is(err, keyprovider.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
}

func TestProviderThatGivesNoSecret(t *testing.T) {
	for name, k := range map[string]*keyprovider.Key{"nil": nil, "zero": {}} {
		_, err := rotation.NewSource(t.Context(), keyprovider.Func(func(context.Context, keyprovider.Version) (*keyprovider.Key, error) {
			return k, nil
		}), quiet(rotation.SourceOptions{}))
		if !errors.Is(err, keyprovider.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
}

func TestZeroSource(t *testing.T) {
	var s rotation.Source
	k := mustKey(t, keyprovidertest.NewSecret())
	if _, err := s.Key(t.Context()); !errors.Is(err, keyprovider.ErrClosed) {
		t.Errorf("Key: got %v, want ErrClosed", err)
	}
	if _, err := s.Reject(t.Context(), k); !errors.Is(err, keyprovider.ErrClosed) {
		t.Errorf("Reject: got %v, want ErrClosed", err)
	}
	if err := s.Refresh(t.Context()); !errors.Is(err, keyprovider.ErrClosed) {
		t.Errorf("Refresh: got %v, want ErrClosed", err)
	}
	s.Accept(k)
	if s.Changed() != nil || !s.Status().Closed || !errors.Is(s.Health(), keyprovider.ErrClosed) || s.Close() != nil {
		t.Error("the zero Source must be as a closed one")
	}
}

func mustKey(t *testing.T, secret string) *keyprovider.Key {
	t.Helper()
	k, err := keyprovider.NewKey(secret, keyprovider.Info{})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestClose(t *testing.T) {
	for _, test := range []struct {
		name    string
		arrange func(fake *keyprovidertest.Fake)
		within  time.Duration
	}{
		{"idle", func(*keyprovidertest.Fake) {}, 0},
		{"fetching", func(f *keyprovidertest.Fake) { f.Hang() }, 0},
		{"fetching, deaf", func(f *keyprovidertest.Fake) {
			f.Next(keyprovidertest.Step{Delay: time.Hour, Deaf: true})
		}, 5 * time.Second},
		{"degraded", func(f *keyprovidertest.Fake) { f.Fail(keyprovider.ErrDenied) }, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				keys := secrets(1)
				fake := keyprovidertest.NewFake(keys[0])
				source := open(t, fake, rotation.SourceOptions{})
				old, _ := source.Key(t.Context())
				test.arrange(fake)
				changed := source.Changed()
				refreshed := make(chan error)
				go func() { refreshed <- source.Refresh(t.Context()) }()
				wait(2 * time.Second)

				rejected := make(chan error)
				go func() { _, err := source.Reject(t.Context(), old); rejected <- err }()
				synctest.Wait()
				began := time.Now()
				go source.Close()
				source.Close()
				if took := time.Since(began); took > test.within {
					t.Errorf("Close took %v, want at most %v", took, test.within)
				}
				if err := <-rejected; err != nil && !errors.Is(err, keyprovider.ErrClosed) && !errors.Is(err, keyprovider.ErrNoReplacement) {
					t.Errorf("Reject: got %v, want ErrClosed or ErrNoReplacement", err)
				}
				<-refreshed
				<-changed // closed
				if _, err := source.Key(t.Context()); !errors.Is(err, keyprovider.ErrClosed) {
					t.Errorf("Key: got %v, want ErrClosed", err)
				}
				if err := source.Refresh(t.Context()); !errors.Is(err, keyprovider.ErrClosed) {
					t.Errorf("Refresh: got %v, want ErrClosed", err)
				}
				if source.Changed() != nil {
					t.Error("Changed after Close must block for ever")
				}
				source.Accept(old)
				if fake.Closes() != 1 {
					t.Errorf("the provider was closed %d times, want once", fake.Closes())
				}
				wait(2 * time.Hour) // the deaf fetch returns
			})
		})
	}
}

type failingCloser struct{ keyprovider.KeyProvider }

var errClose = errors.New("close failed")

func (failingCloser) Close() error { return errClose }

func TestCloseReturnsProvidersError(t *testing.T) {
	source, err := rotation.NewSource(t.Context(), failingCloser{keyprovidertest.Static(keyprovidertest.NewSecret())}, quiet(rotation.SourceOptions{}))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := source.Close(); !errors.Is(err, errClose) {
			t.Errorf("got %v, want the provider's error", err)
		}
	}
}

func TestErrorsDoNotPrintProvidersText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		canary := keyprovidertest.NewSecret()
		fake := keyprovidertest.NewFake("")
		fake.Fail(errors.New("cannot parse " + canary))
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := rotation.NewSource(ctx, fake, quiet(rotation.SourceOptions{}))
		if err == nil || keyprovidertest.Leaks(err.Error(), canary) || strings.Contains(err.Error(), "cannot parse") {
			t.Errorf("the error prints a provider's own text: %v", err)
		}
	})
}

func TestCloseWakesThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := keyprovidertest.NewFake("")
		fake.SetKey(keyprovidertest.NewSecret(), keyprovider.Info{ExpiresAt: time.Now().Add(time.Minute)})
		source := open(t, fake, rotation.SourceOptions{RefreshWait: time.Hour, FetchTimeout: time.Hour})
		old, _ := source.Key(t.Context())
		fake.Hang()
		wait(2 * time.Minute) // expired, and a fetch hangs
		results := make(chan error)
		go func() { _, err := source.Key(t.Context()); results <- err }()
		go func() { _, err := source.Reject(t.Context(), old); results <- err }()
		go func() { results <- source.Refresh(t.Context()) }()
		synctest.Wait()
		source.Close()
		for range 3 {
			if err := <-results; !errors.Is(err, keyprovider.ErrClosed) {
				t.Errorf("got %v, want ErrClosed", err)
			}
		}
	})
}

func TestCloseWhileValidatingAndOnProbation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake(keys[0])
		openai := newService(keys[0])
		validating := make(chan struct{})
		source := open(t, fake, rotation.SourceOptions{Validate: func(ctx context.Context, _ *keyprovider.Key) error {
			close(validating)
			<-ctx.Done()
			return ctx.Err()
		}})
		rotate(t, fake, openai, source, keys[1])
		<-validating
		source.Close()

		fake = keyprovidertest.NewFake(keys[0])
		source = open(t, fake, rotation.SourceOptions{})
		rotate(t, fake, openai, source, keys[1])
		if err := openai.call(t.Context(), source); err != nil {
			t.Fatal(err)
		}
		if source.Status().Candidate == "" {
			t.Fatal("want a key on probation")
		}
		source.Close()
		if _, err := source.Key(t.Context()); !errors.Is(err, keyprovider.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	})
}
