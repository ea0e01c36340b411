package vals

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/hashicorp/vault/api"

	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

const path = "secret/openai"

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
	_, err = client.Logical().Write("secret/data/openai", map[string]any{"data": map[string]any{"api_key": key}})
	return err
}
