package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// A diary notes in one place what several observers are told.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) add(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

// member is an Observer that may refuse.
type member struct {
	name    string
	refusal error
	diary   *diary
}

func (m *member) Begin(_ context.Context, c *Call) error {
	m.diary.add("begin %s %s %s", m.name, c.Model, c.KeyVersion)
	return m.refusal
}

func (m *member) End(_ context.Context, c *Call) {
	m.diary.add("end %s %d %s", m.name, c.Status, c.ErrorType)
}

func TestObservers(t *testing.T) {
	errBudget := errors.New("the budget is spent")
	for _, tt := range []struct {
		name    string
		refuser int // the number of the one that refuses; -1: none
		want    []string
	}{
		{"none refuses", -1, []string{"begin 0 m v1", "begin 1 m v1", "begin 2 m v1", "sent", "end 2 200 ", "end 1 200 ", "end 0 200 "}},
		{"the first refuses", 0, []string{"begin 0 m v1"}},
		{"the last refuses", 2, []string{"begin 0 m v1", "begin 1 m v1", "begin 2 m v1", "end 1 0 refused_by_observer", "end 0 0 refused_by_observer"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := &diary{}
			provider, rec := newSpans()
			opts := &Options{TracerProvider: provider, Base: roundTripFunc(func(*http.Request) (*http.Response, error) {
				d.add("sent")
				return answer(200, chatAnswer), nil
			})}
			for i := range 3 {
				m := &member{name: fmt.Sprint(i), diary: d}
				if i == tt.refuser {
					m.refusal = errBudget
				}
				opts.Observers = append(opts.Observers, m)
			}
			rt := newTestTransport(t, always(newKey(t, "v1")), opts)
			body := &countedBody{Reader: strings.NewReader(`{"model":"m"}`)}
			req := newRequest(t, "POST", chatURL, nil)
			req.Body = body
			req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(`{"model":"m"}`)), nil }
			resp, err := rt.RoundTrip(req)
			if refused := tt.refuser >= 0; refused != errors.Is(err, errBudget) || refused && (resp != nil || body.closed() != 1) {
				t.Fatalf("response %v, error %v, body closed %d times", resp, err, body.closed())
			}
			if err == nil {
				readAll(t, resp)
				resp.Body.Close()
			} else if span := rec.Ended()[0]; !strings.Contains(attrs(span), "error.type=refused_by_observer\n") {
				t.Errorf("the span of a refused call says\n%s", attrs(span))
			}
			if !slices.Equal(d.lines, tt.want) {
				t.Errorf("the observers were told\n%q, want\n%q", d.lines, tt.want)
			}
		})
	}
}

// TestObserverPanics: a panic is the observer's own affair. It goes on, and
// leaves neither another observer nor the span without an end.
func TestObserverPanics(t *testing.T) {
	for _, tt := range []struct {
		name    string
		in      string // what panics: "begin 1" or "end 1"
		want    []string
		problem string
	}{
		{"at the beginning", "begin 1", []string{"begin 0 m v1", "begin 1 m v1", "end 0 0 _OTHER"}, "error.type=_OTHER\n"},
		{"at the end", "end 1", []string{"begin 0 m v1", "begin 1 m v1", "begin 2 m v1", "end 2 200 ", "end 1 200 ", "end 0 200 "}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := &diary{}
			provider, rec := newSpans()
			opts := &Options{TracerProvider: provider, DisableHTTPTelemetry: true, Base: roundTripFunc(func(*http.Request) (*http.Response, error) {
				return answer(200, chatAnswer), nil
			})}
			for i := range 3 {
				opts.Observers = append(opts.Observers, &panicking{member{name: fmt.Sprint(i), diary: d}, tt.in})
			}
			rt := newTestTransport(t, always(newKey(t, "v1")), opts)
			func() {
				defer func() {
					if got := recover(); got != tt.in {
						t.Errorf("recovered %v, want the observer's own panic", got)
					}
				}()
				resp, err := rt.RoundTrip(newRequest(t, "POST", chatURL, strings.NewReader(`{"model":"m"}`)))
				if err != nil {
					t.Fatal(err)
				}
				readAll(t, resp)
			}()
			if !slices.Equal(d.lines, tt.want) {
				t.Errorf("the observers were told\n%q, want\n%q", d.lines, tt.want)
			}
			if spans := rec.Ended(); len(spans) != 1 || !strings.Contains(attrs(spans[0]), tt.problem) {
				t.Errorf("%d spans have ended, want one with %q", len(spans), tt.problem)
			}
		})
	}
}

type panicking struct {
	member
	in string
}

func (p *panicking) Begin(ctx context.Context, c *Call) error {
	err := p.member.Begin(ctx, c)
	if p.in == "begin "+p.name {
		panic(p.in)
	}
	return err
}

