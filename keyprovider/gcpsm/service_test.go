package gcpsm

import (
	"context"
	"net"
	"sync"
	"testing"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/keybearer/keybearer/internal/gcpclient"
	"github.com/keybearer/keybearer/keyprovider"
)

const (
	place = "projects/my-project/secrets/openai"
	// answered is the secret as the service names it in its answers.
	answered = "projects/1234567890/secrets/openai"
)

// service is a Secret Manager that answers what the test says.
type service struct {
	secretmanagerpb.UnimplementedSecretManagerServiceServer

	access func(name string) (*secretmanagerpb.AccessSecretVersionResponse, error)
	list   func(*secretmanagerpb.ListSecretVersionsRequest) (*secretmanagerpb.ListSecretVersionsResponse, error)

	mu    sync.Mutex
	calls []string
}

func (s *service) AccessSecretVersion(_ context.Context, req *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error) {
	s.called("access " + req.GetName())
	return s.access(req.GetName())
}

func (s *service) ListSecretVersions(_ context.Context, req *secretmanagerpb.ListSecretVersionsRequest) (*secretmanagerpb.ListSecretVersionsResponse, error) {
	s.called("list " + req.GetParent() + " " + req.GetFilter())
	return s.list(req)
}

func (s *service) called(call string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, call)
}

// take returns the calls since the last take.
func (s *service) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

// serve starts the service and returns Google's own client of it.
func serve(t testing.TB, s *service) *secretmanager.Client {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	secretmanagerpb.RegisterSecretManagerServiceServer(server, s)
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(listener) })
	conn, err := grpc.NewClient("passthrough:fake",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	client, err := secretmanager.NewClient(t.Context(), option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		server.Stop()
		wg.Wait()
	})
	return client
}

// provide returns a provider on the service.
func provide(t testing.TB, s *service, where string, opts Options) *Provider {
	t.Helper()
	opts.Client = serve(t, s)
	return newProvider(t, where, opts)
}

func newProvider(t testing.TB, where string, opts Options) *Provider {
	t.Helper()
	p, err := New(t.Context(), where, &opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// payload is an answer of the service.
func payload(version, secret string) *secretmanagerpb.AccessSecretVersionResponse {
	sum := gcpclient.Checksum([]byte(secret))
	return &secretmanagerpb.AccessSecretVersionResponse{
		Name:    answered + "/versions/" + version,
		Payload: &secretmanagerpb.SecretPayload{Data: []byte(secret), DataCrc32C: &sum},
	}
}

// wantKey checks that a Fetch brought a version with a secret.
func wantKey(t *testing.T, key *keyprovider.Key, err error, version keyprovider.Version, secret string) {
	t.Helper()
	if err != nil {
		t.Fatalf("Fetch: %v", err)
	}
	if key.Version() != version || key.Reveal() != secret {
		t.Errorf("Fetch brought %v, which is the right secret: %t; want version %q", key, key.Reveal() == secret, version)
	}
}
