package vault

import (
	"context"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/keyprovider/vault"
)

func TestConformance(t *testing.T) {
	for _, kind := range []string{"kv2", "kv1", "leased"} {
		t.Run(kind, func(t *testing.T) {
			mount := engine(t, kind, unique(kind))
			keyprovidertest.Run(t, keyprovidertest.Harness{New: func(tb testing.TB) *keyprovidertest.Place {
				return newPlace(tb, kind, mount)
			}})
		})
	}
}

// newPlace is a secret of its own, read with a token that may do just that and
// subscribe to events, through a gate.
func newPlace(tb testing.TB, kind, mount string) *keyprovidertest.Place {
	name := unique("openai")
	path := mount + "/" + name
	data := path
	if kind == "kv2" {
		data = mount + "/data/" + name
	}
	granted := map[string]string{data: "read", "sys/events/subscribe/*": "read"}
	rules := policy(tb, granted)
	g := newGate(tb)
	p := newProvider(tb, g.URL, token(tb, rules), path, vault.Options{})
	ctx := context.WithoutCancel(tb.Context())
	place := &keyprovidertest.Place{Provider: p, Leased: kind == "leased", NoHints: kind == "leased"}
	place.Set = func(value []byte) { write(tb, kind, mount, name, asFields(value)) }
	place.Delete = func() {
		var err error
		if kind == "kv2" {
			err = admin(tb).KVv2(mount).DeleteMetadata(ctx, name)
		} else {
			_, err = admin(tb).Logical().DeleteWithContext(ctx, path)
		}
		must(tb, err)
	}
	place.Fail = func(class error) func() {
		switch class {
		case keyprovider.ErrDenied:
			setPolicy(tb, rules, map[string]string{"nothing/of/this": "read"})
			return func() { setPolicy(tb, rules, granted) }
		case keyprovider.ErrUnavailable:
			must(tb, server.Seal(ctx))
			return func() { must(tb, server.Unseal(ctx)) }
		}
		return nil
	}
	if kind != "leased" { // which answers a Fetch with a version from what it holds
		place.Hang = g.Hang
	}
	return place
}
