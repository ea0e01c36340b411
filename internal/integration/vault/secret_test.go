package vault

import (
	"errors"
	"testing"

	"github.com/hashicorp/vault/api"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/keyprovider/vault"
)

// One permission, read on the path of the API, is enough to find the engine and
// to read, whatever its version and however deep its mount.
func TestOnePermission(t *testing.T) {
	for _, c := range []struct {
		kind, mount, data string
		finding           int // calls to find the engine
	}{
		{"kv1", unique("one"), "", 2},
		{"kv2", unique("one"), "data/", 0},
		{"kv1", "team/" + unique("one"), "", 2},
		{"kv2", "team/" + unique("one"), "data/", 2},
	} {
		t.Run(c.kind+" at "+c.mount, func(t *testing.T) {
			engine(t, c.kind, c.mount)
			secret := keyprovidertest.NewSecret()
			write(t, c.kind, c.mount, "apps/openai", map[string]any{"token": secret, "key_id": "key_1"})
			g := newGate(t)
			p := newProvider(t, g.URL, reader(t, c.mount+"/"+c.data+"apps/openai"), c.mount+"/apps/openai", vault.Options{Field: "token"})
			for range 3 {
				if key := fetch(t, p, ""); key.Reveal() != secret || key.Info().ID != "key_1" {
					t.Errorf("key = %v with %+v", key, key.Info())
				}
			}
			if got := g.count(""); got != c.finding+3 {
				t.Errorf("calls = %q, want %d to find the engine and one for each Fetch", g.calls, c.finding)
			}
		})
	}
}

// A secret of version 1 that lies where version 2 would answer, and looks like
// its answer, is another one.
func TestVersionOneIsNotTakenForTwo(t *testing.T) {
	mount, secret := engine(t, "kv1", unique("kv")), keyprovidertest.NewSecret()
	write(t, "kv1", mount, "openai", map[string]any{"api_key": secret})
	write(t, "kv1", mount, "data/openai", map[string]any{
		"data":     map[string]any{"api_key": keyprovidertest.NewSecret()},
		"metadata": map[string]any{"version": 1, "created_time": "2026-11-23T08:00:00Z"},
	})
	p := newProvider(t, server.Addr, server.RootToken, mount+"/openai", vault.Options{})
	if got := fetch(t, p, "").Reveal(); got != secret {
		t.Error("another secret")
	}
}

func TestDeniedAndMissing(t *testing.T) {
	mount := engine(t, "kv2", unique("kv"))
	nothing := token(t, policy(t, map[string]string{"other": "read"}))
	_, err := newProvider(t, server.Addr, nothing, mount+"/openai", vault.Options{}).Fetch(t.Context(), "")
	wantClass(t, err, keyprovider.ErrDenied, "403")
	_, err = newProvider(t, server.Addr, "hvs."+"nonsense", mount+"/openai", vault.Options{}).Fetch(t.Context(), "")
	wantClass(t, err, keyprovider.ErrDenied)
	_, err = newProvider(t, server.Addr, "", mount+"/openai", vault.Options{}).Fetch(t.Context(), "")
	wantClass(t, err, keyprovider.ErrDenied)
	_, err = newProvider(t, server.Addr, reader(t, mount+"/data/openai"), mount+"/openai", vault.Options{}).Fetch(t.Context(), "")
	wantClass(t, err, keyprovider.ErrNotFound, mount+"/data/openai")
	_, err = newProvider(t, server.Addr, server.RootToken, "no/such/mount", vault.Options{}).Fetch(t.Context(), "")
	if !errors.Is(err, keyprovider.ErrNotFound) && !errors.Is(err, keyprovider.ErrDenied) {
		t.Errorf("no such mount: %v", err)
	}
	_, err = newProvider(t, server.Addr, server.RootToken, mount, vault.Options{}).Fetch(t.Context(), "")
	wantClass(t, err, keyprovider.ErrInvalid, "whole engine")
	_, err = newProvider(t, server.Addr, server.RootToken, "identity/entity", vault.Options{}).Fetch(t.Context(), "")
	wantClass(t, err, keyprovider.ErrInvalid, "engine of the server's own")
}

