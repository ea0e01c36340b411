package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// brief are the attributes that a span shows on its line, in the order of the
// line.
var brief = []attribute.Key{
	"http.response.status_code", "http.request.resend_count", "error.type", "keybearer.key.version",
	"gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "gen_ai.response.time_to_first_chunk", "keybearer.fetch.outcome",
}

// printTraces prints each trace as a tree, in the order of their beginnings, and
// one of them once more with all that its spans say.
func printTraces(out io.Writer, spans tracetest.SpanStubs, detailed trace.TraceID) {
	slices.SortStableFunc(spans, func(a, b tracetest.SpanStub) int { return a.StartTime.Compare(b.StartTime) })
	fmt.Fprintf(out, "TRACES\n%-40s %6s %6s\n", "", "start", "took")
	seen := map[trace.TraceID]bool{}
	for _, s := range spans {
		if id := s.SpanContext.TraceID(); !seen[id] {
			seen[id] = true
			tree{out: out, spans: ofTrace(spans, id)}.print(trace.SpanID{}, "", "")
		}
	}
	fmt.Fprintf(out, "\nTHE CALL THAT WAS REPLAYED, IN FULL\n")
	tree{out: out, spans: ofTrace(spans, detailed), full: true}.print(trace.SpanID{}, "", "")
}

func ofTrace(spans tracetest.SpanStubs, id trace.TraceID) tracetest.SpanStubs {
	return slices.DeleteFunc(slices.Clone(spans), func(s tracetest.SpanStub) bool { return s.SpanContext.TraceID() != id })
}

// A tree prints the spans of one trace.
type tree struct {
	out   io.Writer
	spans tracetest.SpanStubs // by their beginnings
	full  bool
}

// print prints the spans below a parent. first and rest are what stands before
// the line of a child, and before those that belong to it.
func (t tree) print(parent trace.SpanID, first, rest string) {
	children := slices.DeleteFunc(slices.Clone(t.spans), func(s tracetest.SpanStub) bool { return s.Parent.SpanID() != parent })
	for i, s := range children {
		branch, below := first+"├─ ", rest+"│  "
		switch {
		case !parent.IsValid():
			branch, below = "", ""
		case i == len(children)-1:
			branch, below = first+"└─ ", rest+"   "
		}
		fmt.Fprintf(t.out, "%-40s %6s %6s  %s\n", branch+s.Name,
			millis(s.StartTime.Sub(t.spans[0].StartTime)), millis(s.EndTime.Sub(s.StartTime)), t.line(s))
		if t.full {
			t.details(s, below)
		}
		t.print(s.SpanContext.SpanID(), below, below)
	}
}

func (t tree) line(s tracetest.SpanStub) string {
	if t.full {
		return ""
	}
	var parts []string
	for _, key := range brief {
		if v := find(s.Attributes, key); v != "" {
			parts = append(parts, short(key)+"="+v)
		}
	}
	for _, e := range s.Events {
		parts = append(parts, "["+short(attribute.Key(e.Name))+" "+find(e.Attributes, "keybearer.key.version")+"]")
	}
	return strings.Join(parts, " ")
}

// details prints all attributes and events.
func (t tree) details(s tracetest.SpanStub, before string) {
	attrs := slices.Clone(s.Attributes)
	slices.SortFunc(attrs, func(a, b attribute.KeyValue) int { return cmp.Compare(a.Key, b.Key) })
	for _, a := range attrs {
		fmt.Fprintf(t.out, "%s   %s = %s\n", before, a.Key, a.Value.String())
	}
	for _, e := range s.Events {
		fmt.Fprintf(t.out, "%s   %s  event %s version %s\n", before, millis(e.Time.Sub(t.spans[0].StartTime)), e.Name, find(e.Attributes, "keybearer.key.version"))
	}
}

// short is the last part of a name, or the last two where that says too little.
func short(key attribute.Key) string {
	parts := strings.Split(string(key), ".")
	last := len(parts) - 1
	switch parts[last] {
	case "version", "type", "outcome", "name", "model":
		last--
	}
	return strings.Join(parts[last:], ".")
}

func millis(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

func find(attrs []attribute.KeyValue, key attribute.Key) string {
	for _, a := range attrs {
		if a.Key == key {
			return a.Value.String()
		}
	}
	return ""
}
