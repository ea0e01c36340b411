package rotation_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

// A health endpoint that encodes a Status says what is wrong, in every case.
func TestStatusAsJSON(t *testing.T) {
	for _, test := range []struct {
		reason  string
		want    string
		arrange func(t *testing.T, fake *keyprovidertest.Fake, source *rotation.Source)
	}{
		{"unreachable", "unavailable", func(_ *testing.T, fake *keyprovidertest.Fake, _ *rotation.Source) {
			fake.Fail(keyprovider.ErrUnavailable)
			wait(2 * time.Minute)
		}},
		{"stale", "too stale", func(_ *testing.T, fake *keyprovidertest.Fake, _ *rotation.Source) {
			fake.Fail(keyprovider.ErrUnavailable)
			wait(15 * time.Minute)
		}},
		{"refused", "refused by the service", func(t *testing.T, _ *keyprovidertest.Fake, source *rotation.Source) {
			k, _ := source.Key(t.Context())
			source.Reject(t.Context(), k)
		}},
		{"expired", "key expired", func(_ *testing.T, fake *keyprovidertest.Fake, _ *rotation.Source) {
			fake.Fail(keyprovider.ErrUnavailable)
			wait(3 * time.Hour)
		}},
		{"stated expiry", "past the expiry", func(*testing.T, *keyprovidertest.Fake, *rotation.Source) { wait(90 * time.Minute) }},
		{"invalid", "Validate refuses it", func(_ *testing.T, fake *keyprovidertest.Fake, _ *rotation.Source) {
			fake.Set(keyprovidertest.NewSecret())
			wait(2 * time.Minute)
		}},
	} {
		t.Run(test.reason, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				secret := keyprovidertest.NewSecret()
				fake := keyprovidertest.NewFake("")
				fake.SetKey(secret, keyprovider.Info{Version: "v", ExpiresAt: time.Now().Add(2 * time.Hour), StatedExpiry: time.Now().Add(time.Hour)})
				source := open(t, fake.FetchOnly(), rotation.SourceOptions{MaxStale: 10 * time.Minute, Validate: newService().validate})
				test.arrange(t, fake, source)

				status := source.Status()
				encoded, err := json.Marshal(status)
				if err != nil {
					t.Fatal(err)
				}
				if keyprovidertest.Leaks(string(encoded), secret) {
					t.Error("the encoded status shows the key")
				}
				var decoded struct {
					LastErr  *string
					Degraded []struct{ Reason, Err string }
				}
				if err := json.Unmarshal(encoded, &decoded); err != nil {
					t.Fatalf("%v: the errors are to be texts: %s", err, encoded)
				}
				if (decoded.LastErr == nil) != (status.LastErr == nil) || decoded.LastErr != nil && *decoded.LastErr != status.LastErr.Error() {
					t.Errorf("LastErr: got %v, want the text of %v", decoded.LastErr, status.LastErr)
				}
				found := false
				for i, d := range decoded.Degraded {
					if d.Err != status.Degraded[i].Err.Error() {
						t.Errorf("%s: got %q, want %q", d.Reason, d.Err, status.Degraded[i].Err)
					}
					found = found || d.Reason == test.reason && strings.Contains(d.Err, test.want)
				}
				if !found {
					t.Errorf("got %s, want %q with %q", encoded, test.reason, test.want)
				}
			})
		})
	}
}
