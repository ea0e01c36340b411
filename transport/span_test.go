package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

func newSpans() (*sdktrace.TracerProvider, *tracetest.SpanRecorder) {
	rec := tracetest.NewSpanRecorder()
	return sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(rec)), rec
}

// ended returns the spans that have ended, and fails if their number is wrong or
// one shows the key.
func ended(t *testing.T, rec *tracetest.SpanRecorder, want int) []sdktrace.ReadOnlySpan {
	t.Helper()
	spans := rec.Ended()
	if len(spans) != want {
		t.Fatalf("%d spans have ended, want %d", len(spans), want)
	}
	for _, s := range spans {
		mustNotShow(t, "a span", fmt.Sprint(s.Name(), s.Attributes(), s.Events(), s.Status()))
		if s.SpanKind() != trace.SpanKindClient {
			t.Errorf("the kind of a span is %v, want client", s.SpanKind())
		}
	}
	return spans
}

// attrs writes a span's attributes as "key=value" lines, in the order of names.
func attrs(s sdktrace.ReadOnlySpan) string {
	var b strings.Builder
	set := attribute.NewSet(s.Attributes()...)
	for _, kv := range set.ToSlice() {
		fmt.Fprintf(&b, "%s=%s\n", kv.Key, kv.Value.String())
	}
	return b.String()
}

func TestSpan(t *testing.T) {
	key := newKey(t, "v7")
	provider, rec := newSpans()
	rt := newTestTransport(t, always(key), &Options{TracerProvider: provider, Base: roundTripFunc(func(r *http.Request) (*http.Response, error) {
		if !trace.SpanFromContext(r.Context()).IsRecording() {
			t.Error("the base's context has no span")
		}
		if r.Header.Get("Traceparent") != "" {
			t.Error("the trace context is propagated, though nobody asked for it")
		}
		resp := answer(200, "answer")
		resp.ProtoMajor, resp.ProtoMinor = 1, 1
		resp.Header.Set("X-Request-Id", "req_1")
		return resp, nil
	})})
	resp, err := rt.RoundTrip(newRequest(t, "POST", "https://api.openai.com/v1/files?user=secret#f", strings.NewReader("{}")))
	if err != nil {
		t.Fatal(err)
	}
	ended(t, rec, 0)
	readAll(t, resp)
	span := ended(t, rec, 1)[0]
	want := `http.request.method=POST
http.response.header.x-request-id=["req_1"]
http.response.status_code=200
keybearer.key.fingerprint=` + key.Fingerprint() + `
keybearer.key.version=v7
network.protocol.version=1.1
server.address=api.openai.com
server.port=443
url.full=https://api.openai.com/v1/files
`
	if got := attrs(span); got != want || span.Name() != "POST" || span.Status().Code != codes.Unset {
		t.Errorf("span %q, status %v\n%swant\n%s", span.Name(), span.Status(), got, want)
	}
}

// TestSpanOfReplay: one span for each attempt, the second one counted.
func TestSpanOfReplay(t *testing.T) {
	v1, v2 := newKey(t, "v1"), newKey(t, "v2")
	provider, rec := newSpans()
	_, srv := startService(t, v2)
	rt := newTestTransport(t, sequence(v1, v2), &Options{TracerProvider: provider, Base: ownBase(t), Origins: []string{srv.URL}})
	resp, err := rt.RoundTrip(newRequest(t, "POST", srv.URL, strings.NewReader("hi")))
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, resp)
	spans := ended(t, rec, 2)
	for i, want := range [][]string{
		{"http.response.status_code=401", "error.type=401", "keybearer.key.version=v1"},
		{"http.response.status_code=200", "http.request.resend_count=1", "keybearer.key.version=v2"},
	} {
		for _, w := range want {
			if got := attrs(spans[i]); !strings.Contains(got, w+"\n") {
				t.Errorf("span %d lacks %s:\n%s", i, w, got)
			}
		}
	}
	if got := attrs(spans[0]); strings.Contains(got, "resend_count") {
		t.Errorf("the first attempt counts as sent again:\n%s", got)
	}
	if spans[0].Status().Code != codes.Error || spans[0].Status().Description != "" {
		t.Errorf("the status of the refused attempt is %v, want an error without text", spans[0].Status())
	}
	if spans[0].EndTime().After(spans[1].StartTime()) {
		t.Error("the refused attempt's span ends after the replay began")
	}
}

// TestSpanOfRedirect: hops are counted, and one without the key names none.
func TestSpanOfRedirect(t *testing.T) {
	provider, rec := newSpans()
	key := newKey(t, "v1")
	web := newWebOfHosts(t, bearer(key))
	client, err := NewClient(always(key), &Options{TracerProvider: provider, Base: web.base(t), Origins: []string{"http://api.test"}})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(newRequest(t, "GET", "http://api.test/go?code=302&to=http://u:p@foreign.test:8080", nil))
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, resp)
	spans := ended(t, rec, 2)
	got := attrs(spans[1])
	for _, want := range []string{"http.request.resend_count=1", "server.address=foreign.test", "server.port=8080", "url.full=http://foreign.test:8080/go"} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("the span of the redirected request lacks %s:\n%s", want, got)
		}
	}
	if strings.Contains(got, "keybearer.") {
		t.Errorf("the span of a request without a key names one:\n%s", got)
	}
}