func (p *panicking) End(ctx context.Context, c *Call) {
	p.member.End(ctx, c)
	if p.in == "end "+p.name {
		panic(p.in)
	}
}

// TestObserverRemembers: the pointer leads from Begin to End, and both may add
// to the span.
func TestObserverRemembers(t *testing.T) {
	provider, rec := newSpans()
	r := &remembering{t: t, open: map[*Call]int64{}}
	rt := newTestTransport(t, always(newKey(t, "v1")), &Options{TracerProvider: provider, DisableHTTPTelemetry: true, Observers: []Observer{r},
		Base: roundTripFunc(func(*http.Request) (*http.Response, error) { return answer(200, chatAnswer), nil })})
	resp, err := rt.RoundTrip(newRequest(t, "POST", chatURL, strings.NewReader(chatRequest)))
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, resp)
	got := attrs(rec.Ended()[0])
	for _, want := range []string{"budget.reserved=50\n", "budget.spent=22\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("the span lacks %s:\n%s", want, got)
		}
	}
	if len(r.open) != 0 {
		t.Error("End was given another pointer than Begin")
	}
}

type remembering struct {
	t    *testing.T
	open map[*Call]int64
}

func (r *remembering) Begin(ctx context.Context, c *Call) error {
	r.open[c] = c.MaxTokens
	trace.SpanFromContext(ctx).SetAttributes(attribute.Int64("budget.reserved", c.MaxTokens))
	return nil
}

func (r *remembering) End(ctx context.Context, c *Call) {
	delete(r.open, c)
	trace.SpanFromContext(ctx).SetAttributes(attribute.Int64("budget.spent", c.Usage.OutputTokens))
}

// TestObserverSeesAnyRoute: calls that are no operations of a model too, and
// nothing of a redirected request without the key.
func TestObserverSeesAnyRoute(t *testing.T) {
	w := newWatcher(t)
	rt := newTestTransport(t, always(newKey(t, "v1")), w.over(roundTripFunc(func(r *http.Request) (*http.Response, error) {
		return answer(403, `{"error":{"code":"missing_scope"}}`), nil
	})))
	req := newRequest(t, "GET", "https://api.openai.com/v1/files/file-1", nil)
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, resp)
	call := w.call()
	if call.Path != "/v1/files/file-1" || call.Route != "" || call.Operation != "" || call.Method != "GET" || call.Status != 403 || call.ErrorType != "missing_scope" || call.RequestBytes != 0 || call.Duration <= 0 {
		t.Errorf("the observer is told %+v", call)
	}
	foreign := newRequest(t, "GET", "https://foreign.example/x", nil)
	foreign.Response = &http.Response{Request: req}
	if resp, err = rt.RoundTrip(foreign); err != nil {
		t.Fatal(err)
	}
	readAll(t, resp)
	w.call()
	if len(w.spans.Ended()) != 2 {
		t.Errorf("%d spans have ended, want 2 of attempts", len(w.spans.Ended()))
	}
}

// TestObserverNeedsNoSDK: observers are told the same without spans and metrics.
func TestObserverNeedsNoSDK(t *testing.T) {
	w := newWatcher(t)
	v1, v2 := newKey(t, "v1"), newKey(t, "v2")
	rt := newTestTransport(t, sequence(v1, v2), &Options{Observers: []Observer{w}, Logger: w.options.Logger, Base: roundTripFunc(func(r *http.Request) (*http.Response, error) {
		if r.Header.Get("Authorization") == bearer(v1) {
			return answer(401, deadKey), nil
		}
		return answer(200, chatAnswer), nil
	})})
	resp, err := rt.RoundTrip(newRequest(t, "POST", "https://api.openai.com/openai/deployments/mine/chat/completions", strings.NewReader(chatRequest)))
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, resp)
	call := w.call()
	if call.Model != "mine" || call.Provider != "azure.ai.openai" || call.Replays != 1 || call.KeyVersion != "v2" || call.KeyFingerprint != v2.Fingerprint() || call.Usage.OutputTokens != 22 {
		t.Errorf("the observer is told %+v", call)
	}
	if got := w.logs.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "version=v1") || !strings.Contains(got, "outcome=replayed") {
		t.Errorf("the log says %q", got)
	}
}

func TestObserverOptions(t *testing.T) {
	for name, opts := range map[string]*Options{
		"a nil observer": {Observers: []Observer{nil}},
		"conventions":    {Conventions: 3},
		"conventions -1": {Conventions: -1},
	} {
		if _, err := New(always(newKey(t, "v1")), opts); err == nil {
			t.Errorf("New accepts %s", name)
		}
	}
}
