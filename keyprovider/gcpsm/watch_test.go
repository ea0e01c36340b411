package gcpsm

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func TestWatch(t *testing.T) {
	for _, tt := range []struct {
		name       string
		attributes map[string]string
		hint       bool
		announced  int64
	}{
		{"added", event("SECRET_VERSION_ADD", "7"), true, 7},
		{"enabled", event("SECRET_VERSION_ENABLE", "7"), true, 0},
		{"disabled", event("SECRET_VERSION_DISABLE", "7"), true, 0},
		{"destroyed", event("SECRET_VERSION_DESTROY", "7"), true, 0},
		{"to be destroyed", event("SECRET_VERSION_DESTROY_SCHEDULED", "7"), true, 0},
		{"alias moved", event("SECRET_UPDATE", ""), true, 0},
		{"made", event("SECRET_CREATE", ""), true, 0},
		{"deleted", event("SECRET_DELETE", ""), true, 0},
		{"added, by the project's id", map[string]string{"eventType": "SECRET_VERSION_ADD", "secretId": place}, true, 0},
		{"added, without a version", event("SECRET_VERSION_ADD", ""), true, 0},
		{"added, a version that is none", event("SECRET_VERSION_ADD", "latest"), true, 0},

		{"rotation is due", event("SECRET_ROTATE", ""), false, 0},
		{"topic configured", map[string]string{"eventType": "TOPIC_CONFIGURED"}, false, 0},
		{"unknown kind", event("SECRET_SOMETHING", "7"), false, 0},
		{"another secret", map[string]string{"eventType": "SECRET_VERSION_ADD", "secretId": "projects/1234567890/secrets/other"}, false, 0},
		{"a regional one of that name", map[string]string{"eventType": "SECRET_VERSION_ADD", "secretId": "projects/1234567890/locations/l/secrets/openai"}, false, 0},
		{"another project's, by id", map[string]string{"eventType": "SECRET_VERSION_ADD", "secretId": "projects/other/secrets/openai"}, false, 0},
		{"malformed", map[string]string{"eventType": "SECRET_VERSION_ADD", "secretId": "\x00"}, false, 0},
		{"no attributes", nil, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubscriber()
				p := newProvider(t, place, Options{Subscription: subscription, Subscriber: s, Client: clientFunc(hang)})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				done := watching(ctx, p)
				running(t, done)
				s.publish(tt.attributes)
				if tt.hint {
					if err := returned(t, done); err != nil {
						t.Errorf("Watch: %v", err)
					}
				} else {
					running(t, done)
					cancel()
					if err := returned(t, done); !errors.Is(err, context.Canceled) {
						t.Errorf("Watch: %v, want context.Canceled", err)
					}
				}
				if got, want := s.acked, []string{tt.attributes["eventType"]}; !slices.Equal(got, want) {
					t.Errorf("acknowledged %q, want %q", got, want)
				}
				if got := p.announced.Load(); got != tt.announced {
					t.Errorf("announced %d, want %d", got, tt.announced)
				}
			})
		})
	}
}

// Once an answer has told the project's number, another project's secret of the
// same name is no concern.
func TestWatchProjectNumber(t *testing.T) {
	client := serve(t, &service{access: replies{"latest": payload("1", keyprovidertest.NewSecret())}.access})
	p := newProvider(t, place, Options{Client: client})
	other := "projects/555/secrets/openai"
	if !p.concerned(answered) || !p.concerned(other) {
		t.Error("a number is not taken for the project's while that is unknown")
	}
	if _, err := p.Fetch(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if !p.concerned(answered) || !p.concerned(place) || p.concerned(other) {
		t.Error("the project's number has not been learnt")
	}
	byNumber := newProvider(t, "projects/7/secrets/openai", Options{})
	if !byNumber.concerned("projects/7/secrets/openai") || byNumber.concerned(other) || !byNumber.concerned(place) {
		t.Error("a place with the project's number is matched wrongly")
	}
}

func TestWatchWithoutSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProvider(t, place, Options{})
		ctx, cancel := context.WithCancel(t.Context())
		done, closed := watching(ctx, p), watching(t.Context(), p)
		time.Sleep(24 * time.Hour)
		running(t, done)
		cancel()
		if err := returned(t, done); !errors.Is(err, context.Canceled) {
			t.Errorf("Watch: %v", err)
		}
		running(t, closed)
		p.Close()
		if err := returned(t, closed); !errors.Is(err, keyprovider.ErrClosed) {
			t.Errorf("Watch of a closed provider: %v", err)
		}
	})
}

// One call pulls, and its message wakes all; when it leaves, another pulls.
func TestWatchShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubscriber()
		p := newProvider(t, place, Options{Subscription: subscription, Subscriber: s})
		first, cancel := context.WithCancel(t.Context())
		one := watching(first, p)
		two, three := watching(t.Context(), p), watching(t.Context(), p)
		if got := len(s.pulls); got != 1 {
			t.Errorf("%d pulls at a time, want 1", got)
		}
		cancel()
		if err := returned(t, one); !errors.Is(err, context.Canceled) {
			t.Errorf("Watch: %v", err)
		}
		running(t, two)
		s.publish(event("SECRET_VERSION_ADD", "7"))
		for _, done := range []<-chan error{two, three} {
			if err := returned(t, done); err != nil {
				t.Errorf("Watch: %v", err)
			}
		}
		if got := len(s.pulls); got != 2 {
			t.Errorf("%d pulls, want 2", got)
		}
	})
}

// A call that comes too late for a hint gets it all the same, unless it has
// fetched since.
func TestWatchMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubscriber()
		secret := keyprovidertest.NewSecret()
		answer := payload("6", secret)
		p := newProvider(t, place, Options{Subscription: subscription, Subscriber: s,
			Client: clientFunc(func(context.Context) (*secretmanagerpb.AccessSecretVersionResponse, error) {
				if answer == nil {
					return nil, status.Error(codes.NotFound, "")
				}
				return answer, nil
			})})
		key, err := p.Fetch(t.Context(), "")
		wantKey(t, key, err, "6", secret)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()

		first := watching(ctx, p)
		running(t, first)
		s.publish(event("SECRET_VERSION_ENABLE", "6"))
		if err := returned(t, first); err != nil {
			t.Fatal(err)
		}
		if err := returned(t, watching(ctx, p)); err != nil {
			t.Errorf("a Watch that came after the hint: %v", err)
		}
		if _, err := p.Fetch(ctx, "6"); !errors.Is(err, keyprovider.ErrNotModified) {
			t.Fatal(err)
		}
		running(t, watching(ctx, p)) // it has seen that nothing changed

		if err := p.Watch(ctx, "5"); err != nil {
			t.Errorf("Watch of a version that is known to be old: %v", err)
		}
		answer = nil
		if _, err := p.Fetch(ctx, "6"); !errors.Is(err, keyprovider.ErrNotFound) {
			t.Fatal(err)
		}
		if err := returned(t, watching(ctx, p)); err != nil {
			t.Errorf("Watch of a version that is gone: %v", err)
		}
		none := make(chan error, 1)
		go func() { none <- p.Watch(ctx, "") }()
		running(t, none) // there was nothing, and no news since
	})
}
