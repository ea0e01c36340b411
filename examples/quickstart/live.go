package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	openai "github.com/sashabaranov/go-openai"

	"github.com/keybearer/keybearer/keyprovider"
	_ "github.com/keybearer/keybearer/keyprovider/all" // every scheme; a program that knows its store imports that one alone
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/transport"
)

// liveOptions are for the real API if they are zero.
type liveOptions struct {
	Model     string // ["gpt-4o-mini"]
	BaseURL   string
	Transport *transport.Options
}

// live asks the real API two questions with the key that the URI names.
func live(ctx context.Context, out io.Writer, uri string, opts liveOptions) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()

	provider, err := keyprovider.Open(ctx, uri)
	if err != nil {
		return err
	}
	first, cancelFirst := context.WithTimeout(ctx, 15*time.Second) // a store that is down is asked again until then
	defer cancelFirst()
	keys, err := rotation.NewSource(first, provider, nil)
	if err != nil {
		return err
	}
	defer keys.Close()
	httpClient, err := transport.NewClient(keys, opts.Transport)
	if err != nil {
		return err
	}
	cfg := openai.DefaultConfig("") // no key here
	cfg.HTTPClient = httpClient
	if opts.BaseURL != "" {
		cfg.BaseURL = opts.BaseURL
	}
	client := openai.NewClientWithConfig(cfg)

	status := keys.Status()
	fmt.Fprintf(out, "key      %s, fingerprint %s\n", status.Provider, status.Fingerprint)
	req := openai.ChatCompletionRequest{Model: opts.Model,
		Messages: []openai.ChatCompletionMessage{{Role: openai.ChatMessageRoleUser, Content: "Say hello in five words."}}}
	if req.Model == "" {
		req.Model = openai.GPT4oMini
	}
	resp, err := client.CreateChatCompletion(ctx, req)
	if err != nil {
		return explain(err, req.Model)
	}
	if len(resp.Choices) == 0 {
		return errors.New("the service answered without a choice")
	}
	fmt.Fprintf(out, "answer   %s\n", resp.Choices[0].Message.Content)
	return stream(ctx, out, client, req)
}

func stream(ctx context.Context, out io.Writer, client *openai.Client, req openai.ChatCompletionRequest) error {
	s, err := client.CreateChatCompletionStream(ctx, req)
	if err != nil {
		return explain(err, req.Model)
	}
	defer s.Close()
	fmt.Fprint(out, "stream   ")
	defer fmt.Fprintln(out)
	for {
		chunk, err := s.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("the stream broke off: %w", err)
		case len(chunk.Choices) > 0:
			fmt.Fprint(out, chunk.Choices[0].Delta.Content)
		}
	}
}

// explain says what to do about a failed call. The text of a 401 is left out,
// because OpenAI puts a part of the key into it.
func explain(err error, model string) error {
	status, kind, code, message := 0, "", "", ""
	if api, ok := errors.AsType[*openai.APIError](err); ok {
		status, kind, message = api.HTTPStatusCode, api.Type, api.Message
		code, _ = api.Code.(string)
	} else if request, ok := errors.AsType[*openai.RequestError](err); ok {
		status = request.HTTPStatusCode
	}
	switch {
	case status == http.StatusUnauthorized && (code == "" || code == "invalid_api_key"):
		return errors.New("OpenAI refuses the key (401): put a valid one where KEYBEARER_SOURCE points, and mind that a key of one region is not valid in another")
	case status == http.StatusUnauthorized:
		return fmt.Errorf("OpenAI refuses the call (401 %s); the key itself may be good", code)
	case status == http.StatusForbidden:
		return fmt.Errorf("the key is alive, but may not do this (403): %s", message)
	case status == http.StatusNotFound:
		return fmt.Errorf("the project has no model %q (404): set KEYBEARER_MODEL to one that it has", model)
	case status == http.StatusTooManyRequests && kind == "insufficient_quota":
		return fmt.Errorf("the key is alive, but its account has no quota left (429 %s): see its billing page", code)
	case status == http.StatusTooManyRequests:
		return fmt.Errorf("the key is alive, but calls come too fast (429 %s): try again in a minute", code)
	case status >= 500:
		return fmt.Errorf("OpenAI has trouble of its own (%d): try again later", status)
	}
	return err
}
