package genai

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

func compressed(t testing.TB, text string, flushEvery int) []byte {
	t.Helper()
	var buf bytes.Buffer
	zw := gzip.NewWriter(&buf)
	for len(text) > 0 {
		n := min(flushEvery, len(text))
		zw.Write([]byte(text[:n]))
		zw.Flush()
		text = text[n:]
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestBodyCompressed(t *testing.T) {
	for _, tt := range answers {
		if got, _ := readBody(t, jsonType, compressed(t, tt.body, 1<<20), 7); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
	for _, tt := range streams {
		if got, chunks := readBody(t, streamType, compressed(t, tt.body, 50), 11); !reflect.DeepEqual(got, tt.want) || chunks != tt.chunks {
			t.Errorf("%s: %d chunks, %+v, want %d, %+v", tt.name, chunks, got, tt.chunks, tt.want)
		}
	}
	t.Run("at once", func(t *testing.T) {
		var b Body
		b.Init(http.Header{"Content-Type": {streamType}, "Content-Encoding": {"gzip"}}, "")
		defer b.Close()
		var buf bytes.Buffer
		zw := gzip.NewWriter(&buf)
		for i := range 3 {
			zw.Write([]byte("data: {}\n\n"))
			zw.Flush()
			if got := b.Read(buf.Bytes()); got != 1 {
				t.Errorf("event %d: %d chunks are complete, want 1", i, got)
			}
			buf.Reset()
		}
	})
	t.Run("gaps", func(t *testing.T) {
		whole := compressed(t, answers[0].body, 1<<20)
		for _, tt := range []struct {
			name, encoding string
			body           []byte
			want           string
		}{
			{"whole", "gzip", whole, ""},
			{"cut off", "gzip", whole[:len(whole)/2], ""},
			{"unread", "gzip", nil, ""},
			{"broken within", "gzip", append(whole[:10:10], 0xff, 0xff, 0xff), "says that it is gzip, and is not"},
			{"not gzip", "x-gzip", []byte(answers[0].body), "says that it is gzip, and is not"},
			{"a bomb", "gzip", bytes.Repeat(compressed(t, strings.Repeat("a", 1<<20), 1<<20), maxInflated>>20+1), "grows beyond 64 MiB when it is decompressed"},
			{"another", "br", whole, "has a Content-Encoding other than gzip"},
		} {
			var b Body
			if b.Init(http.Header{"Content-Type": {jsonType}, "Content-Encoding": {tt.encoding}}, "") {
				b.Read(tt.body)
				b.Read([]byte("and more")) // of what has been given up
				b.Close()
			}
			if got := b.Gap(); got != tt.want && tt.name != "whole" {
				t.Errorf("%s: the gap is %q, want %q", tt.name, got, tt.want)
			}
		}
	})
	t.Run("unread", func(t *testing.T) {
		var b Body
		b.Init(http.Header{"Content-Type": {jsonType}, "Content-Encoding": {"gzip"}}, "")
		b.Close()
		b.Close()
	})
}

// TestBodyCompressedOnAnyThread: a body is begun, read and closed on goroutines
// that are locked to threads of their own, and on ones that are not. What runs
// the decompression must not care: the runtime ends the process where a coroutine
// is resumed on another thread.
func TestBodyCompressedOnAnyThread(t *testing.T) {
	locked := func(f func()) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread() // and dies with the goroutine
			f()
		}()
		<-done
	}
	plain := func(f func()) { f() }
	text := compressed(t, answers[0].body, 100)
	for i, on := range [][3]func(func()){
		{plain, locked, plain}, {locked, plain, plain}, {plain, plain, locked}, {locked, locked, locked}, {plain, locked, locked},
	} {
		var b Body
		on[0](func() { b.Init(http.Header{"Content-Type": {jsonType}, "Content-Encoding": {"gzip"}}, "") })
		on[1](func() { b.Read(text[:50]) })
		on[0](func() { b.Read(text[50:]) })
		on[2](b.Close)
		if !reflect.DeepEqual(b.Response, answers[0].want) || b.Gap() != "" {
			t.Errorf("%d: %+v, want %+v; gap %q", i, b.Response, answers[0].want, b.Gap())
		}
	}
}