// TestSpanEndsOnce: whatever ends an attempt ends its span, once, and with the
// kind of its error.
func TestSpanEndsOnce(t *testing.T) {
	failing := func(err error) io.ReadCloser {
		return io.NopCloser(io.MultiReader(strings.NewReader("x"), readerFunc(func([]byte) (int, error) { return 0, err })))
	}
	for _, tt := range []struct {
		name      string
		body      io.ReadCloser
		err       error
		use       func(resp *http.Response, cancel func())
		errorType string
	}{
		{name: "read to the end", body: io.NopCloser(strings.NewReader("x")), use: func(r *http.Response, _ func()) { io.ReadAll(r.Body) }},
		{name: "read and closed", body: io.NopCloser(strings.NewReader("x")), use: func(r *http.Response, _ func()) { io.ReadAll(r.Body); r.Body.Close(); r.Body.Close() }},
		{name: "closed", body: io.NopCloser(strings.NewReader("x")), use: func(r *http.Response, _ func()) { r.Body.Close() }},
		{name: "closed, then cancelled", body: io.NopCloser(strings.NewReader("x")), use: func(r *http.Response, cancel func()) { r.Body.Close(); cancel() }},
		{name: "no body", body: http.NoBody, use: func(*http.Response, func()) {}},
		{name: "cancelled, nobody reads", body: io.NopCloser(strings.NewReader("x")), use: func(_ *http.Response, cancel func()) { cancel() }, errorType: "canceled"},
		{name: "cancelled, then closed", body: io.NopCloser(strings.NewReader("x")), use: func(r *http.Response, cancel func()) { cancel(); synctest.Wait(); r.Body.Close() }, errorType: "canceled"},
		{name: "deadline", body: io.NopCloser(strings.NewReader("x")), use: func(*http.Response, func()) { time.Sleep(time.Hour) }, errorType: "timeout"},
		{name: "cut off", body: failing(io.ErrUnexpectedEOF), use: func(r *http.Response, _ func()) { io.ReadAll(r.Body); r.Body.Close() }, errorType: "eof"},
		{name: "unknown error", body: failing(errTest), use: func(r *http.Response, _ func()) { io.ReadAll(r.Body); r.Body.Close() }, errorType: "_OTHER"},
		{name: "no answer", err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, errorType: "connect"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				provider, rec := newSpans()
				rt := newTestTransport(t, always(newKey(t, "v1")), &Options{TracerProvider: provider, Base: roundTripFunc(func(*http.Request) (*http.Response, error) {
					if tt.err != nil {
						return nil, tt.err
					}
					return &http.Response{StatusCode: 200, Body: tt.body}, nil
				})})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				resp, err := rt.RoundTrip(newRequest(t, "GET", "https://api.openai.com", nil).WithContext(ctx))
				if !errors.Is(err, tt.err) {
					t.Fatal(err)
				}
				if err == nil {
					tt.use(resp, cancel)
				}
				synctest.Wait()
				span := ended(t, rec, 1)[0]
				got := ""
				for _, kv := range span.Attributes() {
					if kv.Key == attrErrorType {
						got = kv.Value.AsString()
					}
				}
				if got != tt.errorType || (span.Status().Code == codes.Error) != (tt.errorType != "") {
					t.Errorf("error.type is %q, status %v; want %q", got, span.Status(), tt.errorType)
				}
			})
		})
	}
}

func TestErrorType(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("x: %w", context.Canceled), "canceled"},
		{context.DeadlineExceeded, "timeout"},
		{&net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}, "dns"},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, "connect"},
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, "_OTHER"},
		{io.EOF, "eof"},
		{errors.New("x"), "_OTHER"},
	} {
		if got := errorType(tt.err); got != tt.want {
			t.Errorf("errorType(%v) = %s, want %s", tt.err, got, tt.want)
		}
	}
}

func TestSpanNames(t *testing.T) {
	for _, tt := range []struct{ method, value, name string }{
		{"", "GET", "GET"}, {"DELETE", "DELETE", "DELETE"}, {"get", "_OTHER", "HTTP"}, {"PROPFIND", "_OTHER", "HTTP"},
	} {
		if value, name := spanMethod(tt.method); value != tt.value || name != tt.name {
			t.Errorf("spanMethod(%q) = %s, %s; want %s, %s", tt.method, value, name, tt.value, tt.name)
		}
	}
	provider, rec := newSpans()
	rt := newTestTransport(t, always(newKey(t, "v1")), &Options{TracerProvider: provider, Base: nothing})
	resp, err := rt.RoundTrip(newRequest(t, "PROPFIND", "https://api.openai.com", nil))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := attrs(ended(t, rec, 1)[0]); !strings.Contains(got, "http.request.method_original=PROPFIND\n") {
		t.Errorf("the span lacks the method as it was sent:\n%s", got)
	}
}

func TestServerOf(t *testing.T) {
	for _, tt := range []struct {
		url     string
		address string
		port    int
	}{
		{"http://a.example", "a.example", 80},
		{"https://[::1]:8443/x", "::1", 8443},
		{"https://bücher.example:1", "bücher.example", 0},
	} {
		u, err := url.Parse(tt.url)
		if err != nil {
			t.Fatal(err)
		}
		if address, port := serverOf(u, nil); address != tt.address || port != tt.port {
			t.Errorf("serverOf(%s) = %s, %d; want %s, %d", tt.url, address, port, tt.address, tt.port)
		}
	}
}
