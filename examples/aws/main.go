// Command aws calls OpenAI with a key that is stored in AWS Secrets Manager,
// and goes on without a restart or a failed call when the key is rotated. The
// README beside it shows how to run it on one machine, and how to set it up in
// production.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	openai "github.com/sashabaranov/go-openai"

	"github.com/keybearer/keybearer/keyprovider"
	_ "github.com/keybearer/keybearer/keyprovider/awssm" // the scheme awssm:
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/transport"
)

func main() {
	source := flag.String("source", env("OPENAI_KEY_SOURCE", "awssm://prod/openai"), "where the key is: awssm://NAME?region=...&queue=... or awssm:ARN")
	every := flag.Duration("every", time.Second, "time between two calls")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *source, *every); err != nil {
		log.Fatal(err)
	}
}

func env(name, fallback string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return fallback
}

func run(ctx context.Context, source string, every time.Duration) error {
	provider, err := keyprovider.Open(ctx, source)
	if err != nil {
		return err
	}
	keys, err := rotation.NewSource(ctx, provider, nil) // waits for the first key
	if err != nil {
		return err
	}
	defer keys.Close()
	client, err := newClient(keys)
	if err != nil {
		return err
	}
	return chat(ctx, client, keys, every)
}

// newClient makes an OpenAI client that holds no key.
func newClient(keys *rotation.Source) (*openai.Client, error) {
	config := openai.DefaultConfig("")
	var opts transport.Options
	if base := os.Getenv("OPENAI_BASE_URL"); base != "" {
		// Another service than OpenAI's own has to be allowed by name, or no
		// key goes there.
		u, err := url.Parse(base)
		if err != nil {
			return nil, errors.New("OPENAI_BASE_URL is not a URL")
		}
		config.BaseURL, opts.Origins = base, []string{u.Scheme + "://" + u.Host}
	}
	httpClient, err := transport.NewClient(keys, &opts)
	if err != nil {
		return nil, err
	}
	config.HTTPClient = httpClient
	return openai.NewClientWithConfig(config), nil
}

// chat calls until ctx ends and says with which version of the key.
func chat(ctx context.Context, client *openai.Client, keys *rotation.Source, every time.Duration) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	failed := 0
	for {
		answer, err := ask(ctx, client)
		switch {
		case ctx.Err() != nil && failed > 0:
			return fmt.Errorf("%d calls failed", failed)
		case ctx.Err() != nil:
			return nil
		case err != nil:
			failed++
			fmt.Println("call failed:", err)
		default:
			fmt.Printf("call answered, key version %s: %s\n", keys.Status().Version, answer)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// ask streams one answer, to show that a stream that runs during a rotation
// runs on.
func ask(ctx context.Context, client *openai.Client) (string, error) {
	stream, err := client.CreateChatCompletionStream(ctx, openai.ChatCompletionRequest{
		Model:    openai.GPT4oMini,
		Messages: []openai.ChatCompletionMessage{{Role: openai.ChatMessageRoleUser, Content: "Say hello."}},
	})
	if err != nil {
		return "", err
	}
	defer func() { _ = stream.Close() }()
	answer := ""
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return answer, nil
		}
		if err != nil {
			return "", err
		}
		for _, choice := range chunk.Choices {
			answer += choice.Delta.Content
		}
	}
}
