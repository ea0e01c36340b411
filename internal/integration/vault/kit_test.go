package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/vault"
)

var serial atomic.Int64

// unique returns a name that no other test uses.
func unique(prefix string) string { return prefix + "-" + strconv.FormatInt(serial.Add(1), 10) }

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// admin is an operator with the root token.
func admin(tb testing.TB) *api.Client {
	tb.Helper()
	client, err := server.Client()
	must(tb, err)
	return client
}

// engine mounts "kv1", "kv2" or "leased" for the test.
func engine(tb testing.TB, kind, path string) string {
	tb.Helper()
	name, options := "kv", map[string]string{"version": strings.TrimPrefix(kind, "kv")}
	if kind == "leased" {
		name, options = kind, nil
	}
	must(tb, server.Mount(tb.Context(), path, name, options))
	return path
}

// write stores the fields of a secret, in whichever kind of engine.
func write(tb testing.TB, kind, mount, name string, fields map[string]any) {
	tb.Helper()
	ctx := context.WithoutCancel(tb.Context())
	if kind == "kv2" {
		_, err := admin(tb).KVv2(mount).Put(ctx, name, fields)
		must(tb, err)
		return
	}
	_, err := admin(tb).Logical().WriteWithContext(ctx, mount+"/"+name, fields)
	must(tb, err)
}

// policy writes a policy that grants capabilities on API paths.
func policy(tb testing.TB, rules map[string]string) (name string) {
	tb.Helper()
	name = unique("policy")
	setPolicy(tb, name, rules)
	return name
}

func setPolicy(tb testing.TB, name string, rules map[string]string) {
	tb.Helper()
	var text strings.Builder
	for path, capability := range rules {
		fmt.Fprintf(&text, "path %q { capabilities = [%q] }\n", path, capability)
	}
	must(tb, admin(tb).Sys().PutPolicyWithContext(context.WithoutCancel(tb.Context()), name, text.String()))
}

// token makes a token with one policy and without "default", so that it can do
// nothing else, not even look itself up.
func token(tb testing.TB, policy string) string {
	tb.Helper()
	secret, err := admin(tb).Auth().Token().CreateWithContext(tb.Context(), &api.TokenCreateRequest{Policies: []string{policy}, NoDefaultPolicy: true, TTL: "1h"})
	must(tb, err)
	return secret.Auth.ClientToken
}

// reader makes a token that may read one API path.
func reader(tb testing.TB, path string) string {
	return token(tb, policy(tb, map[string]string{path: "read"}))
}

// newProvider makes a provider that bears a token, if tok is not "".
func newProvider(tb testing.TB, addr, tok, path string, opts vault.Options) *vault.Provider {
	tb.Helper()
	opts.Address = addr
	if tok != "" {
		opts.TokenFile = file(tb, tok)
	}
	p, err := vault.New(tb.Context(), path, &opts)
	must(tb, err)
	tb.Cleanup(func() { _ = p.Close() })
	return p
}

// file writes a file that holds content.
func file(tb testing.TB, content string) (path string) {
	tb.Helper()
	path = filepath.Join(tb.TempDir(), "content")
	must(tb, os.WriteFile(path, []byte(content+"\n"), 0o600))
	return path
}

func fetch(tb testing.TB, p keyprovider.KeyProvider, last keyprovider.Version) *keyprovider.Key {
	tb.Helper()
	key, err := p.Fetch(tb.Context(), last)
	if err != nil {
		tb.Fatalf("Fetch(%q): %v", last, err)
	}
	return key
}

func wantClass(tb testing.TB, err, class error, says ...string) {
	tb.Helper()
	if !errors.Is(err, class) {
		tb.Errorf("error = %v, want %v", err, class)
		return
	}
	for _, text := range says {
		if !strings.Contains(err.Error(), text) {
			tb.Errorf("error = %v, want it to say %q", err, text)
		}
	}
}

// asFields is a stored value as the fields of a secret: an object's members, or
// one field. Some engines need one field at least.
func asFields(value []byte) map[string]any {
	var object map[string]any
	if json.Unmarshal(value, &object) == nil && object != nil {
		return object
	}
	return map[string]any{"api_key": string(value)}
}

// eventually waits until done. The bound is for what never happens: a machine
// may be slow.
func eventually(tb testing.TB, what string, done func() bool) {
	tb.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	timeout := time.After(2 * time.Minute)
	for !done() {
		select {
		case <-ticker.C:
		case <-timeout:
			tb.Fatalf("%s did not happen", what)
		}
	}
}
