package awslambda

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/awsclient/awsfake"
	"github.com/keybearer/keybearer/keyprovider"
)

// However a key left AWSCURRENT, a rotation that begins a minute later does not
// revoke it: a reader may hold it for as long as Overlap. A later rotation does.
func TestOverlap(t *testing.T) {
	const (
		known   = "it has not been out of use for long"
		unknown = "it may have been current until a moment ago"
	)
	for _, tt := range []struct {
		name  string
		leave func(w *world, first string) // takes AWSCURRENT from the version of the second rotation
		log   string
	}{
		{"at once", func(w *world, _ string) {
			if err := w.rotate(false); err != nil {
				w.Fatal(err)
			}
		}, known},
		{"hours after the key was minted", func(w *world, _ string) {
			token := w.aws.Rotate(secretName)
			w.mustInvoke(token, "createSecret", "setSecret")
			time.Sleep(3 * time.Hour) // the API is down, and AWS repeats testSecret
			w.mustInvoke(token, "testSecret", "finishSecret")
		}, known},
		{"back to the first, by hand", func(w *world, first string) {
			w.aws.Move(secretName, awsfake.Current, first)
		}, unknown},
		{"for a value that was stored by hand", func(w *world, _ string) {
			w.aws.Set(secretName, `{"organization":"org-1","url":"https://x.test/?a=1&b=<2>","api_key":"`+w.service.NewKey("svc_person", "by hand", 0).Reveal()+`"}`)
		}, unknown},
		{"for the pending version, by hand", func(w *world, _ string) {
			token := w.aws.Rotate(secretName)
			w.mustInvoke(token, "createSecret")
			time.Sleep(3 * time.Hour)
			w.aws.Move(secretName, awsfake.Current, token)
			w.aws.Move(secretName, awsfake.Pending, "")
		}, unknown},
		{"and rotation was off for a moment", func(w *world, _ string) {
			token := w.aws.Rotate(secretName)
			w.mustInvoke(token, "createSecret")
			time.Sleep(3 * time.Hour)
			w.mustInvoke(token, "testSecret", "finishSecret")
			w.aws.Rotates(secretName, 0)
			w.aws.Rotates(secretName, interval)
		}, unknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, Options{Quiet: -1, Overlap: time.Hour}, func(w *world) {
				w.mustRotate(false, 1)
				first := w.current()
				w.mustRotate(false, 1)
				time.Sleep(interval)
				cached := w.current() // by a reader that looks every ten minutes
				tt.leave(w, string(first.Version()))
				w.log.Reset()
				time.Sleep(time.Minute)
				w.mustInvoke(w.aws.Rotate(secretName), steps...)
				if err := w.service.Call(cached); err != nil {
					t.Errorf("the key that was current until a minute ago is revoked: %v", err)
				}
				if !strings.Contains(w.log.String(), "key="+cached.Info().ID) || !strings.Contains(w.log.String(), tt.log) {
					t.Errorf("the log does not say %q of key %s:\n%s", tt.log, cached.Info().ID, w.log.String())
				}
				w.mustRotate(false, 1)
				for _, k := range []*keyprovider.Key{first, cached} {
					if _, err := w.handler.issuer.Inspect(w.Context(), k.Info().ID); !errors.Is(err, keyprovider.ErrNotFound) {
						t.Errorf("an interval later the former key %s is not revoked: %v", k.Info().ID, err)
					}
				}
				w.secrecy()
			})
		})
	}
}

// mustInvoke calls the function for steps that must succeed.
func (w *world) mustInvoke(token string, steps ...string) {
	w.Helper()
	for _, step := range steps {
		if err := w.invoke(step, token); err != nil {
			w.Fatalf("%s: %v", step, err)
		}
	}
}
