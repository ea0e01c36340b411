// Command workload calls OpenAI without any stored key: it exchanges the
// identity that its platform gives it for an access token, and renews that in
// time. The README beside it shows how to run it on one machine, and how to wire
// it on Kubernetes, GitHub Actions and Cloud Run.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	openai "github.com/sashabaranov/go-openai"

	"github.com/keybearer/keybearer/keyprovider"
	_ "github.com/keybearer/keybearer/keyprovider/workload" // workload:
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/transport"
)

func main() {
	source := flag.String("source", "workload:", "where the identity comes from, such as workload:?source=google")
	local := flag.Bool("local", false, "bring a platform, a token endpoint and an OpenAI of its own; no account is needed")
	every := flag.Duration("every", time.Second, "time between two calls")
	calls := flag.Int("calls", 0, "how many calls to make; 0: until interrupted")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	app := &app{every: *every, calls: *calls, out: os.Stdout}
	run := func(ctx context.Context) error { return app.production(ctx, *source) }
	if *local {
		run = app.local
	}
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

// app calls OpenAI in a loop.
type app struct {
	every time.Duration
	calls int
	out   io.Writer
}

// production is all the wiring that a service needs.
func (a *app) production(ctx context.Context, source string) error {
	provider, err := keyprovider.Open(ctx, source)
	if err != nil {
		return err
	}
	keys, err := rotation.NewSource(ctx, provider, nil) // waits for the first token
	if err != nil {
		return err
	}
	defer keys.Close()
	client, err := transport.NewClient(keys, nil) // bears it, to api.openai.com alone
	if err != nil {
		return err
	}
	config := openai.DefaultConfig("")
	config.HTTPClient = client
	return a.chat(ctx, openai.NewClientWithConfig(config), keys)
}

// chat calls until it has made its calls, or ctx ends.
func (a *app) chat(ctx context.Context, client *openai.Client, keys *rotation.Source) error {
	ticker := time.NewTicker(a.every)
	defer ticker.Stop()
	for n := 1; ; n++ {
		answer, err := client.CreateChatCompletion(ctx, openai.ChatCompletionRequest{
			Model:    openai.GPT4oMini,
			Messages: []openai.ChatCompletionMessage{{Role: openai.ChatMessageRoleUser, Content: "Say hello."}},
		})
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			_, _ = fmt.Fprintln(a.out, "call failed:", err)
		default:
			_, _ = fmt.Fprintf(a.out, "call answered with token %s: %s\n", keys.Status().Version, answer.Choices[0].Message.Content)
		}
		if n == a.calls {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}
