package awslambda

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/rotationtest"
)

func TestLifetime(t *testing.T) {
	for _, tt := range []struct {
		name                        string
		lifetime, interval, longest time.Duration
		want                        time.Duration
		says                        string
	}{
		{name: "three intervals", interval: 30 * day, want: 90 * day},
		{name: "nothing is known", want: defaultLifetime},
		{name: "as configured", lifetime: 100 * day, interval: 30 * day, want: 100 * day},
		{name: "less than three intervals", lifetime: 80 * day, interval: 30 * day, says: "less than three intervals"},
		{name: "as long as the service allows", interval: 100 * day, longest: 300 * day, want: 300 * day},
		{name: "longer than the service allows", interval: 150 * day, longest: 365 * day, says: "the secret rotates every 150 days: a key has to live for three times that, and may live for 365 days at the service; rotate every 121 days or more often"},
		{name: "configured longer than the service allows", lifetime: 400 * day, interval: 30 * day, longest: 365 * day, says: "Lifetime is more than the 365 days"},
		{name: "the default is longer than the service allows", longest: 36 * time.Hour, want: 36 * time.Hour},
		{name: "hours", lifetime: 3 * day, longest: 36 * time.Hour, says: "more than the 36h0m0s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := Options{Lifetime: tt.lifetime}
			got, err := o.lifetime(tt.interval, tt.longest)
			if got != tt.want || (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, %v, want %v, %q", got, err, tt.want, tt.says)
			}
		})
	}
}

// limited is an Issuer whose keys live for so long at most.
type limited struct {
	rotation.Issuer
	longest time.Duration
}

func (l limited) MaxLifetime() time.Duration { return l.longest }

// A life that the service does not allow is refused before anything is minted or
// revoked: by New, if it is configured, else by createSecret.
func TestLifetimeOfTheService(t *testing.T) {
	bubble(t, Options{}, func(w *world) {
		issuer := limited{w.service.Issuer(account), 365 * day}
		_, err := New(t.Context(), issuer, &Options{Client: w.handler.client, Lifetime: 366 * day})
		if !errors.Is(err, keyprovider.ErrInvalid) || !strings.Contains(err.Error(), "more than the 365 days") {
			t.Errorf("New with more than the service allows: %v", err)
		}
		h, err := New(t.Context(), issuer, &Options{Client: w.handler.client})
		if err != nil {
			t.Fatal(err)
		}
		create := func(interval time.Duration) error {
			w.aws.Rotates(secretName, interval)
			return h.Handle(w.Context(), events.SecretsManagerSecretRotationEvent{
				Step: "createSecret", SecretID: secretName, ClientRequestToken: w.aws.Rotate(secretName)})
		}
		if err := create(122 * day); !errors.Is(err, keyprovider.ErrInvalid) || !strings.Contains(err.Error(), "rotate every 121 days or more often") {
			t.Errorf("createSecret of a secret that rotates every 122 days: %v", err)
		}
		if n := len(w.ours()); n != 0 {
			t.Errorf("%d keys were minted", n)
		}
		if err := create(121 * day); err != nil {
			t.Errorf("createSecret of a secret that rotates every 121 days: %v", err)
		}
	})
	if got := longest(limited{rotationtest.NewService().Issuer(account), -1}); got != 0 {
		t.Errorf("an Issuer without a limit: got %v, want 0", got)
	}
}
