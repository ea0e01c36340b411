package gcpsm

import (
	"bytes"
	"context"
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
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// childEnv makes the test binary a program that opens the URI which it holds.
// The system's certificates and the credentials are read once in a process, so
// a test of both needs a process of its own.
const childEnv = "GCPSM_TEST_URI"

func child() int {
	p, err := keyprovider.Open(context.Background(), os.Getenv(childEnv))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer p.(*Provider).Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	key, err := p.Fetch(ctx, "")
	if err != nil {
		fmt.Printf("%v\n%+v\n%#v\n", err, err, err)
		return 1
	}
	fmt.Println("fetched", key)
	return 0
}

// run opens a URI in a child with credentials, trust in the certificate, and
// the SDK's debug log switched on.
func run(t *testing.T, uri string, env ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), append(env, childEnv+"="+uri, "GOOGLE_SDK_GO_LOGGING_LEVEL=debug",
		"GOOGLE_CLOUD_GO_LOGGING=true", "GRPC_GO_LOG_SEVERITY_LEVEL=info", "GRPC_GO_LOG_VERBOSITY_LEVEL=99")...)
	out, _ := cmd.CombinedOutput()
	return string(out)
}

// TestDial goes the whole way of a production program: a URI, a service
// account's file, TLS. With the SDK's logs at debug, nothing shows the key.
func TestDial(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	secret := keyprovidertest.NewSecret()
	addr, ca, authorization := serveTLS(t, &service{access: replies{"latest": payload("7", secret)}.access})
	creds := writeCredentials(t)
	env := []string{"SSL_CERT_FILE=" + ca, "GOOGLE_APPLICATION_CREDENTIALS=" + creds}

	out := run(t, "gcpsm://"+place+"?endpoint="+addr, env...)
	if !strings.Contains(out, `fetched Key(version="7"`) {
		t.Errorf("the program says %s", out)
	}
	if keyprovidertest.Leaks(out, secret) {
		t.Error("the output shows the key")
	}
	token := authorization()
	if !strings.HasPrefix(token, "Bearer ey") {
		t.Errorf("the server got no token of the service account")
	}
	if keyprovidertest.Leaks(out, strings.TrimPrefix(token, "Bearer ")) {
		t.Error("the output shows the access token")
	}

	out = run(t, "gcpsm://"+place+"?timeout=300ms&endpoint="+addr, "SSL_CERT_FILE="+creds, "GOOGLE_APPLICATION_CREDENTIALS="+creds)
	if !strings.Contains(out, "unavailable: ") {
		t.Errorf("an unknown certificate: the program says %s", out)
	}
	out = run(t, "gcpsm://"+place, "GOOGLE_APPLICATION_CREDENTIALS="+filepath.Join(t.TempDir(), "none"))
	if !strings.Contains(out, "access denied: no usable Google credentials: ") {
		t.Errorf("no credentials: the program says %s", out)
	}
}

// serveTLS serves over TLS with a certificate of its own, and tells the
// authorization of the last call.
func serveTLS(t *testing.T, s *service) (addr, ca string, authorization func() string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var last string
	server := grpc.NewServer(
		grpc.Creds(credentials.NewServerTLSFromCert(&tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})),
		grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			md, _ := metadata.FromIncomingContext(ctx)
			mu.Lock()
			last = strings.Join(md.Get("authorization"), "")
			mu.Unlock()
			return next(ctx, req)
		}))
	secretmanagerpb.RegisterSecretManagerServiceServer(server, s)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() { server.Stop(); wg.Wait() })
	return listener.Addr().String(), ca, func() string {
		mu.Lock()
		defer mu.Unlock()
		return last
	}
}

// writeCredentials makes the file of a service account, whose tokens the client
// signs itself.
func writeCredentials(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	var private bytes.Buffer
	if err := pem.Encode(&private, &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "my-project", "private_key_id": "k1", "private_key": private.String(),
		"client_email": "reader@my-project.iam.gserviceaccount.com", "token_uri": "http://127.0.0.1:1/token",
	})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "credentials.json")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
