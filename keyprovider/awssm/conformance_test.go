package awssm

import (
	"net/http"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// The suite on the fake; the nested module runs it on a server that we did not
// write.
func TestConformance(t *testing.T) {
	once(t)
	for name, queued := range map[string]bool{"polled": false, "pushed": true} {
		t.Run(name, func(t *testing.T) {
			keyprovidertest.Run(t, keyprovidertest.Harness{New: func(tb testing.TB) *keyprovidertest.Place {
				return conformancePlace(tb, queued)
			}})
		})
	}
}

func conformancePlace(tb testing.TB, queued bool) *keyprovidertest.Place {
	f := newFake(tb)
	opts := &Options{}
	if queued {
		opts.QueueURL = f.URL + "/123456789012/keys"
	}
	failBoth := func(h http.HandlerFunc) (restore func()) {
		f.fail("GetSecretValue", h)
		f.fail("DescribeSecret", h)
		return func() {
			f.fail("GetSecretValue", nil)
			f.fail("DescribeSecret", nil)
		}
	}
	n := 0
	return &keyprovidertest.Place{
		Provider: f.provide(tb, opts),
		NoHints:  !queued,
		Set: func(value []byte) {
			n++
			f.putBinary(n, value, "AWSCURRENT")
			if queued {
				f.send(eventFor(secretARN, secretName, "AWSCURRENT", versionID(n)))
			}
		},
		Delete: func() { f.remove("AWSCURRENT") },
		Fail: func(class error) func() {
			code := map[error]string{keyprovider.ErrNotFound: "ResourceNotFoundException", keyprovider.ErrDenied: "AccessDeniedException",
				keyprovider.ErrUnavailable: "InternalServiceError", keyprovider.ErrInvalid: "InvalidParameterException"}[class]
			return failBoth(func(w http.ResponseWriter, _ *http.Request) { answerError(w, http.StatusBadRequest, code, "") })
		},
		Hang: func() func() {
			done := make(chan struct{})
			restore := failBoth(f.resume(done))
			return func() {
				restore()
				close(done)
			}
		},
	}
}
