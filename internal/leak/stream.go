package leak

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/transport"
)

const chat = `{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"one two three"}]}`

// addTransport adds a Transport in use, its client, and an answer in mid-stream.
func (w *World) addTransport(tb testing.TB, protocol string, source *rotation.Source) {
	srv := openaitest.New(&openaitest.Options{TLS: protocol == "HTTP/2"})
	tb.Cleanup(srv.Close)
	for _, secret := range w.Secrets {
		srv.Add(secret, openaitest.MintOptions{})
	}
	base := srv.Transport()
	opts := &transport.Options{Base: base, Origins: []string{srv.Origin()}, Scheme: transport.Bearer()}
	client, err := transport.NewClient(source, opts)
	must(tb, err)
	rt := client.Transport.(*transport.Transport)

	// One call is held; one goes to its end, for an idle connection.
	stream := midStream(tb, srv, client) //nolint:bodyclose // the answer is what is shown; midStream closes it at the end
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, srv.URL()+"/models", nil)
	must(tb, err)
	resp, err := client.Do(req)
	must(tb, err)
	drain(tb, resp)
	if resp.Proto != protocol && resp.Proto != protocol+".0" {
		tb.Fatalf("the answer came by %s, want %s", resp.Proto, protocol)
	}
	w.add(protocol+" Response, read", resp)

	w.add(protocol+" Response in mid-stream", stream)
	w.add(protocol+" Response.Body", stream.Body)
	w.add(protocol+" Response.Request", stream.Request)
	w.add(protocol+" Transport", rt)
	w.add(protocol+" Transport value", *rt)
	w.add(protocol+" http.Client", client)
	w.add(protocol+" http.Client value", *client)
	w.add(protocol+" Scheme", opts.Scheme)
	w.Bases = append(w.Bases, Subject{protocol, base}, Subject{protocol + " in transport.Options", opts}, Subject{protocol + " by Unwrap", rt.Unwrap()})

	refused, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, "https://example.org/", nil)
	must(tb, err)
	_, err = client.Do(refused) //nolint:bodyclose // there is none
	if err == nil {
		tb.Fatal("a call to a foreign origin succeeds")
	}
	w.add(protocol+" error of a call", err)
}

// midStream returns an answer of which a part has arrived. The rest is held
// back until the test ends.
func midStream(tb testing.TB, srv *openaitest.Server, client *http.Client) *http.Response {
	gate := make(chan struct{})
	srv.Inject(openaitest.Fault{Route: "/v1/chat/completions", Gate: gate})
	ctx, cancel := context.WithCancel(tb.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, srv.URL()+"/chat/completions", strings.NewReader(chat))
	must(tb, err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	must(tb, err)
	tb.Cleanup(func() {
		close(gate)
		cancel()
		resp.Body.Close()
	})
	if _, err := io.ReadFull(resp.Body, make([]byte, len("data: "))); err != nil || resp.StatusCode != http.StatusOK {
		tb.Fatalf("status %d, %v", resp.StatusCode, err)
	}
	return resp
}
