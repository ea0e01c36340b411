package vals

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"

	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// plain holds the key alone, described also what a Rotator writes beside it.
const plain, described = "secret/openai", "secret/described"

// key is what the server holds.
var key = keyprovidertest.NewSecret()

var exports = regexp.MustCompile(`^export VAULT_ADDR=(\S+) VAULT_TOKEN=(\S+)$`)

// TestMain runs a Vault server, in memory, and points the standard variables at
// it, which both providers read.
func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "vals")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "vaultlocal")
	build := exec.Command("go", "build", "-C", filepath.Join("..", "vault"), "-o", program, "./cmd/vaultlocal")
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("building the server: %w\n%s", err, out)
	}
	server := exec.Command(program, "-serve")
	server.Stderr = os.Stderr
	out, err := server.StdoutPipe()
	if err != nil {
		return 1, err
	}
	if err := server.Start(); err != nil {
		return 1, err
	}
	defer func() {
		_ = server.Process.Signal(os.Interrupt)
		_, _ = io.Copy(io.Discard, out)
		_ = server.Wait()
	}()
	line, _, err := bufio.NewReader(out).ReadLine()
	if err != nil {
		return 1, fmt.Errorf("the Vault server does not start: %w", err)
	}
	match := exports.FindSubmatch(line)
	if match == nil {
		return 1, fmt.Errorf("the Vault server does not say where it is")
	}
	os.Unsetenv("VAULT_NAMESPACE")
	os.Setenv("VAULT_ADDR", string(match[1]))
	os.Setenv("VAULT_TOKEN", string(match[2]))
	if err := store(); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

func store() error {
	client, err := api.NewClient(nil)
	if err != nil {
		return err
	}
	for path, fields := range map[string]map[string]any{
		plain: {"api_key": key},
		described: {
			"api_key": key, "key_id": "key_1", "service_account_id": "user-1", "rotation_id": "r1",
			"created_at": "2026-11-23T08:00:00Z", "expires_at": "2027-02-21T08:00:00Z",
		},
	} {
		name := strings.TrimPrefix(path, "secret/")
		if _, err := client.KVv2("secret").Put(context.Background(), name, fields); err != nil {
			return err
		}
	}
	return nil
}
