package genai

import (
	"mime"
	"net/http"
	"strings"

	"github.com/keybearer/keybearer/internal/sse"
)

// A Body reads the facts of an answer as its bytes pass. The zero value reads
// nothing until Init. It is not safe for concurrent use.
type Body struct {
	responseReader
	json scanner

	events sse.Parser
	usual  pattern // of the events
	stream bool
	done   bool // the data so far is doneMark's
	seen   int  // bytes of the event's data
	chunks int  // complete events, doneMark not counted

	gunzip *inflater // of a compressed answer; else nil
	gap    string    // see Gap
}

const doneMark = "[DONE]"

// Init makes b ready for an answer. It reports whether there is anything to
// read. model is the one that was asked for.
func (b *Body) Init(h http.Header, model string) bool {
	kind := mediaType(h.Get("Content-Type"))
	b.stream = kind == "text/event-stream"
	if !b.stream && kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		return false
	}
	switch encoding := strings.ToLower(h.Get("Content-Encoding")); encoding {
	case "", "identity":
	case "gzip", "x-gzip":
		b.gunzip = newInflater(b.read)
	default:
		b.gap = "has a Content-Encoding other than gzip"
		return false // nobody who asked for another gets it from OpenAI
	}
	b.model = model
	b.beginObject()
	b.json = newScanner(responseTree, &b.responseReader)
	b.events = sse.NewParser((*eventSink)(b))
	return true
}

// mediaType is the type without its parameters.
func mediaType(contentType string) string {
	switch contentType { // as nearly all say it
	case "application/json", "text/event-stream":
		return contentType
	case "text/event-stream; charset=utf-8":
		return "text/event-stream"
	}
	kind, _, _ := mime.ParseMediaType(contentType)
	return kind
}

// Streams reports whether the answer is a stream of events.
func (b *Body) Streams() bool { return b.stream }

// Gap says what kept an answer of a known type from being read to its end, as a
// predicate whose subject is the answer; "" if nothing did.
func (b *Body) Gap() string { return b.gap }

// Read takes the next piece of the body, and returns how many events became
// complete with it.
func (b *Body) Read(p []byte) (chunks int) {
	before := b.chunks
	if b.gunzip != nil {
		b.gunzip.write(p)
	} else {
		b.read(p)
	}
	return b.chunks - before
}

func (b *Body) read(p []byte) {
	if b.stream {
		b.events.Write(p)
	} else {
		b.json.write(p)
	}
}

// Close ends the reading, at the end of the body or before. No Read may follow.
func (b *Body) Close() {
	if b.gunzip != nil {
		b.gunzip.close()
		b.gap = b.gunzip.gap
		b.gunzip = nil
	}
	if b.stream {
		b.events.Flush()
	}
}

// eventSink is a Body as the parser of events sees it.
type eventSink Body

// Event passes over what cannot change a fact, which is most of a stream.
func (b *eventSink) Event(p []byte) {
	switch {
	case string(p) == doneMark:
	case b.usual.quiet(p, &b.responseReader):
		b.chunks++
	default:
		b.Data(p)
		b.End()
	}
}

func (b *eventSink) Data(p []byte) {
	if b.seen == 0 {
		b.done = true
	}
	b.done = b.done && b.seen+len(p) <= len(doneMark) && string(p) == doneMark[b.seen:b.seen+len(p)]
	b.seen += len(p)
	b.json.write(p)
}

func (b *eventSink) End() {
	if !b.done || b.seen != len(doneMark) {
		b.chunks++
	}
	b.usual.forget()
	b.seen, b.done = 0, false
	b.json.reset() // a broken event is not carried into the next
	b.beginObject()
}
