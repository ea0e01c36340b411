package transport_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/transport"
)

// An accessLog writes a line for each call when it has ended.
type accessLog struct{ *slog.Logger }

func (accessLog) Begin(context.Context, *transport.Call) error { return nil }

func (l accessLog) End(ctx context.Context, c *transport.Call) {
	l.LogAttrs(ctx, slog.LevelInfo, "openai",
		slog.String("model", c.Model),
		slog.Int("status", c.Status),
		slog.String("error", c.ErrorType),
		slog.String("key", c.KeyVersion),
		slog.Int64("in", c.Usage.InputTokens),
		slog.Int64("out", c.Usage.OutputTokens),
		slog.Duration("took", c.Duration))
}

// An access log: who asked which model, with which key, and what it cost.
func ExampleObserver() {
	srv := openaitest.New(&openaitest.Options{Answer: func(string, string) string { return "hello to you" }})
	defer srv.Close()

	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTimes}))
	client, err := transport.NewClient(keysOf(srv), &transport.Options{
		Origins:   []string{srv.Origin()},
		Observers: []transport.Observer{accessLog{logger}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.CloseIdleConnections()
	for _, model := range []string{"gpt-4o-mini", "no-such-model"} {
		resp, err := client.Post(srv.URL()+"/chat/completions", "application/json",
			strings.NewReader(`{"model":"`+model+`","messages":[{"role":"user","content":"hello there"}]}`))
		if err != nil {
			fmt.Println(err)
			return
		}
		io.Copy(io.Discard, resp.Body) // a client library does this
		resp.Body.Close()
	}
	// Output:
	// level=INFO msg=openai model=gpt-4o-mini status=200 error="" key=7 in=2 out=3
	// level=INFO msg=openai model=no-such-model status=404 error=model_not_found key=7 in=0 out=0
}

// withoutTimes makes the output of the example the same each time.
func withoutTimes(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey || a.Key == "took" {
		return slog.Attr{}
	}
	return a
}

// A budget refuses calls when no tokens are left. It counts what a call may cost
// when it begins, and what it has cost when it ends.
type budget struct{ left map[string]int64 } // by model; a real one has a lock

func (b budget) Begin(_ context.Context, c *transport.Call) error {
	if b.left[c.Model] < c.MaxTokens {
		return fmt.Errorf("the budget of %s is spent", c.Model)
	}
	b.left[c.Model] -= c.MaxTokens
	return nil
}

func (b budget) End(_ context.Context, c *transport.Call) {
	b.left[c.Model] += c.MaxTokens - c.Usage.OutputTokens
}

// A budget: nothing is sent once it is spent.
func ExampleObserver_budget() {
	srv := openaitest.New(&openaitest.Options{Answer: func(string, string) string { return "hello to you" }})
	defer srv.Close()

	client, err := transport.NewClient(keysOf(srv), &transport.Options{
		Origins:   []string{srv.Origin()},
		Observers: []transport.Observer{budget{map[string]int64{"gpt-4o-mini": 10}}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.CloseIdleConnections()
	req := `{"model":"gpt-4o-mini","max_tokens":8,"messages":[{"role":"user","content":"hello there"}]}`
	for range 2 {
		resp, err := client.Post(srv.URL()+"/chat/completions", "application/json", strings.NewReader(req))
		if err != nil {
			_, reason, _ := strings.Cut(err.Error(), "transport: ")
			fmt.Println(reason)
			continue
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		fmt.Println(resp.StatusCode == http.StatusOK)
	}
	// Output:
	// true
	// call refused: the budget of gpt-4o-mini is spent
}
