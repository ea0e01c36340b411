package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// The attributes that the tree shows, as the transport sets them on the spans of
// a call and of each of its attempts.
const (
	status      = attribute.Key("http.response.status_code")
	resends     = attribute.Key("http.request.resend_count")
	version     = attribute.Key("keybearer.key.version")
	fingerprint = attribute.Key("keybearer.key.fingerprint")
)

// countReplays counts the attempts that were not a call's first.
func countReplays(spans tracetest.SpanStubs) (n int64) {
	for _, s := range spans {
		if _, ok := find(s, resends); ok {
			n++
		}
	}
	return n
}

// printReplay prints the trace of the first call that was repeated.
func printReplay(line *timeline, spans tracetest.SpanStubs) {
	first := slices.IndexFunc(spans, func(s tracetest.SpanStub) bool { _, ok := find(s, resends); return ok })
	if first < 0 {
		return
	}
	id := spans[first].SpanContext.TraceID()
	spans = slices.DeleteFunc(spans, func(s tracetest.SpanStub) bool { return s.SpanContext.TraceID() != id })
	slices.SortFunc(spans, func(a, b tracetest.SpanStub) int { return cmp.Compare(a.StartTime.UnixNano(), b.StartTime.UnixNano()) })

	line.title("The trace of a call whose key was revoked under it")
	line.print("%-22s %6s %6s", "", "start", "took")
	printTree(line, spans, trace.SpanID{}, "", "")
}

// printTree prints the spans below a parent. first and rest are what stands
// before the lines of a child and of its own children.
func printTree(line *timeline, spans tracetest.SpanStubs, parent trace.SpanID, first, rest string) {
	children := slices.DeleteFunc(slices.Clone(spans), func(s tracetest.SpanStub) bool { return s.Parent.SpanID() != parent })
	for i, s := range children {
		branch, below := first+"├─ ", rest+"│  "
		switch {
		case !parent.IsValid():
			branch, below = "", ""
		case i == len(children)-1:
			branch, below = first+"└─ ", rest+"   "
		}
		line.print("%-22s %6s %6s  %s", branch+s.Name,
			millis(s.StartTime.Sub(spans[0].StartTime)), millis(s.EndTime.Sub(s.StartTime)), describe(line, s))
		printTree(line, spans, s.SpanContext.SpanID(), below, below)
	}
}

func millis(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

func describe(line *timeline, s tracetest.SpanStub) string {
	var parts []string
	for _, key := range []attribute.Key{status, resends, version} {
		if v, ok := find(s, key); ok {
			parts = append(parts, fmt.Sprintf("%s=%s", key, v))
		}
	}
	if v, ok := find(s, fingerprint); ok {
		parts = append(parts, "("+line.named(v)+")")
	}
	return strings.Join(parts, " ")
}

func find(s tracetest.SpanStub, key attribute.Key) (string, bool) {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value.String(), true
		}
	}
	return "", false
}
