package gcp

import (
	"context"
	"testing"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/keybearer/keybearer/internal/gcpclient"
	"github.com/keybearer/keybearer/internal/integration/gcp/fakesm"
	"github.com/keybearer/keybearer/keyprovider/gcpsm"
)

const (
	project = "my-project"
	number  = 892942638129
	place   = "projects/" + project + "/secrets/openai"
)

// store is a Secret Manager that listens, and the means to change what it
// holds, by Google's own client.
type store struct {
	*fakesm.Server
	addr  string // over TLS
	plain string // without
	admin *secretmanager.Client

	tb      testing.TB
	opts    fakesm.Options
	running *fakesm.Running
}

// newStore starts a Secret Manager without secrets.
func newStore(tb testing.TB, opts fakesm.Options) *store {
	tb.Helper()
	opts.Projects = map[string]int64{project: number}
	s := &store{Server: fakesm.New(opts), tb: tb, opts: opts}
	s.start("127.0.0.1:0")
	s.addr = s.running.Addr
	plain, err := s.Start("127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s.plain = plain.Addr
	if s.admin, err = fakesm.Client(context.Background(), s.plain); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		s.admin.Close()
		plain.Stop()
		s.running.Stop()
	})
	return s
}

// start listens, for what the provider connects to.
func (s *store) start(addr string) {
	s.tb.Helper()
	running, err := s.Start(addr, grpc.Creds(credentials.NewServerTLSFromCert(certificate)))
	if err != nil {
		s.tb.Fatal(err)
	}
	s.running = running
}

// create makes the secret, with topics to notify.
func (s *store) create(topics ...string) {
	s.tb.Helper()
	secret := &secretmanagerpb.Secret{Replication: &secretmanagerpb.Replication{Replication: &secretmanagerpb.Replication_Automatic_{
		Automatic: &secretmanagerpb.Replication_Automatic{}}}}
	for _, topic := range topics {
		secret.Topics = append(secret.Topics, &secretmanagerpb.Topic{Name: topic})
	}
	_, err := s.admin.CreateSecret(context.Background(), &secretmanagerpb.CreateSecretRequest{
		Parent: "projects/" + project, SecretId: "openai", Secret: secret})
	if err != nil {
		s.tb.Fatal(err)
	}
}

// add stores a value and returns the version's resource name.
func (s *store) add(value string) string {
	s.tb.Helper()
	sum := gcpclient.Checksum([]byte(value))
	version, err := s.admin.AddSecretVersion(context.Background(), &secretmanagerpb.AddSecretVersionRequest{
		Parent: place, Payload: &secretmanagerpb.SecretPayload{Data: []byte(value), DataCrc32C: &sum}})
	if err != nil {
		s.tb.Fatal(err)
	}
	return version.Name
}

func (s *store) delete() {
	s.tb.Helper()
	err := s.admin.DeleteSecret(context.Background(), &secretmanagerpb.DeleteSecretRequest{Name: place})
	if err != nil && status.Code(err) != codes.NotFound {
		s.tb.Fatal(err)
	}
}

// provider is one as a program makes it: with a place, and with an endpoint
// because this one is not Google's.
func (s *store) provider(opts gcpsm.Options) *gcpsm.Provider {
	s.tb.Helper()
	if opts.Endpoint == "" {
		opts.Endpoint = s.addr
	}
	p, err := gcpsm.New(s.tb.Context(), place, &opts)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(func() { p.Close() })
	return p
}
