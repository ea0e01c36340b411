package transport

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/propagation"

	"github.com/keybearer/keybearer/keyprovider"
)

// fragile is foreign code of every kind, one piece of which panics.
type fragile struct {
	*scripted
	propagation.TextMapPropagator
	where string
}

func (f *fragile) at(where string) {
	if f.where == where {
		panic(where)
	}
}

func (f *fragile) Key(ctx context.Context) (*keyprovider.Key, error) {
	f.at("key")
	return f.scripted.Key(ctx)
}

func (f *fragile) Reject(ctx context.Context, k *keyprovider.Key) (*keyprovider.Key, error) {
	f.at("reject")
	return f.scripted.Reject(ctx, k)
}

func (f *fragile) Accept(*keyprovider.Key) { f.at("accept") }

func (f *fragile) Inject(context.Context, propagation.TextMapCarrier) { f.at("inject") }

func (f *fragile) Begin(context.Context, *Call) error {
	f.at("begin")
	return nil
}

func (f *fragile) End(context.Context, *Call) {}

// TestPanics: a panic of what is not ours goes on, and leaves nothing open: each
// observer whose Begin returned is told the end, spans end, bodies are closed.
func TestPanics(t *testing.T) {
	for _, tt := range []struct {
		where     string
		ends      int // of the watcher, which begins first
		spans     int
		answers   int // that the base has given
		errorType string
	}{
		{"key", 0, 1, 0, "_OTHER"},
		{"begin", 1, 1, 0, "_OTHER"},
		{"inject", 1, 2, 0, "_OTHER"},
		{"base", 1, 2, 0, "_OTHER"},
		{"refused", 1, 2, 1, "_OTHER"},
		{"reject", 1, 2, 1, "_OTHER"},
		{"body again", 1, 2, 1, "_OTHER"},
		{"base again", 1, 3, 1, "_OTHER"},
		{"accept", 1, 3, 2, "_OTHER"},
	} {
		t.Run(tt.where, func(t *testing.T) {
			v1, v2 := newKey(t, "v1"), newKey(t, "v2")
			f := &fragile{scripted: sequence(v1, v2), where: tt.where}
			var answers, sent []*countedBody
			w := newWatcher(t)
			opts := w.over(roundTripFunc(func(r *http.Request) (*http.Response, error) {
				f.at("base")
				resp := answer(200, chatAnswer)
				if r.Header.Get("Authorization") == bearer(v1) {
					resp = answer(401, deadKey)
				} else {
					f.at("base again")
				}
				r.Body.Close()
				body := &countedBody{Reader: resp.Body}
				answers = append(answers, body)
				resp.Body = body
				return resp, nil
			}))
			opts.Observers, opts.Propagator = append(opts.Observers, f), f
			opts.Refused = func(status int, _ http.Header, _ []byte) bool {
				f.at("refused")
				return status == 401
			}
			rt := newTestTransport(t, f, opts)
			req := newRequest(t, "POST", chatURL, nil)
			get := func() (io.ReadCloser, error) {
				if len(sent) == 2 { // Body, and what is looked at before the call
					f.at("body again")
				}
				sent = append(sent, &countedBody{Reader: strings.NewReader(`{"model":"m"}`)})
				return sent[len(sent)-1], nil
			}
			req.Body, _ = get()
			req.GetBody = get
			func() {
				defer func() {
					if got := recover(); got != tt.where {
						t.Errorf("recovered %v, want the panic itself", got)
					}
				}()
				resp, err := rt.RoundTrip(req)
				if err == nil {
					resp.Body.Close()
				}
			}()

			if started, ended := len(w.spans.Started()), len(w.spans.Ended()); started != tt.spans || ended != tt.spans {
				t.Errorf("%d spans were started, %d ended; want %d", started, ended, tt.spans)
			}
			if len(w.calls) != tt.ends || tt.ends == 1 && w.call().ErrorType != tt.errorType {
				t.Errorf("%d calls have ended, want %d with %s: %+v", len(w.calls), tt.ends, tt.errorType, w.calls)
			}
			if op, _ := w.operation(); !strings.Contains(attrs(op), "error.type="+tt.errorType+"\n") {
				t.Errorf("the operation ends without its error:\n%s", attrs(op))
			}
			if len(answers) != tt.answers {
				t.Errorf("%d answers, want %d", len(answers), tt.answers)
			}
			for i, body := range answers {
				if body.closed() == 0 {
					t.Errorf("the body of answer %d is open", i)
				}
			}
			for i, body := range sent {
				if body.closed() == 0 {
					t.Errorf("body %d of the request is open", i)
				}
			}
		})
	}
}

// TestPanicOffTheOrigins: the same for the hop of a redirect that goes without a
// key, and for a call that nobody wants to hear of.
func TestPanicOffTheOrigins(t *testing.T) {
	for _, url := range []string{"https://foreign.test/x", "https://api.openai.com/x"} {
		provider, rec := newSpans()
		body := &countedBody{Reader: strings.NewReader("x")}
		rt := newTestTransport(t, always(newKey(t, "v1")), &Options{TracerProvider: provider, Base: roundTripFunc(func(*http.Request) (*http.Response, error) { panic("base") })})
		req := newRequest(t, "POST", url, body)
		req.Response = &http.Response{Request: newRequest(t, "POST", "https://api.openai.com/", nil)}
		func() {
			defer func() {
				if recover() != "base" {
					t.Error("the panic does not go on")
				}
			}()
			rt.RoundTrip(req)
		}()
		if body.closed() != 1 {
			t.Errorf("%s: the request's body was closed %d times, want once", url, body.closed())
		}
		if got := attrs(ended(t, rec, 1)[0]); !strings.Contains(got, "error.type=_OTHER\n") {
			t.Errorf("%s: the span ends without its error:\n%s", url, got)
		}
	}
}
