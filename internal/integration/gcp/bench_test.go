package gcp

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	"gocloud.dev/runtimevar"
	"gocloud.dev/runtimevar/gcpsecretmanager"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/keybearer/keybearer/internal/integration/gcp/fakesm"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/gcpsm"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// BenchmarkPoll is one look at an unchanged secret, by this module and by the
// Go CDK, with the same client of the same server. The server runs in this
// process, so its work is in the figures of both. wire-B/op is what goes over
// the connection both ways, without TLS and without an access token.
func BenchmarkPoll(b *testing.B) {
	b.Run("gcpsm", func(b *testing.B) {
		s, client, wire := pollStore(b)
		p, err := gcpsm.New(b.Context(), place, &gcpsm.Options{Client: client})
		if err != nil {
			b.Fatal(err)
		}
		defer p.Close()
		poll := func() {
			if _, err := p.Fetch(b.Context(), "1"); !errors.Is(err, keyprovider.ErrNotModified) {
				b.Fatalf("the poll brought something new (%v)", err)
			}
		}
		if _, err := p.Fetch(b.Context(), ""); err != nil {
			b.Fatal(err)
		}
		poll()
		measure(b, s, wire, poll)
	})
	b.Run("gocloud", func(b *testing.B) {
		s, client, wire := pollStore(b)
		// A variable polls by itself; a wait of a nanosecond lets it poll
		// without end, and each call of the first kind is held until the next
		// poll is wanted.
		begin := make(chan struct{})
		s.SetFault(func(ctx context.Context, method string, _ any) error {
			if method == "AccessSecretVersion" {
				select {
				case begin <- struct{}{}:
				case <-ctx.Done():
				}
			}
			return nil
		})
		v, err := gcpsecretmanager.OpenVariable(client, place, runtimevar.StringDecoder,
			&gcpsecretmanager.Options{WaitDuration: time.Nanosecond})
		if err != nil {
			b.Fatal(err)
		}
		defer v.Close()
		for range 3 {
			<-begin
		}
		measure(b, s, wire, func() { <-begin })
	})
}

// pollStore is a store with a secret, and a client that counts its bytes.
func pollStore(b *testing.B) (*store, *secretmanager.Client, *atomic.Int64) {
	b.Helper()
	s := newStore(b, fakesm.Options{})
	s.create()
	s.add(keyprovidertest.NewSecret())
	wire := new(atomic.Int64)
	client, err := secretmanager.NewClient(b.Context(), option.WithEndpoint(s.plain), option.WithoutAuthentication(), option.WithTelemetryDisabled(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
		option.WithGRPCDialOption(grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
			return &counted{conn, wire}, err
		})))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { client.Close() })
	return s, client, wire
}

func measure(b *testing.B, s *store, wire *atomic.Int64, poll func()) {
	s.Calls()
	wire.Store(0)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		poll()
	}
	calls := 0
	for _, c := range s.Calls() {
		calls += c
	}
	b.ReportMetric(float64(calls)/float64(n), "calls/op")
	b.ReportMetric(float64(wire.Load())/float64(n), "wire-B/op")
}

// counted counts the bytes of a connection.
type counted struct {
	net.Conn
	n *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.n.Add(int64(n))
	return n, err
}
