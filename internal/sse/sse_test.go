package sse

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// collector is a Sink that keeps everything.
type collector struct {
	t      testing.TB
	data   []byte
	events []string
}

func (c *collector) Data(p []byte) {
	if len(p) == 0 {
		c.t.Error("Data was given nothing")
	}
	c.data = append(c.data, p...)
}

func (c *collector) End() {
	c.events = append(c.events, string(c.data))
	c.data = c.data[:0]
}

func (c *collector) Event(p []byte) {
	if len(c.data) > 0 {
		c.t.Errorf("Event(%q) follows data", p)
	}
	c.events = append(c.events, string(p))
}

// parse feeds a stream in pieces of the sizes given, over and over.
func parse(t testing.TB, stream []byte, sizes ...int) []string {
	c := &collector{t: t}
	p := NewParser(c)
	for i := 0; len(stream) > 0; i++ {
		n := len(stream)
		if len(sizes) > 0 {
			n = min(n, max(1, sizes[i%len(sizes)]))
		}
		piece := bytes.Clone(stream[:n])
		p.Write(piece)
		for i := range piece {
			piece[i] = 'X' // nothing may be kept
		}
		stream = stream[n:]
	}
	p.Flush()
	return c.events
}

// reference is the standard's algorithm over a whole stream, in the plainest
// way, with our one addition: the last event needs no blank line.
func reference(stream []byte) []string {
	text := strings.TrimPrefix(string(stream), bom)
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	var events, lines []string
	for line := range strings.SplitSeq(text+"\n\n", "\n") {
		name, value, _ := strings.Cut(line, ":")
		switch {
		case line == "" && lines != nil:
			events = append(events, strings.Join(lines, "\n"))
			lines = nil
		case name == "data":
			lines = append(lines, strings.TrimPrefix(value, " "))
		}
	}
	return events
}

func TestParser(t *testing.T) {
	for _, tt := range []struct {
		name, stream string
		want         []string
	}{
		{"nothing", "", nil},
		{"one", "data: a\n\n", []string{"a"}},
		{"no space", "data:a\n\n", []string{"a"}},
		{"one space of two", "data:  a\n\n", []string{" a"}},
		{"CRLF", "data: a\r\n\r\ndata: b\r\n\r\n", []string{"a", "b"}},
		{"CR", "data: a\r\rdata: b\r\r", []string{"a", "b"}},
		{"mixed ends", "data: a\r\ndata: b\n\rdata: c\r\n\n", []string{"a\nb", "c"}},
		{"several lines", "data: a\ndata:\ndata: b\n\n", []string{"a\n\nb"}},
		{"comment", ": keep-alive\n\ndata: a\n: within\n\n", []string{"a"}},
		{"other fields", "event: x\nid: 1\nretry: 5\ndata: a\n\nevent: none\n\n", []string{"a"}},
		{"longer and shorter names", "dat: a\ndatax: b\ndata : c\nDATA: d\ndata: e\n\n", []string{"e"}},
		{"empty data", "data\n\ndata:\n\ndata: \n\n", []string{"", "", ""}},
		{"mark", "\ufeffdata: a\n\n", []string{"a"}},
		{"half a mark", "\xef\xbbdata: a\n\ndata: b\n\n", []string{"b"}},
		{"mark later", "data: a\n\n\ufeffdata: b\n\n", []string{"a"}},
		{"no blank line at the end", "data: a\n\ndata: [DONE]\n", []string{"a", "[DONE]"}},
		{"no line end at the end", "data: a\n\ndata: [DONE]", []string{"a", "[DONE]"}},
		{"colon in data", "data: {\"a\":1}\n\n", []string{`{"a":1}`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := reference([]byte(tt.stream)); !slices.Equal(got, tt.want) {
				t.Fatalf("the reference reads %q, want %q", got, tt.want)
			}
			for size := range len(tt.stream) + 1 {
				if got := parse(t, []byte(tt.stream), size); !slices.Equal(got, tt.want) {
					t.Errorf("in pieces of %d: %q, want %q", size, got, tt.want)
				}
			}
		})
	}
}

// TestParserHoldsNothing: neither an endless line nor an endless event costs
// memory.
func TestParserHoldsNothing(t *testing.T) {
	p := NewParser(discard{})
	piece := []byte("data: " + strings.Repeat("x", 1<<10))
	line := []byte("\ndata: y")
	if n := testing.AllocsPerRun(1000, func() { p.Write(piece); p.Write(line) }); n != 0 {
		t.Errorf("Write allocates %v times, want 0", n)
	}
}

type discard struct{}

func (discard) Data([]byte)  {}
func (discard) End()         {}
func (discard) Event([]byte) {}

func FuzzParser(f *testing.F) {
	for _, s := range []string{"data: a\r\n\r\n: c\ndata:b\ndata\n\n[DONE]", "\ufeffdata: a\n\ndata: x", "\xef\xbb", "event: e\rdata: 1\r\r"} {
		f.Add([]byte(s), []byte{1, 2, 3})
	}
	f.Fuzz(func(t *testing.T, stream, cuts []byte) {
		sizes := make([]int, len(cuts))
		for i, c := range cuts {
			sizes[i] = int(c)
		}
		want := reference(stream)
		if got := parse(t, stream, sizes...); !slices.Equal(got, want) {
			t.Errorf("%q in pieces of %v: %q, want %q", stream, sizes, got, want)
		}
	})
}

func BenchmarkParser(b *testing.B) {
	stream := []byte(strings.Repeat("data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"finish_reason\":null}]}\n\n", 100))
	p := NewParser(discard{})
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		p.Write(stream)
	}
}
