package main

import (
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/keybearer/keybearer/internal/openaitest"
)

// A score counts calls: the application says how they ended, the service which
// key they bore, the spans of the transport which were repeated.
type score struct {
	app   *application
	srv   *openaitest.Server
	spans *tracetest.InMemoryExporter
	line  *timeline

	answered, failed, replayed int64
	accepted                   map[string]int // by name of the key
}

// chapter prints what there was since the last one.
func (s *score) chapter() {
	answered, failed := s.app.answered.Load(), s.app.failed.Load()
	replayed, accepted := countReplays(s.spans.GetSpans()), map[string]int{}
	var keys []string
	for _, k := range s.srv.Keys() {
		accepted[k.Name] = k.Requests - k.Refused
		if n := accepted[k.Name] - s.accepted[k.Name]; n > 0 {
			keys = append(keys, fmt.Sprintf("%d with %s", n, k.Name))
		}
	}
	s.line.say("calls", "%d answered, %d repeated, %d failed; accepted %s",
		answered-s.answered, replayed-s.replayed, failed-s.failed, strings.Join(keys, ", "))
	s.answered, s.failed, s.replayed, s.accepted = answered, failed, replayed, accepted
}

// print prints the sums.
func (s *score) print() {
	s.line.title("What the service saw")
	s.line.print("%-8s %8s %8s", "", "accepted", "refused")
	for _, k := range s.srv.Keys() {
		state := "in use"
		if !k.RevokedAt.IsZero() {
			state = "revoked"
		}
		s.line.print("%-8s %8d %8d  %s", k.Name, k.Requests-k.Refused, k.Refused, state)
	}
	s.line.print("")
	s.line.print("%d calls answered, %d of them streamed; %d repeated with another key; %d failed",
		s.app.answered.Load(), s.app.streamed.Load(), countReplays(s.spans.GetSpans()), s.app.failed.Load())
}
