package aws

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/keybearer/keybearer/internal/integration/aws/motoserver"
)

// shared is the server of all tests but those that stop it.
var shared func() (*motoserver.Server, error)

func TestMain(m *testing.M) {
	os.Unsetenv("AWS_CA_BUNDLE")
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": region, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		os.Setenv(name, value)
	}
	used := false
	shared = sync.OnceValues(func() (*motoserver.Server, error) {
		used = true
		return motoserver.Start()
	})
	code := m.Run()
	if used {
		if server, err := shared(); err == nil {
			server.Kill()
		}
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// sharedMoto returns the URL of the server that tests share, each with secrets
// of its own.
func sharedMoto(tb testing.TB) string {
	tb.Helper()
	server, err := shared()
	check(tb, err)
	return server.URL
}

// ownMoto starts a server for a test that stops it.
func ownMoto(tb testing.TB) *motoserver.Server {
	tb.Helper()
	server, err := motoserver.Start()
	check(tb, err)
	tb.Cleanup(server.Kill)
	return server
}

// check skips the test where there is no moto_server. In CI that is a failure:
// a test that never runs shows nothing.
func check(tb testing.TB, err error) {
	tb.Helper()
	switch {
	case errors.Is(err, motoserver.ErrMissing) && os.Getenv("CI") == "":
		tb.Skip(err)
	case err != nil:
		tb.Fatal(err)
	}
}
