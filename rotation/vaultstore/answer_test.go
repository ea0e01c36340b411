package vaultstore

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

// FuzzAnswer: whatever the server answers, nothing panics, an error has one of
// the classes, and its text shows nothing of the answer.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{
		``, `{}`, `null`, `[]`, `{"errors":[]}`, `{"data":null}`,
		`{"data":{"data":{"api_key":"KEY"},"metadata":{"version":3,"created_time":"2026-11-23T08:00:00.1Z"}}}`,
		`{"data":{"data":{"document":"KEY"},"metadata":{"version":3}}}`,
		`{"data":{"data":null,"metadata":{"version":3,"deletion_time":"2026-11-23T08:00:00.1Z"}}}`,
		`{"data":{"data":{},"metadata":{"version":3,"destroyed":true}}}`,
		`{"data":{"data":"KEY","metadata":{"version":-3}}}`,
		`{"data":{"version":4,"created_time":"KEY"}}`,
		`{"data":{"version":1e99}}`, `{"errors":["check-and-set parameter did not match the current version KEY"]}`,
	} {
		for _, status := range []int{200, 204, 400, 404, 500} {
			f.Add(status, body)
		}
	}
	canary := keyprovidertest.NewSecret()
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 {
			return
		}
		s, w := newStore(t, &Options{Mount: "secret"})
		w.Intercept = func(rw http.ResponseWriter, r *http.Request) bool {
			return answer(status, strings.ReplaceAll(body, "KEY", canary))(rw, r)
		}
		for name, call := range calls(s, newKey(t, keyprovider.Info{})) {
			err := call(t.Context())
			if err == nil {
				continue
			}
			if class := keyprovider.Class(err); class == nil {
				t.Errorf("%s: %v has no class", name, err)
			}
			if keyprovidertest.Leaks(fmt.Sprintf("%+v %#v", err, err), canary) {
				t.Errorf("%s: the error shows what the server answered: %v", name, err)
			}
		}
	})
}

// FuzzRevision: a revision is a positive number and a time, or refused.
func FuzzRevision(f *testing.F) {
	for _, r := range []string{"", "7@2026-11-23T08:00:00.1Z", "0@", "-1@x", "7", "@", "99999999999999999999@x", " 7@x", "+7@x"} {
		f.Add(r)
	}
	f.Fuzz(func(t *testing.T, r string) {
		n, err := number(rotation.Revision(r))
		if digits, _, _ := strings.Cut(r, "@"); err == nil && r != "" && (n < 1 || digits != fmt.Sprint(n)) {
			t.Errorf("number(%q) = %d", r, n)
		}
		if (r == "") != (n == 0 && err == nil) {
			t.Errorf("number(%q) = %d, %v", r, n, err)
		}
	})
}
