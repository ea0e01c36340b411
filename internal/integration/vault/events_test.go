package vault

import (
	"context"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/integration/vault/vaultserver"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/keyprovider/vault"
	"github.com/keybearer/keybearer/rotation"
)

// With events a rotation is seen at once, polling or not.
func TestEventsBringARotation(t *testing.T) {
	for _, kind := range []string{"kv1", "kv2"} {
		t.Run(kind, func(t *testing.T) {
			mount := engine(t, kind, unique(kind))
			data := map[string]string{"kv1": mount + "/openai", "kv2": mount + "/data/openai"}[kind]
			write(t, kind, mount, "openai", map[string]any{"api_key": keyprovidertest.NewSecret()})
			tok := token(t, policy(t, map[string]string{data: "read", "sys/events/subscribe/kv-v" + kind[2:] + "/*": "read"}))
			g := newGate(t)
			p := newProvider(t, g.URL, tok, mount+"/openai", vault.Options{})
			source, err := rotation.NewSource(t.Context(), p, &rotation.SourceOptions{PollInterval: -1, MinRefresh: 10 * time.Millisecond})
			must(t, err)
			defer source.Close()
			eventually(t, "the subscription", func() bool { return g.count("GET sys/events/subscribe") > 0 })
			for range 3 {
				secret := keyprovidertest.NewSecret()
				write(t, kind, mount, "openai", map[string]any{"api_key": secret})
				write(t, kind, mount, "neighbour", map[string]any{"api_key": "x"})
				eventually(t, "the swap", func() bool {
					key, err := source.Key(t.Context())
					return err == nil && key.Reveal() == secret
				})
			}
		})
	}
}

func TestEventsThatThePolicyDoesNotAllow(t *testing.T) {
	mount := engine(t, "kv2", unique("kv"))
	write(t, "kv2", mount, "openai", map[string]any{"api_key": keyprovidertest.NewSecret()})
	g := newGate(t)
	p := newProvider(t, g.URL, reader(t, mount+"/data/openai"), mount+"/openai", vault.Options{})
	key := fetch(t, p, "")
	wantClass(t, p.Watch(t.Context(), key.Version()), keyprovider.ErrDenied, "polling goes on")
	// The server is not asked again for an hour.
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	wantClass(t, p.Watch(ctx, key.Version()), context.DeadlineExceeded)
	if got := g.count("GET sys/events/subscribe"); got != 1 {
		t.Errorf("subscriptions = %d, want 1", got)
	}
}

func TestServerWithoutEvents(t *testing.T) {
	plain, err := vaultserver.Start(vaultserver.Options{NoEvents: true})
	must(t, err)
	defer plain.Close()
	must(t, plain.Mount(t.Context(), "secret", "kv", map[string]string{"version": "2"}))
	p := newProvider(t, plain.Addr, plain.RootToken, "secret/ready", vault.Options{Field: "ready"})
	key := fetch(t, p, "")
	wantClass(t, p.Watch(t.Context(), key.Version()), keyprovider.ErrNotFound, "no events")
}

// A connection that breaks is reported, and the next Watch looks at the secret.
func TestEventsBreakOff(t *testing.T) {
	mount := engine(t, "kv2", unique("kv"))
	write(t, "kv2", mount, "openai", map[string]any{"api_key": keyprovidertest.NewSecret()})
	g := newGate(t)
	p := newProvider(t, g.URL, server.RootToken, mount+"/openai", vault.Options{})
	key := fetch(t, p, "")
	watching := make(chan error, 1)
	reads := g.count("GET " + mount)
	go func() { watching <- p.Watch(t.Context(), key.Version()) }()
	eventually(t, "the subscription", func() bool { return g.count("GET "+mount) > reads })
	g.cut()
	wantClass(t, <-watching, keyprovider.ErrUnavailable)
	write(t, "kv2", mount, "openai", map[string]any{"api_key": keyprovidertest.NewSecret()})
	must(t, p.Watch(t.Context(), key.Version()))
}
