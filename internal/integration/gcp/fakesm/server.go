package fakesm

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Options say what the service is like.
type Options struct {
	// Projects maps the projects' ids to their numbers. Names with either are
	// taken, and answered with the number. Any other project is denied.
	Projects map[string]int64
	// Location makes this the endpoint of a region. Default: the global one.
	Location string
	// Publish is called, in order, with each notification. It must not call
	// the server. Default: notifications go nowhere.
	Publish func(topic string, attributes map[string]string, data []byte)
	// Now is the service's clock. Default: time.Now.
	Now func() time.Time
}

// Server is the service. Make one with New. The methods of the service itself
// are for gRPC to call, after Start: use a Client.
type Server struct {
	secretmanagerpb.UnimplementedSecretManagerServiceServer

	opts Options

	mu      sync.Mutex
	secrets map[string]*secret // by resource name, with the project's number
	etags   int64              // the last one, in microseconds
	calls   map[string]int
	faults  faults
}

// New returns a service without secrets.
func New(opts Options) *Server {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Publish == nil {
		opts.Publish = func(string, map[string]string, []byte) {}
	}
	return &Server{opts: opts, secrets: map[string]*secret{}, calls: map[string]int{}}
}

// Running is a service that listens.
type Running struct {
	// Addr is its host and port.
	Addr string

	server *grpc.Server
	done   chan struct{}
}

// Start listens on addr, such as "127.0.0.1:0". It speaks gRPC without TLS
// unless an option says otherwise.
func (s *Server) Start(addr string, opts ...grpc.ServerOption) (*Running, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	r := &Running{Addr: listener.Addr().String(), done: make(chan struct{}),
		server: grpc.NewServer(append(opts, grpc.UnaryInterceptor(s.intercept))...)}
	secretmanagerpb.RegisterSecretManagerServiceServer(r.server, s)
	go func() {
		defer close(r.done)
		_ = r.server.Serve(listener)
	}()
	return r, nil
}

// Stop closes every connection at once, as a process does that is killed. What
// the service holds stays.
func (r *Running) Stop() {
	r.server.Stop()
	<-r.done
}

// Client returns Google's own client of a service without TLS at addr.
func Client(ctx context.Context, addr string) (*secretmanager.Client, error) {
	return secretmanager.NewClient(ctx, option.WithEndpoint(addr), option.WithoutAuthentication(),
		option.WithTelemetryDisabled(), option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
}

// Calls returns how often each method was called since the last Calls.
func (s *Server) Calls() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = map[string]int{}
	return calls
}

// etag returns a new etag: the time in microseconds, never twice the same.
func (s *Server) etag() string {
	s.etags = max(s.etags+1, s.opts.Now().UnixMicro())
	return fmt.Sprintf(`"1%x"`, s.etags)
}
