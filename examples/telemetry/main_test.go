package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// perform plays a round and returns what is printed, and the keys of it.
func perform(t *testing.T) (out string, secrets []string) {
	t.Helper()
	ctx := t.Context()
	tel, err := newTelemetry(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPlay(ctx, tel)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	first := p.secret
	if err := p.round(ctx); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := tel.print(ctx, &b, p.replayed); err != nil {
		t.Fatal(err)
	}
	if err := tel.shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	return b.String(), []string{first, p.secret}
}

// TestPrinted: without a backend the program prints what happened, and neither a
// key nor what was asked and answered.
func TestPrinted(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	out, secrets := perform(t)
	for _, want := range []string{
		"\nanswer a question",
		"\n└─ chat gpt-4o-mini",
		"[refused 1] [replayed 2]",
		"error.type=model_not_found", "error.type=rate_limit_exceeded",
		"\n   ├─ POST", "\n   └─ POST", "http.request.resend_count = 1", "event keybearer.call.replayed version 2",
		"\ngen_ai.client.inference.time_to_first_chunk", "\nkeybearer.source.key.age", "fetch.outcome=error",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the output lacks %q", want)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
	mustHide(t, out, secrets)
}

func mustHide(t *testing.T, text string, secrets []string) {
	t.Helper()
	if keyprovidertest.Leaks(text, secrets...) {
		t.Error("a key shows")
	}
	for _, content := range []string{"Summarise", "What is a trace", answer("", "")} {
		if strings.Contains(text, content) {
			t.Errorf("content shows: %s", content)
		}
	}
}

// TestExported: with a collector, both signals go there, and nothing of what
// must not.
func TestExported(t *testing.T) {
	var mu sync.Mutex
	got := map[string][]byte{}
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			body, _ = gzip.NewReader(r.Body)
		}
		b, _ := io.ReadAll(body)
		mu.Lock()
		defer mu.Unlock()
		got[r.URL.Path] = append(got[r.URL.Path], b...)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)

	out, secrets := perform(t)
	if !strings.HasPrefix(out, "The trace of the call that was replayed is ") {
		t.Errorf("the program prints %q", out)
	}
	mu.Lock()
	defer mu.Unlock()
	for path, want := range map[string]string{"/v1/traces": "keybearer.call.replayed", "/v1/metrics": "gen_ai.client.inference.duration"} {
		if !bytes.Contains(got[path], []byte(want)) {
			t.Errorf("%s did not get %s", path, want)
		}
		mustHide(t, string(got[path]), secrets)
	}
}
