package awsclient

import (
	"bytes"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// isolate keeps the machine's own AWS configuration out of a test.
func isolate(t *testing.T) {
	for name, value := range map[string]string{"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_PROFILE": "",
		"AWS_REGION": "", "AWS_CA_BUNDLE": "", "AWS_ENDPOINT_URL": ""} {
		t.Setenv(name, value)
	}
}

func TestLoad(t *testing.T) {
	isolate(t)
	t.Setenv("AWS_REGION", "eu-west-1")
	cfg, err := Load(t.Context(), Settings{Endpoint: "http://127.0.0.1:1"})
	if err != nil || cfg.Region != "eu-west-1" || cfg.BaseEndpoint == nil || *cfg.BaseEndpoint != "http://127.0.0.1:1" {
		t.Fatalf("got %+v, %v", cfg, err)
	}
	if cfg.transport.ForceAttemptHTTP2 || cfg.transport.Proxy == nil {
		t.Error("the transport speaks HTTP/2, or ignores a proxy")
	}
	cfg.Close()

	_, err = Load(t.Context(), Settings{Profile: "none"})
	if err == nil || !strings.Contains(err.Error(), "check AWS_PROFILE") {
		t.Errorf("a missing profile: got %v", err)
	}
}

func TestLoadDoesNotQuoteTheConfiguration(t *testing.T) {
	isolate(t)
	canary := keyprovidertest.NewSecret()
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, []byte("[default]\nregion = eu-west-1\nmax_attempts = "+canary+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONFIG_FILE", path)
	if _, err := Load(t.Context(), Settings{}); err == nil || keyprovidertest.Leaks(err.Error(), canary) {
		t.Errorf("got %v, want an error that does not quote the file", err)
	}
}

// AWS_CA_BUNDLE still counts with our own HTTP client, and a redirect is not
// followed.
func TestLoadTrustsTheBundle(t *testing.T) {
	isolate(t)
	server := httptest.NewTLSServer(http.RedirectHandler("/elsewhere", http.StatusTemporaryRedirect))
	defer server.Close()
	var bundle bytes.Buffer
	if err := pem.Encode(&bundle, &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, bundle.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CA_BUNDLE", path)
	cfg, err := Load(t.Context(), Settings{Region: "eu-west-1"})
	if err != nil {
		t.Fatal(err)
	}
	defer cfg.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := cfg.HTTPClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusTemporaryRedirect {
		t.Errorf("status %d, want the redirect itself", response.StatusCode)
	}
}
