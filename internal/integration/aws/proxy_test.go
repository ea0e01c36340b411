package aws

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// proxy stands before a server, counts its calls and puts faults into them.
type proxy struct {
	*httptest.Server
	behind http.Handler

	mu    sync.Mutex
	fault fault
	calls map[string]int // by operation
}

// fault answers a request instead of the server behind, or with its help.
type fault func(w http.ResponseWriter, r *http.Request, behind http.Handler)

func newProxy(tb testing.TB, target string) *proxy {
	tb.Helper()
	to, err := url.Parse(target)
	if err != nil {
		tb.Fatal(err)
	}
	transport := &http.Transport{}
	quiet := log.New(io.Discard, "", 0)
	p := &proxy{calls: map[string]int{}, behind: &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, Transport: transport, ErrorLog: quiet,
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }, // as a server that is gone
	}}
	p.Server = httptest.NewUnstartedServer(p)
	p.Config.ErrorLog = quiet
	p.Start()
	tb.Cleanup(transport.CloseIdleConnections)
	tb.Cleanup(p.Close)
	tb.Cleanup(func() { p.set(nil); p.CloseClientConnections() })
	return p
}

// set puts a fault in place; nil is none.
func (p *proxy) set(f fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
}

// took returns the number of calls since the last time, by operation and in
// all.
func (p *proxy) took() (calls map[string]int, all int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	calls, p.calls = p.calls, map[string]int{}
	for _, n := range calls {
		all += n
	}
	return calls, all
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// A server notices that a client is gone only once the body is read.
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	p.mu.Lock()
	p.calls[operation(r)]++
	f := p.fault
	p.mu.Unlock()
	if f == nil {
		p.behind.ServeHTTP(w, r)
		return
	}
	f(w, r, p.behind)
}

func operation(r *http.Request) string {
	_, name, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	return name
}

// answers fails every call with an error of AWS's.
func answers(status int, code, message string) fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { answer(w, status, code, message) }
}

func answer(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": message})
}

// deniesDescribe grants GetSecretValue alone.
func deniesDescribe(w http.ResponseWriter, r *http.Request, behind http.Handler) {
	if operation(r) == "DescribeSecret" {
		answer(w, http.StatusBadRequest, "AccessDeniedException", "not authorized to perform: secretsmanager:DescribeSecret")
		return
	}
	behind.ServeHTTP(w, r)
}

// page answers as what stands before a service does.
func page(status int) fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.WriteHeader(status)
		io.WriteString(w, "<html>upstream connect error</html>")
	}
}

// slow delays each answer.
func slow(d time.Duration) fault {
	return func(w http.ResponseWriter, r *http.Request, behind http.Handler) {
		if wait(r, d) {
			behind.ServeHTTP(w, r)
		}
	}
}

// halfOpen takes requests and never answers.
func halfOpen(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() }

// reset resets the connection.
func reset(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}

// starved answers a few bytes at a time.
func starved(w http.ResponseWriter, r *http.Request, behind http.Handler) {
	recorder := httptest.NewRecorder()
	behind.ServeHTTP(recorder, r)
	for name, values := range recorder.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(recorder.Code)
	for body := recorder.Body.Bytes(); len(body) > 0 && wait(r, 20*time.Millisecond); {
		n := min(8, len(body))
		w.Write(body[:n])
		http.NewResponseController(w).Flush()
		body = body[n:]
	}
}

// cut ends the connection in the middle of an answer.
func cut(w http.ResponseWriter, r *http.Request, behind http.Handler) {
	recorder := httptest.NewRecorder()
	behind.ServeHTTP(recorder, r)
	w.Header().Set("Content-Length", recorder.Header().Get("Content-Length"))
	w.Write(recorder.Body.Bytes()[:recorder.Body.Len()/2])
	panic(http.ErrAbortHandler)
}

// skewed refuses signatures by a clock that is an hour ahead of the client's.
func skewed(w http.ResponseWriter, r *http.Request, behind http.Handler) {
	now := time.Now().Add(time.Hour)
	w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
	signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil || now.Sub(signed).Abs() > 5*time.Minute {
		answer(w, http.StatusBadRequest, "InvalidSignatureException", "Signature expired")
		return
	}
	behind.ServeHTTP(w, r)
}

// wait waits for d, and reports whether the client is still there.
func wait(r *http.Request, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

// peek returns the body of a request, which stays to be read.
func peek(r *http.Request) string {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	return string(body)
}

// serial lets one request through at a time: moto answers some that come while
// others write with an error of Python's.
func (p *proxy) serial() {
	var turn sync.Mutex
	behind := p.behind
	p.behind = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		turn.Lock()
		defer turn.Unlock()
		behind.ServeHTTP(w, r)
	})
}
