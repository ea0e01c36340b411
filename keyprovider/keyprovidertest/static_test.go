package keyprovidertest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
)

func TestStatic(t *testing.T) {
	secret := NewSecret()
	p := Static(secret)
	key, err := p.Fetch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if key.Reveal() != secret {
		t.Error("Fetch brings another secret")
	}
	if _, err := p.Fetch(t.Context(), key.Version()); !errors.Is(err, keyprovider.ErrNotModified) {
		t.Errorf("Fetch with the current version: %v, want ErrNotModified", err)
	}
	if _, err := p.Fetch(t.Context(), "other"); err != nil {
		t.Errorf("Fetch with another version: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Fetch(ctx, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("Fetch with a cancelled context: %v", err)
	}
	if got := p.(keyprovider.Poller).PollInterval(); got >= 0 {
		t.Errorf("PollInterval = %v, want a negative one", got)
	}
	if out := fmt.Sprintf("%s %+v %#v", p, p, p); Leaks(out, secret) {
		t.Error("printing the provider shows the secret")
	}
}

func TestStaticRefuses(t *testing.T) {
	tests := []struct {
		name string
		p    keyprovider.KeyProvider
		want string
	}{
		{"a malformed secret", Static("two words"),
			"keyprovider: static: invalid: the key contains white space: store the bare key"},
		{"an empty secret", Static(""), "keyprovider: static: invalid: the key is empty"},
		{"a program", newStatic(NewSecret(), false),
			"keyprovider: static: invalid: a static key is for tests: a program names a place, such as env.New or file.New"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.p.Fetch(t.Context(), "")
			if !errors.Is(err, keyprovider.ErrInvalid) || err.Error() != tt.want {
				t.Errorf("Fetch: %v\nwant   %s", err, tt.want)
			}
		})
	}
}
