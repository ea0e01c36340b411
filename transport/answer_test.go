package transport

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestAnswerPassesThrough: each read of the caller is one read below, with the
// same bytes, the same error and the same room.
func TestAnswerPassesThrough(t *testing.T) {
	w := newWatcher(t)
	type step struct {
		text string
		err  error
	}
	steps := []step{{"data: {\"id\"", nil}, {"", nil}, {":\"x\"}\n", nil}, {"\n", nil}, {"data: [DO", nil}, {"NE]", io.EOF}}
	var sizes []int
	rt := newTestTransport(t, always(newKey(t, "v1")), w.over(roundTripFunc(func(*http.Request) (*http.Response, error) {
		resp := streamOf()
		i := 0
		resp.Body = io.NopCloser(readerFunc(func(p []byte) (int, error) {
			s := steps[i]
			i++
			sizes = append(sizes, len(p))
			return copy(p, s.text), s.err
		}))
		return resp, nil
	})))
	resp, err := rt.RoundTrip(newRequest(t, "POST", chatURL, strings.NewReader(`{"stream":true}`)))
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range steps {
		buf := make([]byte, 20+i)
		n, err := resp.Body.Read(buf)
		if string(buf[:n]) != s.text || err != s.err || len(sizes) != i+1 || sizes[i] != len(buf) {
			t.Errorf("read %d gives %q, %v after %d reads below; want %q, %v after %d", i, buf[:n], err, len(sizes), s.text, s.err, i+1)
		}
	}
	if call := w.call(); call.ResponseID != "x" {
		t.Errorf("the id is %q", call.ResponseID)
	}
}

// TestAnswerCompressed: an answer that the caller asked to have compressed
// arrives compressed, and is read nevertheless.
func TestAnswerCompressed(t *testing.T) {
	var buf bytes.Buffer
	zw := gzip.NewWriter(&buf)
	io.WriteString(zw, chatAnswer)
	zw.Close()
	w := newWatcher(t)
	rt := newTestTransport(t, always(newKey(t, "v1")), w.over(roundTripFunc(func(*http.Request) (*http.Response, error) {
		resp := answer(200, buf.String())
		resp.Header.Set("Content-Encoding", "gzip")
		return resp, nil
	})))
	for _, early := range []bool{false, true} {
		resp, err := rt.RoundTrip(newRequest(t, "POST", chatURL, strings.NewReader(chatRequest)))
		if err != nil {
			t.Fatal(err)
		}
		if early { // no coroutine is left
			resp.Body.Read(make([]byte, 20))
			resp.Body.Close()
			continue
		}
		if got := readAll(t, resp); got != buf.String() {
			t.Error("the caller reads something else than was sent")
		}
	}
	if got := w.calls[0].Usage; got.InputTokens != 11 || got.OutputTokens != 22 {
		t.Errorf("usage is %+v", got)
	}
}

// TestAnswerThatCannotBeRead: the caller gets it as it is, and one line of the
// log says why there is no usage.
func TestAnswerThatCannotBeRead(t *testing.T) {
	w := newWatcher(t)
	rt := newTestTransport(t, always(newKey(t, "v1")), w.over(roundTripFunc(func(*http.Request) (*http.Response, error) {
		resp := answer(200, chatAnswer)
		resp.Header.Set("Content-Encoding", "zstd")
		return resp, nil
	})))
	resp, err := rt.RoundTrip(newRequest(t, "POST", chatURL, strings.NewReader(chatRequest)))
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, resp); got != chatAnswer {
		t.Errorf("the caller reads %q", got)
	}
	op, _ := w.operation()
	want := `level=DEBUG msg="keybearer: no usage is known of the call, because its answer has a Content-Encoding other than gzip" trace_id=` + op.SpanContext().TraceID().String()
	if got := w.logs.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, want) {
		t.Errorf("the log says %q, want one line with %q", got, want)
	}
	if w.call().Usage.Known {
		t.Error("usage is known")
	}
}

// TestAnswerRepeatsTheKey: a service that puts the key into what is recorded.
func TestAnswerRepeatsTheKey(t *testing.T) {
	key := newKey(t, "v1")
	k := key.Reveal()
	w := newWatcher(t)
	rt := newTestTransport(t, always(key), w.over(roundTripFunc(func(*http.Request) (*http.Response, error) {
		return streamOf(`{"id":"`+k+`","model":"x`+k+`","service_tier":"`+k+`","system_fingerprint":"`+k+`","choices":[{"index":0,"finish_reason":"`+k+`"}]}`,
			`{"usage":{"prompt_tokens":1},"error":{"code":"`+k+`","type":"`+k+`"}}`), nil
	})))
	resp, err := rt.RoundTrip(newRequest(t, "POST", chatURL, strings.NewReader(`{"model":"m","stream":true}`)))
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, resp)
	mustNotShow(t, "telemetry", w.everything())
}

// TestAnswerDuplex: a switched protocol still writes, observed or not.
func TestAnswerDuplex(t *testing.T) {
	w := newWatcher(t)
	pipe := &duplex{Reader: strings.NewReader("in")}
	rt := newTestTransport(t, always(newKey(t, "v1")), w.over(roundTripFunc(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 101, Body: pipe}, nil
	})))
	resp, err := rt.RoundTrip(newRequest(t, "GET", "https://api.openai.com/v1/realtime", nil))
	if err != nil {
		t.Fatal(err)
	}
	rw, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		t.Fatalf("the body is a %T that cannot write", resp.Body)
	}
	io.WriteString(rw, "out")
	if b := make([]byte, 2); pipe.out.String() != "out" {
		t.Errorf("written: %q", pipe.out.String())
	} else if _, err := io.ReadFull(rw, b); err != nil || string(b) != "in" {
		t.Errorf("read %q, %v", b, err)
	}
	rw.Close()
	if call := w.call(); call.Status != 101 {
		t.Errorf("status is %d", call.Status)
	}
}

type duplex struct {
	io.Reader
	out bytes.Buffer
}

func (d *duplex) Write(p []byte) (int, error) { return d.out.Write(p) }
func (*duplex) Close() error                  { return nil }

// FuzzAnswer: whatever is sent in whatever pieces, the caller reads just that.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("data: {\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n"), 3, true)
	f.Add([]byte(chatAnswer), 7, false)
	key := newKey(f, "v1")
	f.Fuzz(func(t *testing.T, body []byte, size int, stream bool) {
		size = 1 + (size&0xff)%50
		w := newWatcher(t)
		rt := newTestTransport(t, always(key), w.over(roundTripFunc(func(*http.Request) (*http.Response, error) {
			resp := answer(200, "")
			if stream {
				resp.Header.Set("Content-Type", "text/event-stream")
			}
			resp.Body = once(string(body), size)
			return resp, nil
		})))
		req, err := http.NewRequestWithContext(context.Background(), "POST", chatURL, strings.NewReader(`{"model":"m"}`))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		buf := make([]byte, 1000)
		for {
			n, err := resp.Body.Read(buf)
			if n > size {
				t.Errorf("%d bytes at once, but %d were sent at once", n, size)
			}
			got = append(got, buf[:n]...)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, body) {
			t.Errorf("the caller reads %q, sent was %q", got, body)
		}
		w.call()
	})
}