func TestLifeOfAVersion(t *testing.T) {
	mount := engine(t, "kv2", unique("kv"))
	kv := admin(t).KVv2(mount)
	one, two := keyprovidertest.NewSecret(), keyprovidertest.NewSecret()
	write(t, "kv2", mount, "openai", map[string]any{"api_key": one})
	write(t, "kv2", mount, "openai", map[string]any{"api_key": two})
	tok := reader(t, mount+"/data/openai")
	latest := newProvider(t, server.Addr, tok, mount+"/openai", vault.Options{})
	pinned := newProvider(t, server.Addr, tok, mount+"/openai", vault.Options{Version: 1})
	if key := fetch(t, pinned, ""); key.Reveal() != one {
		t.Errorf("version 1 = %v", key)
	}
	held := fetch(t, latest, "")
	if held.Reveal() != two || held.Info().CreatedAt.IsZero() {
		t.Errorf("latest = %v with %+v", held, held.Info())
	}
	if _, err := latest.Fetch(t.Context(), held.Version()); !errors.Is(err, keyprovider.ErrNotModified) {
		t.Errorf("unchanged: %v", err)
	}

	must(t, kv.Delete(t.Context(), "openai"))
	_, err := latest.Fetch(t.Context(), held.Version())
	wantClass(t, err, keyprovider.ErrNotFound, "version 2 was deleted at 20", "undelete")
	must(t, kv.Undelete(t.Context(), "openai", []int{2}))
	if key := fetch(t, latest, ""); key.Version() != held.Version() {
		t.Errorf("undeleted: %v, was %v", key, held)
	}
	must(t, kv.Destroy(t.Context(), "openai", []int{2}))
	_, err = latest.Fetch(t.Context(), held.Version())
	wantClass(t, err, keyprovider.ErrNotFound, "version 2 was destroyed")
	_, err = newProvider(t, server.Addr, tok, mount+"/openai", vault.Options{Version: 9}).Fetch(t.Context(), "")
	wantClass(t, err, keyprovider.ErrNotFound)
}

// The number alone would strand whoever holds version 1.
func TestRecreatedAtVersionOne(t *testing.T) {
	mount := engine(t, "kv2", unique("kv"))
	write(t, "kv2", mount, "openai", map[string]any{"api_key": keyprovidertest.NewSecret()})
	p := newProvider(t, server.Addr, reader(t, mount+"/data/openai"), mount+"/openai", vault.Options{})
	held := fetch(t, p, "")
	must(t, admin(t).KVv2(mount).DeleteMetadata(t.Context(), "openai"))
	_, err := p.Fetch(t.Context(), held.Version())
	wantClass(t, err, keyprovider.ErrNotFound)
	secret := keyprovidertest.NewSecret()
	write(t, "kv2", mount, "openai", map[string]any{"api_key": secret})
	if key := fetch(t, p, held.Version()); key.Reveal() != secret || key.Version() == held.Version() {
		t.Errorf("recreated: %v, held %v", key, held)
	}
}

// An engine may be upgraded under way, and a secret may be moved to another.
func TestEngineIsUpgraded(t *testing.T) {
	mount := engine(t, "kv1", unique("kv"))
	write(t, "kv1", mount, "openai", map[string]any{"api_key": keyprovidertest.NewSecret()})
	tok := token(t, policy(t, map[string]string{mount + "/openai": "read", mount + "/data/openai": "read"}))
	p := newProvider(t, server.Addr, tok, mount+"/openai", vault.Options{})
	key := fetch(t, p, "")
	must(t, admin(t).Sys().TuneMountAllowNilWithContext(t.Context(), mount, api.TuneMountConfigInput{Options: &map[string]string{"version": "2"}}))
	eventually(t, "the upgraded secret", func() bool {
		again, err := p.Fetch(t.Context(), key.Version())
		return err == nil && again.Equal(key) && again.Info().Version != ""
	})
}

func TestSealed(t *testing.T) {
	mount := engine(t, "kv2", unique("kv"))
	write(t, "kv2", mount, "openai", map[string]any{"api_key": keyprovidertest.NewSecret()})
	p := newProvider(t, server.Addr, reader(t, mount+"/data/openai"), mount+"/openai", vault.Options{})
	key := fetch(t, p, "")
	must(t, server.Seal(t.Context()))
	_, err := p.Fetch(t.Context(), key.Version())
	wantClass(t, err, keyprovider.ErrUnavailable, "sealed", "503")
	must(t, server.Unseal(t.Context()))
	if again := fetch(t, p, ""); !again.Equal(key) {
		t.Errorf("after unsealing: %v, was %v", again, key)
	}
}
