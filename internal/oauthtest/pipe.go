package oauthtest

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
)

// Network is an internet in memory, without TLS, in which every connection to
// a host reaches its handler. It works in a bubble of testing/synctest.
type Network struct {
	server   http.Server
	listener pipes
	client   *http.Transport
	serving  sync.WaitGroup
}

// NewNetwork serves the handlers by their hosts. An unknown host cannot be
// reached.
func NewNetwork(hosts map[string]http.Handler) *Network {
	n := &Network{listener: pipes{dialed: make(chan net.Conn), closed: make(chan struct{})}}
	n.server.ErrorLog = log.New(io.Discard, "", 0)
	n.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { hosts[r.Host].ServeHTTP(w, r) })
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, _ := net.SplitHostPort(address)
		if hosts[host] == nil {
			return nil, &net.OpError{Op: "dial", Net: network, Err: &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}}
		}
		return n.listener.dial(ctx)
	}
	n.client = &http.Transport{DialContext: dial, DialTLSContext: dial}
	n.serving.Go(func() { _ = n.server.Serve(&n.listener) })
	return n
}

// Transport is the way into the network. https needs no certificate there.
func (n *Network) Transport() *http.Transport { return n.client }

// Close ends the network and waits for it.
func (n *Network) Close() {
	n.client.CloseIdleConnections()
	_ = n.server.Close()
	n.serving.Wait()
}

// pipes is a listener for connections in memory.
type pipes struct {
	dialed chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.dialed <- far:
		return near, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.dialed:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }
