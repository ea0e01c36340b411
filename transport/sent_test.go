package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// once is a body that can be had once only, a few bytes at a time.
func once(s string, piece int) io.ReadCloser {
	r := strings.NewReader(s)
	return io.NopCloser(readerFunc(func(p []byte) (int, error) { return r.Read(p[:min(len(p), piece)]) }))
}

// TestSentBody: the request is read however its body can be had, and arrives
// unchanged.
func TestSentBody(t *testing.T) {
	const short = `{"model":"m","max_tokens":9}`
	long := `{"messages":[{"content":"` + strings.Repeat("word ", maxHead/4) + `"}],"model":"m","max_tokens":9}`
	for _, tt := range []struct {
		name    string
		body    string
		set     func(req *http.Request, body string)
		atBegin string // the model as the observer's Begin sees it
	}{
		{"bytes", short, func(r *http.Request, b string) {
			r.Body, r.GetBody = io.NopCloser(bytes.NewReader([]byte(b))), func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader([]byte(b))), nil }
		}, "m"},
		{"string", short, func(r *http.Request, b string) {
			r.Body, r.GetBody = io.NopCloser(strings.NewReader(b)), func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(b)), nil }
		}, "m"},
		{"buffer, without GetBody", short, func(r *http.Request, b string) { r.Body = io.NopCloser(bytes.NewBufferString(b)) }, "m"},
		{"one reader for all, as openai-go has it", short, func(r *http.Request, b string) {
			one := bytes.NewReader([]byte(b))
			r.GetBody = func() (io.ReadCloser, error) {
				_, err := one.Seek(0, io.SeekStart)
				return io.NopCloser(one), err
			}
			r.Body, _ = r.GetBody()
		}, "m"},
		{"one reader for all, wrapped", short, func(r *http.Request, b string) {
			one := strings.NewReader(b)
			r.Body, r.GetBody = &countedBody{Reader: one}, func() (io.ReadCloser, error) { return io.NopCloser(one), nil }
		}, "m"},
		{"pieces", short, func(r *http.Request, b string) {
			r.Body, r.GetBody = once(b, 3), func() (io.ReadCloser, error) { return once(b, 3), nil }
		}, ""},
		{"no memory, but can write itself, as a file", short, func(r *http.Request, b string) {
			r.Body = io.NopCloser(struct {
				io.Reader
				io.WriterTo
			}{strings.NewReader(b), noWriterTo{}})
			r.GetBody = func() (io.ReadCloser, error) { return r.Body, nil }
		}, ""},
		{"once only", short, func(r *http.Request, b string) { r.Body = once(b, 3) }, ""},
		{"longer than the head", long, func(r *http.Request, b string) {
			r.Body, r.GetBody = io.NopCloser(strings.NewReader(b)), func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(b)), nil }
		}, ""},
		{"longer than the head, in pieces", long, func(r *http.Request, b string) {
			r.Body, r.GetBody = once(b, 1000), func() (io.ReadCloser, error) { return once(b, 1000), nil }
		}, ""},
		{"cannot be had again after all", short, func(r *http.Request, b string) {
			r.Body, r.GetBody = once(b, 3), func() (io.ReadCloser, error) { return nil, errTest }
		}, ""},
		{"is nothing when had again", short, func(r *http.Request, b string) {
			r.Body, r.GetBody = once(b, 3), func() (io.ReadCloser, error) { return nil, nil }
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWatcher(t)
			var arrived string
			rt := newTestTransport(t, always(newKey(t, "v1")), w.over(roundTripFunc(func(r *http.Request) (*http.Response, error) {
				b, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				arrived = string(b)
				r.Body.Close()
				return answer(200, chatAnswer), nil
			})))
			req := newRequest(t, "POST", chatURL, nil)
			tt.set(req, tt.body)
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			readAll(t, resp)
			if arrived != tt.body {
				t.Errorf("%d bytes arrived, want %d, unchanged", len(arrived), len(tt.body))
			}
			op, _ := w.operation()
			if w.events[0] != "begin "+tt.atBegin || w.call().Model != "m" || !strings.Contains(attrs(op), "gen_ai.request.max_tokens=9\n") {
				t.Errorf("at the beginning %q, at the end %q:\n%s", w.events[0], w.call().Model, attrs(op))
			}
			if op.Name() != "chat m" {
				t.Errorf("the span is %q, want \"chat m\"", op.Name())
			}
		})
	}
}

