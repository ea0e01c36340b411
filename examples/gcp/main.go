// Command gcp calls OpenAI with a key that is stored in Google Secret Manager,
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

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	openai "github.com/sashabaranov/go-openai"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/keybearer/keybearer/keyprovider/gcpsm"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/transport"
)

func main() {
	secret := flag.String("secret", os.Getenv("OPENAI_KEY_SECRET"), "the secret's resource name, projects/PROJECT/secrets/SECRET")
	subscription := flag.String("subscription", os.Getenv("OPENAI_KEY_SUBSCRIPTION"), "a Pub/Sub subscription to the secret's topic, of this process alone; empty: poll")
	every := flag.Duration("every", time.Second, "time between two calls")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *secret, *subscription, *every); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, secret, subscription string, every time.Duration) error {
	opts := &gcpsm.Options{Subscription: subscription}
	if emulator := os.Getenv("SECRETMANAGER_EMULATOR_HOST"); emulator != "" {
		client, err := local(ctx, emulator)
		if err != nil {
			return err
		}
		defer func() { _ = client.Close() }()
		opts.Client = client
	}
	provider, err := gcpsm.New(ctx, secret, opts)
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
	for {
		answer, err := ask(ctx, client)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			fmt.Println("call failed:", err)
		default:
			fmt.Printf("call answered, key version %s: %s\n", keys.Status().Version, answer)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
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

// local is a client of a Secret Manager on this machine, without TLS and
// credentials. In production gcpsm makes its own.
func local(ctx context.Context, addr string) (*secretmanager.Client, error) {
	return secretmanager.NewClient(ctx, option.WithEndpoint(addr), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
}
