package workload

import (
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"github.com/keybearer/keybearer/internal/oauthtest"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// What the suite stores is what the endpoint issues.
func TestConformance(t *testing.T) {
	keyprovidertest.Run(t, keyprovidertest.Harness{New: func(tb testing.TB) *keyprovidertest.Place {
		var issue atomic.Pointer[string]
		issue.Store(new(string))
		w := newWorld(tb, &oauthtest.Options{AccessToken: func() string { return *issue.Load() }})
		return &keyprovidertest.Place{
			Provider: unpaced(w.provider(nil)),
			Raw:      true,
			Leased:   true,
			Set: func(value []byte) {
				text := string(value)
				issue.Store(&text)
			},
			Holds: utf8.Valid, // JSON cannot
			Fail: func(class error) (restore func()) {
				switch class {
				case keyprovider.ErrNotFound:
					if err := os.Rename(w.file, w.file+".aside"); err != nil {
						tb.Error(err)
					}
					return func() {
						if err := os.Rename(w.file+".aside", w.file); err != nil {
							tb.Error(err)
						}
					}
				case keyprovider.ErrDenied:
					w.srv.Inject(oauthtest.Fault{Code: "invalid_grant"})
				case keyprovider.ErrInvalid:
					w.srv.Inject(oauthtest.Fault{Code: "invalid_request"})
				default:
					w.srv.Inject(oauthtest.Fault{Status: http.StatusServiceUnavailable})
				}
				return w.srv.Clear
			},
			Hang: func() (release func()) {
				w.srv.Inject(oauthtest.Fault{Hang: true})
				return w.srv.Clear
			},
		}
	}})
}
