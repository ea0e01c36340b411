package clients

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// TestBesideOTelHTTP: with the HTTP spans of keybearer's off, an application's
// own otelhttp gives them, around the Transport or below it, and there are not
// two of any.
func TestBesideOTelHTTP(t *testing.T) {
	for _, tt := range []struct {
		name            string
		around, below   bool
		ours            bool
		attempts        int
		want            []string // spans as paths of names
		scopeOfHTTPSpan string
	}{
		{"below, ours off", false, true, false, 1, []string{"chat gpt-4o-mini", "chat gpt-4o-mini > HTTP POST"}, otelhttp.ScopeName},
		{"below, ours off, replayed", false, true, false, 2, []string{"chat gpt-4o-mini", "chat gpt-4o-mini > HTTP POST", "chat gpt-4o-mini > HTTP POST"}, otelhttp.ScopeName},
		{"around, ours off", true, false, false, 1, []string{"HTTP POST", "HTTP POST > chat gpt-4o-mini"}, otelhttp.ScopeName},
		{"none, ours on", false, false, true, 1, []string{"chat gpt-4o-mini", "chat gpt-4o-mini > POST"}, "github.com/keybearer/keybearer/transport"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, opts := newBackend(t)
			opts.DisableHTTPTelemetry = !tt.ours
			var lower lateBase
			opts.Base = &lower
			s := newService(t, config{transport: opts})
			other := []otelhttp.Option{otelhttp.WithTracerProvider(opts.TracerProvider), otelhttp.WithMeterProvider(opts.MeterProvider)}
			lower.RoundTripper = s.Transport()
			if tt.below {
				lower.RoundTripper = otelhttp.NewTransport(s.Transport(), other...)
			}
			if tt.around {
				s.client.Transport = otelhttp.NewTransport(s.client.Transport, other...)
			}
			if tt.attempts == 2 {
				s.Revoke(s.put())
			}
			client := s.openai()
			if _, err := client.Chat.Completions.New(t.Context(), chatParams); err != nil {
				t.Fatal(err)
			}
			<-b.ended
			if got := paths(b.spans.Ended()); !slices.Equal(got, tt.want) {
				t.Errorf("the spans are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
			for _, span := range b.spans.Ended() {
				if name := span.InstrumentationScope().Name; strings.Contains(span.Name(), "POST") && name != tt.scopeOfHTTPSpan {
					t.Errorf("the span %q is of %s", span.Name(), name)
				}
			}
			b.wantHidden(s)
		})
	}
}

// lateBase is a base that is known only when the server is.
type lateBase struct{ http.RoundTripper }

// paths writes each span after its parents, "a > b", in the order of the text.
func paths(spans []sdktrace.ReadOnlySpan) (all []string) {
	byID := map[trace.SpanID]sdktrace.ReadOnlySpan{}
	for _, s := range spans {
		byID[s.SpanContext().SpanID()] = s
	}
	for _, s := range spans {
		path := s.Name()
		for p := byID[s.Parent().SpanID()]; p != nil; p = byID[p.Parent().SpanID()] {
			path = p.Name() + " > " + path
		}
		all = append(all, path)
	}
	slices.Sort(all)
	return all
}
