// Vaultlocal shows examples/vault on one machine: it runs a Vault server and a
// fake OpenAI, sets up the policy and the AppRole that the example's README
// shows, starts the example, and rotates the key under it:
//
//	go run -C internal/integration/vault ./cmd/vaultlocal
//
// It ends after a few rotations, with an error if a call of the example failed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/keybearer/keybearer/internal/integration/vault/vaultserver"
	"github.com/keybearer/keybearer/internal/openaitest"
)

func main() {
	vaultserver.Child()
	rotations := flag.Int("rotations", 3, "how often to rotate")
	every := flag.Duration("every", 5*time.Second, "time between two rotations")
	serve := flag.Bool("serve", false, "run only the server, and print how to reach it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *rotations, *every, *serve); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "vaultlocal:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, rotations int, every time.Duration, serve bool) error {
	server, err := vaultserver.Spawn()
	if err != nil {
		return err
	}
	defer server.Close()
	if err := server.Mount(ctx, "secret", "kv", map[string]string{"version": "2"}); err != nil {
		return err
	}
	if serve {
		fmt.Printf("export VAULT_ADDR=%s VAULT_TOKEN=%s\n", server.Addr, server.RootToken)
		<-ctx.Done()
		return nil
	}
	service := openaitest.New(nil)
	defer service.Close()
	client, err := server.Client()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "vaultlocal")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	op := &operator{client: client, openai: service}
	if err := op.rotate(ctx); err != nil {
		return err
	}
	source, err := op.appRole(ctx, dir)
	if err != nil {
		return err
	}
	example, err := start(ctx, server.Addr, service.URL(), source)
	if err != nil {
		return err
	}
	rotateErr := op.rotateUnder(ctx, rotations, every)
	_ = example.Process.Signal(os.Interrupt)
	return errors.Join(rotateErr, example.Wait())
}

// start builds and starts the example. It gets no token: it logs in.
func start(ctx context.Context, vaultAddr, openaiURL, source string) (*exec.Cmd, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/keybearer/keybearer").Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	program := filepath.Join(os.TempDir(), fmt.Sprintf("keybearer-example-vault-%d", os.Getpid()))
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./examples/vault")
	build.Dir, build.Stderr = strings.TrimSpace(string(root)), os.Stderr
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("go build: %w", err)
	}
	defer os.Remove(program) // a running program needs no name
	example := exec.CommandContext(ctx, program, "-every", "500ms")
	example.Env = append(os.Environ(), "VAULT_ADDR="+vaultAddr, "VAULT_TOKEN=", "OPENAI_BASE_URL="+openaiURL, "OPENAI_KEY_SOURCE="+source)
	example.Stdout, example.Stderr = os.Stdout, os.Stderr
	return example, example.Start()
}

// An operator sets up Vault and rotates the key.
type operator struct {
	client *api.Client
	openai *openaitest.Server
	key    string
}

const policy = `
path "secret/data/openai" { capabilities = ["read"] }
path "sys/events/subscribe/kv-v2/*" { capabilities = ["read"] }
`

// appRole lets a role read the secret, and returns the source that logs in with
// it: the secret id is wrapped, as one would hand it to a machine.
func (o *operator) appRole(ctx context.Context, dir string) (source string, err error) {
	if err := o.client.Sys().PutPolicyWithContext(ctx, "openai-reader", policy); err != nil {
		return "", err
	}
	if err := o.client.Sys().EnableAuthWithOptionsWithContext(ctx, "approle", &api.EnableAuthOptions{Type: "approle"}); err != nil {
		return "", err
	}
	role := map[string]any{"token_policies": "openai-reader", "token_ttl": "1h", "token_max_ttl": "24h"}
	if _, err := o.client.Logical().WriteWithContext(ctx, "auth/approle/role/assistant", role); err != nil {
		return "", err
	}
	id, err := o.client.Logical().ReadWithContext(ctx, "auth/approle/role/assistant/role-id")
	if err != nil {
		return "", err
	}
	roleID, _ := id.Data["role_id"].(string)
	wrapping, err := o.client.Clone()
	if err != nil {
		return "", err
	}
	wrapping.SetToken(o.client.Token())
	wrapping.SetWrappingLookupFunc(func(string, string) string { return "5m" })
	wrapped, err := wrapping.Logical().WriteWithContext(ctx, "auth/approle/role/assistant/secret-id", nil)
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "secret-id")
	if err := os.WriteFile(file, []byte(wrapped.WrapInfo.Token), 0o600); err != nil {
		return "", err
	}
	query := url.Values{"auth": {"approle"}, "role_id": {roleID}, "secret_id_file": {file}, "wrapped": {"true"}}
	return "vault://secret/openai?" + query.Encode(), nil
}

// rotate mints a key and stores it.
func (o *operator) rotate(ctx context.Context) error {
	o.key = o.openai.Mint(openaitest.MintOptions{})
	stored, err := o.client.KVv2("secret").Put(ctx, "openai", map[string]any{"api_key": o.key})
	if err == nil {
		fmt.Printf("--- version %d of the key is stored\n", stored.VersionMetadata.Version)
	}
	return err
}

// rotateUnder rotates under the example, and revokes each old key some time
// after the new one was stored.
func (o *operator) rotateUnder(ctx context.Context, rotations int, every time.Duration) error {
	ticker := time.NewTicker(every / 2)
	defer ticker.Stop()
	wait := func() error {
		select {
		case <-ticker.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for range rotations {
		if err := wait(); err != nil {
			return err
		}
		old := o.key
		if err := o.rotate(ctx); err != nil {
			return err
		}
		if err := wait(); err != nil {
			return err
		}
		o.openai.Revoke(old)
		fmt.Println("--- the old key is revoked at OpenAI")
	}
	return wait()
}
