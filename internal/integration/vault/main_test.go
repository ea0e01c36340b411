package vault

import (
	"fmt"
	"os"
	"testing"

	"github.com/keybearer/keybearer/internal/integration/vault/vaultserver"
)

// server is the one server of all tests, in a process of its own. Each test has
// its own engines, policies and methods.
var server *vaultserver.Remote

func TestMain(m *testing.M) {
	vaultserver.Child()
	for _, name := range []string{"VAULT_ADDR", "VAULT_AGENT_ADDR", "VAULT_TOKEN", "VAULT_NAMESPACE", "VAULT_HEADERS"} {
		os.Unsetenv(name)
	}
	var err error
	if server, err = vaultserver.Spawn(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = server.Close()
	os.Exit(code)
}
