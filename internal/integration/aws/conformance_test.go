package aws

import (
	"net/http"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/awssm"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func TestConformance(t *testing.T) {
	// The SDK's pauses between attempts would make half of the suite's time.
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	for _, tt := range []struct {
		name            string
		queued, minimal bool
	}{
		{"polled", false, false},
		{"pushed", true, false},
		{"GetSecretValue alone is granted", false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			keyprovidertest.Run(t, keyprovidertest.Harness{New: func(tb testing.TB) *keyprovidertest.Place {
				return place(tb, tt.queued, tt.minimal)
			}})
		})
	}
}

func place(tb testing.TB, queued, minimal bool) *keyprovidertest.Place {
	endpoint := sharedMoto(tb)
	s, front := newStore(tb, endpoint), newProxy(tb, endpoint)
	opts, set, normal := awssm.Options{}, s.set, fault(nil)
	if minimal {
		normal = deniesDescribe
		front.set(normal)
	}
	if queued {
		q := newQueue(tb, endpoint)
		opts.QueueURL = q.url
		set = func(value []byte) {
			s.set(value)
			q.send(event(s.arn, s.name, "AWSCURRENT", s.latest))
		}
	}
	return &keyprovidertest.Place{
		Provider: s.provide(front.URL, opts),
		NoHints:  !queued,
		Set:      set,
		Holds:    func(value []byte) bool { return len(value) > 0 }, // AWS stores no empty value
		Delete:   s.delete,
		Fail: func(class error) func() {
			code := map[error]string{keyprovider.ErrNotFound: "ResourceNotFoundException", keyprovider.ErrDenied: "AccessDeniedException",
				keyprovider.ErrUnavailable: "InternalServiceError", keyprovider.ErrInvalid: "InvalidParameterException"}[class]
			front.set(answers(http.StatusBadRequest, code, "no"))
			return func() { front.set(normal) }
		},
		Hang: func() func() {
			released := make(chan struct{})
			front.set(func(w http.ResponseWriter, r *http.Request, behind http.Handler) {
				select {
				case <-released:
					behind.ServeHTTP(w, r)
				case <-r.Context().Done():
				}
			})
			return func() {
				front.set(normal)
				close(released)
			}
		},
	}
}
