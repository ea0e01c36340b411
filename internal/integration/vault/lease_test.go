package vault

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/keyprovider/vault"
	"github.com/keybearer/keybearer/rotation"
)

// leased stores a secret whose reads bear leases of ttl, and the policy to use it.
func leased(t *testing.T, ttl string) (mount string, rules string) {
	t.Helper()
	mount = engine(t, "leased", unique("leased"))
	write(t, "leased", mount, "openai", map[string]any{"api_key": keyprovidertest.NewSecret(), "ttl": ttl})
	return mount, policy(t, map[string]string{mount + "/openai": "read", "sys/leases/renew": "update", "sys/leases/revoke": "update"})
}

// leases lists the ids of the leases that are alive.
func leases(t *testing.T, mount string) []string {
	t.Helper()
	secret, err := admin(t).Logical().ListWithContext(t.Context(), "sys/leases/lookup/"+mount+"/openai")
	must(t, err)
	if secret == nil {
		return nil
	}
	var ids []string
	for _, key := range secret.Data["keys"].([]any) {
		ids = append(ids, mount+"/openai/"+key.(string))
	}
	return ids
}

func TestLeaseIsHeldAndRenewed(t *testing.T) {
	mount, rules := leased(t, "6s")
	g := newGate(t)
	p := newProvider(t, g.URL, token(t, rules), mount+"/openai", vault.Options{})
	key := fetch(t, p, "")
	if p.PollInterval() >= 0 {
		t.Errorf("PollInterval = %v, want none", p.PollInterval())
	}
	if left := time.Until(key.Info().ExpiresAt); left > 6*time.Second || left < time.Second {
		t.Errorf("ExpiresAt in %v, want 6s", left)
	}
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(9 * time.Second); time.Now().Before(end); <-ticker.C {
		next := fetch(t, p, key.Version())
		if !next.Info().ExpiresAt.After(time.Now()) {
			t.Fatal("a key was returned whose lease has ended")
		}
	}
	if got := g.count("GET " + mount + "/openai"); got != 1 {
		t.Errorf("reads = %d, want 1", got)
	}
	if got := g.count("PUT sys/leases/renew"); got < 1 || got > 4 {
		t.Errorf("renewals in 9 s = %d, want about 2", got)
	}
	if got := len(leases(t, mount)); got != 1 {
		t.Errorf("leases = %d, want 1", got)
	}
	fetch(t, p, "") // a key was refused, say
	if got := g.count("GET " + mount + "/openai"); got != 2 {
		t.Errorf("reads = %d, want another", got)
	}
}

func TestLeaseThatIsRevokedIsReplaced(t *testing.T) {
	mount, rules := leased(t, "2s")
	p := newProvider(t, server.Addr, token(t, rules), mount+"/openai", vault.Options{})
	key := fetch(t, p, "")
	must(t, admin(t).Sys().RevokePrefixWithContext(t.Context(), mount))
	eventually(t, "a new lease", func() bool {
		next := fetch(t, p, key.Version())
		return next.Info().CreatedAt.After(key.Info().CreatedAt)
	})
	if got := len(leases(t, mount)); got != 1 {
		t.Errorf("leases = %d, want 1", got)
	}
}

func TestLeaseIsRevokedOnClose(t *testing.T) {
	for _, revoke := range []bool{true, false} {
		mount, rules := leased(t, "60s")
		p := newProvider(t, server.Addr, token(t, rules), mount+"/openai", vault.Options{RevokeOnClose: revoke})
		fetch(t, p, "")
		fetch(t, p, "")
		if got := len(leases(t, mount)); got != 2 {
			t.Fatalf("leases = %d, want 2", got)
		}
		must(t, p.Close())
		want := 2
		if revoke {
			want = 0
		}
		if got := len(leases(t, mount)); got != want {
			t.Errorf("RevokeOnClose %v: leases after Close = %d, want %d", revoke, got, want)
		}
	}
}

// The lease dies with its token; with a login that reaches its max TTL again and
// again, the key that a Source serves is alive all the time.
func TestLeaseOutlivesItsTokenUnderASource(t *testing.T) {
	mount, rules := leased(t, "60s")
	p := place{mount + "/openai", rules, ""}
	auth, role, secretID := approle(t, p, map[string]any{"token_ttl": "4s", "token_max_ttl": "6s"})
	provider := newProvider(t, server.Addr, "", p.path, vault.Options{Auth: &vault.AppRole{RoleID: role, SecretIDFile: file(t, secretID(false)), Mount: auth}})
	source, err := rotation.NewSource(t.Context(), provider, nil)
	must(t, err)
	defer source.Close()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(13 * time.Second); time.Now().Before(end); <-ticker.C {
		key, err := source.Key(t.Context())
		if err != nil {
			t.Fatalf("Key: %v", err)
		}
		if !key.Info().ExpiresAt.After(time.Now()) {
			t.Fatal("the key that serves belongs to a lease that has ended")
		}
	}
	if got := len(leases(t, mount)); got < 1 || got > 3 {
		t.Errorf("leases = %d, want the one that serves and one or two that lapse", got)
	}
}

// What cannot be used is not left alive.
func TestLeaseOfAnUnusableKey(t *testing.T) {
	mount, rules := leased(t, "60s")
	p := newProvider(t, server.Addr, token(t, rules), mount+"/openai", vault.Options{Field: "other"})
	_, err := p.Fetch(t.Context(), "")
	wantClass(t, err, keyprovider.ErrInvalid, "field")
	if got := leases(t, mount); len(got) != 0 {
		t.Errorf("leases = %d, want none", len(got))
	}
}

// A child token with a short life: VAULT_TOKEN is renewed by the Source's
// fetches, polling or not.
func TestGivenTokenIsKeptAlive(t *testing.T) {
	mount := engine(t, "kv2", unique("kv"))
	write(t, "kv2", mount, "openai", map[string]any{"api_key": keyprovidertest.NewSecret()})
	renewable := true
	secret, err := admin(t).Auth().Token().CreateWithContext(t.Context(), &api.TokenCreateRequest{
		Policies: []string{policy(t, map[string]string{mount + "/data/openai": "read"})}, TTL: "4s", Period: "4s", Renewable: &renewable})
	must(t, err)
	t.Setenv("VAULT_TOKEN", secret.Auth.ClientToken)
	g := newGate(t)
	p := newProvider(t, g.URL, "", mount+"/openai", vault.Options{})
	source, err := rotation.NewSource(t.Context(), p, &rotation.SourceOptions{PollInterval: -1})
	must(t, err)
	defer source.Close()
	eventually(t, "the second renewal", func() bool { return g.count("PUT auth/token/renew-self") >= 2 })
	if err := source.Health(); err != nil {
		t.Errorf("Health: %v", err)
	}
	fetch(t, p, "")
	if !strings.HasPrefix(p.String(), "vault:") {
		t.Errorf("String = %q", p)
	}
}
