package gcp

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// certificate is what every fake server of this process shows.
var certificate *tls.Certificate

// TestMain gives the process an authority that the system trusts and a service
// account, so that the providers under test are those of a production program,
// made with no more than a place and an endpoint.
func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "gcp")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		if err := prepare(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		code := m.Run()
		if code == 0 {
			if err := goleak.Find(
				// Started by an import of Google's clients, for the life of the process.
				goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"),
				// Toxiproxy's own, for ever where a client closes a connection whose
				// bytes the proxy is holding back.
				goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run"),
			); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
		}
		return code
	}())
}

func prepare(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	certificate = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	if err := write(dir, "ca.pem", "SSL_CERT_FILE", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})); err != nil {
		return err
	}
	account, err := serviceAccount()
	if err != nil {
		return err
	}
	return write(dir, "account.json", "GOOGLE_APPLICATION_CREDENTIALS", account)
}

// serviceAccount is the file of a service account, whose tokens Google's client
// signs itself: no server for tokens is needed.
func serviceAccount() ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	var private bytes.Buffer
	if err := pem.Encode(&private, &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}); err != nil {
		return nil, err
	}
	return json.Marshal(map[string]string{
		"type": "service_account", "project_id": project, "private_key_id": "k1", "private_key": private.String(),
		"client_email": "reader@" + project + ".iam.gserviceaccount.com", "token_uri": "http://127.0.0.1:1/token",
	})
}

func write(dir, name, env string, data []byte) error {
	name = filepath.Join(dir, name)
	if err := os.WriteFile(name, data, 0o600); err != nil {
		return err
	}
	return os.Setenv(env, name)
}

// lacking skips a test for a reason, or fails it in CI.
func lacking(tb testing.TB, reason string) {
	tb.Helper()
	if os.Getenv("CI") != "" {
		tb.Fatal("needed in CI: ", reason)
	}
	tb.Skip(reason)
}
