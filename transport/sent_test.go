package transport

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/internal/genai"
)

// once is a body that can be had once only, a few bytes at a time.
func once(s string, piece int) io.ReadCloser {
	r := strings.NewReader(s)
	return io.NopCloser(readerFunc(func(p []byte) (int, error) { return r.Read(p[:min(len(p), piece)]) }))
}

// TestSentBody: the request is read however its body can be had, and arrives
// unchanged.
func TestSentBody(t *testing.T) {
	long := `{"messages":[{"content":"` + strings.Repeat("word ", maxHead/4) + `"}],"model":"m","max_tokens":9}`
	for _, tt := range []struct {
		name    string
		body    string
		set     func(req *http.Request, body string)
		atBegin string // the model as the observer's Begin sees it
	}{
		{"bytes", `{"model":"m","max_tokens":9}`, func(r *http.Request, b string) {
			r.Body, r.GetBody = io.NopCloser(bytes.NewReader([]byte(b))), func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader([]byte(b))), nil }
		}, "m"},
		{"string", `{"model":"m","max_tokens":9}`, func(r *http.Request, b string) {
			r.Body, r.GetBody = io.NopCloser(strings.NewReader(b)), func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(b)), nil }
		}, "m"},
		{"pieces", `{"model":"m","max_tokens":9}`, func(r *http.Request, b string) {
			r.Body, r.GetBody = once(b, 3), func() (io.ReadCloser, error) { return once(b, 3), nil }
		}, "m"},
		{"once only", `{"model":"m","max_tokens":9}`, func(r *http.Request, b string) { r.Body = once(b, 3) }, ""},
		{"longer than the head", long, func(r *http.Request, b string) {
			r.Body, r.GetBody = io.NopCloser(strings.NewReader(b)), func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(b)), nil }
		}, ""},
		{"longer than the head, in pieces", long, func(r *http.Request, b string) {
			r.Body, r.GetBody = once(b, 1000), func() (io.ReadCloser, error) { return once(b, 1000), nil }
		}, ""},
		{"cannot be had again after all", `{"model":"m","max_tokens":9}`, func(r *http.Request, b string) {
			r.Body, r.GetBody = once(b, 3), func() (io.ReadCloser, error) { return nil, errTest }
		}, ""},
		{"breaks when read first", `{"model":"m","max_tokens":9}`, func(r *http.Request, b string) {
			r.Body = once(b, 3)
			r.GetBody = func() (io.ReadCloser, error) {
				return io.NopCloser(readerFunc(func(p []byte) (int, error) { return copy(p, b[:4]), errTest })), nil
			}
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
			want := "m"
			if strings.HasPrefix(tt.name, "cannot") {
				want = "" // the call itself would not be repeated either
			}
			if w.events[0] != "begin "+tt.atBegin || w.call().Model != want || (want != "") != strings.Contains(attrs(op), "gen_ai.request.max_tokens=9\n") {
				t.Errorf("at the beginning %q, at the end %q:\n%s", w.events[0], w.call().Model, attrs(op))
			}
			if name := strings.TrimSpace("chat " + want); op.Name() != name {
				t.Errorf("the span is %q, want %q", op.Name(), name)
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

var errShort = errors.New("short")

// TestHead: the head stops at its bound, whichever way a body writes itself.
func TestHead(t *testing.T) {
	for name, body := range map[string]io.Reader{
		"bytes": bytes.NewReader(make([]byte, 100)), "string": strings.NewReader(strings.Repeat(" ", 100)), "pieces": once(strings.Repeat(" ", 100), 7),
	} {
		for limit, full := range map[int]bool{99: true, 100: false, 101: false} {
			o := &operation{reading: new(reading)}
			h := head{to: &o.request, left: limit}
			if err := h.readFrom(body); (err != nil) != full {
				t.Errorf("%s of 100 bytes, limit %d: %v", name, limit, err)
			}
			if s, ok := body.(io.Seeker); ok {
				s.Seek(0, io.SeekStart)
			} else {
				body = once(strings.Repeat(" ", 100), 7)
			}
		}
	}
	h := head{to: new(genai.RequestReader), left: 100}
	if err := h.readFrom(readerFunc(func([]byte) (int, error) { return 0, errShort })); !errors.Is(err, errShort) {
		t.Errorf("a failing body gives %v", err)
	}
}
