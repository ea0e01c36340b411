package loadtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	openai "github.com/sashabaranov/go-openai"
)

// A caller is an application: it makes calls and knows nothing of keys.
type caller struct {
	url    string
	http   *http.Client
	openai *openai.Client
}

func newCaller(url string, client *http.Client) *caller {
	cfg := openai.DefaultConfig("")
	cfg.BaseURL = url
	cfg.HTTPClient = client
	return &caller{url: url, http: client, openai: openai.NewClientWithConfig(cfg)}
}

// call makes call n. An eighth of them go through go-openai, which costs more
// than the rest of the path; a quarter are streamed.
func (c *caller) call(ctx context.Context, n int) error {
	switch n % 16 {
	case 0:
		return c.complete(ctx, n)
	case 1:
		return c.completeStream(ctx, n)
	case 2, 3, 4:
		return c.post(ctx, n, true)
	default:
		return c.post(ctx, n, false)
	}
}

func chatRequest(n int) openai.ChatCompletionRequest {
	return openai.ChatCompletionRequest{Model: openai.GPT4oMini,
		Messages: []openai.ChatCompletionMessage{{Role: openai.ChatMessageRoleUser, Content: prompt(n)}}}
}

func (c *caller) complete(ctx context.Context, n int) error {
	resp, err := c.openai.CreateChatCompletion(ctx, chatRequest(n))
	if err != nil {
		return err
	}
	return expect(resp.Choices[0].Message.Content, answerTo(n))
}

func (c *caller) completeStream(ctx context.Context, n int) error {
	stream, err := c.openai.CreateChatCompletionStream(ctx, chatRequest(n))
	if err != nil {
		return err
	}
	defer stream.Close()
	var text strings.Builder
	for {
		chunk, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return expect(text.String(), answerTo(n))
		case err != nil:
			return err
		}
		text.WriteString(chunk.Choices[0].Delta.Content)
	}
}

// post makes a call by net/http alone. Its body has a GetBody, which
// http.NewRequest sees to.
func (c *caller) post(ctx context.Context, n int, stream bool) error {
	body := fmt.Sprintf(`{"model":"gpt-4o-mini","stream":%t,"messages":[{"role":"user","content":%q}]}`, stream, prompt(n))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/chat/completions", strings.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d: %s", resp.StatusCode, got)
	}
	if !stream {
		return expectWithin(string(got), `"`+answerTo(n)+`"`)
	}
	// One word is one token, and the last word tells the calls apart.
	if err := expectWithin(string(got), fmt.Sprintf(`"%d."`, n)); err != nil {
		return err
	}
	return expectWithin(string(got), "data: [DONE]")
}

func expect(got, want string) error {
	if got != want {
		return fmt.Errorf("got the answer %q, want %q", got, want)
	}
	return nil
}

func expectWithin(got, want string) error {
	if !strings.Contains(got, want) {
		return fmt.Errorf("got %q, want %q in it", got, want)
	}
	return nil
}