// TestSentUpload: of a form with a file the model is read wherever it stands.
func TestSentUpload(t *testing.T) {
	var form bytes.Buffer
	m := multipart.NewWriter(&form)
	part, err := m.CreateFormFile("file", "x.mp3")
	if err != nil {
		t.Fatal(err)
	}
	part.Write(bytes.Repeat([]byte("\r\n--audio"), maxHead/4))
	m.WriteField("model", "whisper-1")
	m.Close()

	v1, v2 := newKey(t, "v1"), newKey(t, "v2")
	w := newWatcher(t)
	rt := newTestTransport(t, sequence(v1, v2), w.over(roundTripFunc(func(r *http.Request) (*http.Response, error) {
		if r.Header.Get("Authorization") == bearer(v1) {
			io.CopyN(io.Discard, r.Body, maxHead+100)
			return answer(401, deadKey), nil
		}
		if b, err := io.ReadAll(r.Body); err != nil || !bytes.Equal(b, form.Bytes()) {
			t.Errorf("%d bytes arrived, %v; want %d, unchanged", len(b), err, form.Len())
		}
		return answer(200, `{"text":"hello"}`), nil
	})))
	req := newRequest(t, "POST", "https://api.openai.com/v1/audio/transcriptions", bytes.NewReader(form.Bytes()))
	req.Header.Set("Content-Type", m.FormDataContentType())
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, resp)
	if op, _ := w.operation(); op.Name() != "generate_content whisper-1" {
		t.Errorf("the span is %q", op.Name())
	}
}

// TestSentAfterTheEnd: a base may go on sending when the answer has been read.
func TestSentAfterTheEnd(t *testing.T) {
	w := newWatcher(t)
	var late io.ReadCloser
	rt := newTestTransport(t, always(newKey(t, "v1")), w.over(roundTripFunc(func(r *http.Request) (*http.Response, error) {
		late = r.Body
		return answer(200, chatAnswer), nil
	})))
	req := newRequest(t, "POST", chatURL, nil)
	req.Body = once(`{"model":"m"}`, 5)
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, resp)
	if b, err := io.ReadAll(late); err != nil || string(b) != `{"model":"m"}` {
		t.Errorf("the late reader gets %q, %v", b, err)
	}
	if got := w.call().Model; got != "" {
		t.Errorf("the ended call has the model %q", got)
	}
}

// noWriterTo fails the read of whoever takes WriteTo for memory's.
type noWriterTo struct{}

func (noWriterTo) WriteTo(io.Writer) (int64, error) { return 0, errTest }

// TestSentBodyThatBlocks: where the body comes from somewhere else, it is not
// waited for before the call, whose context is the base's to heed.
func TestSentBodyThatBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatcher(t)
		rt := newTestTransport(t, always(newKey(t, "v1")), w.over(roundTripFunc(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})))
		body, writer := io.Pipe()
		defer writer.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req := newRequest(t, "POST", chatURL, body).WithContext(ctx)
		req.GetBody = func() (io.ReadCloser, error) { return body, nil }
		start := time.Now()
		resp, err := rt.RoundTrip(req)
		if err == nil {
			resp.Body.Close()
		}
		if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took != time.Second {
			t.Errorf("the call ends with %v after %v, want its deadline after 1s", err, took)
		}
	})
}

// TestHead: the head stops at its bound, whatever the body is, and leaves it as it
// was.
func TestHead(t *testing.T) {
	text := strings.Repeat(" ", 100)
	for name, body := range map[string]io.Reader{
		"bytes": bytes.NewReader([]byte(text)), "string": strings.NewReader(text), "buffer": bytes.NewBufferString(text),
	} {
		for _, limit := range []int{99, 100, 101} {
			o := &operation{reading: new(reading)}
			h := head{to: &o.request, left: limit}
			if known, whole := h.look(io.NopCloser(body)); !known || whole != (limit >= 100) || h.left != max(0, limit-100) {
				t.Errorf("%s of 100 bytes, limit %d: known %v, whole %v, %d left", name, limit, known, whole, h.left)
			}
		}
		if rest, err := io.ReadAll(body); err != nil || string(rest) != text {
			t.Errorf("%s: %d bytes are left, %v", name, len(rest), err)
		}
	}
}
