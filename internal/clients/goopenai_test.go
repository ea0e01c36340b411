package clients

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"

	gopenai "github.com/sashabaranov/go-openai"

	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/transport"
)

// goOpenAI returns go-openai's client over the service, without a key.
func (s *service) goOpenAI() *gopenai.Client {
	cfg := gopenai.DefaultConfig("")
	cfg.BaseURL = s.URL()
	cfg.HTTPClient = s.client
	return gopenai.NewClientWithConfig(cfg)
}

var goChat = gopenai.ChatCompletionRequest{
	Model:    gopenai.GPT4oMini,
	Messages: []gopenai.ChatCompletionMessage{{Role: gopenai.ChatMessageRoleUser, Content: "hello"}},
}

// goCalls are the ways of go-openai to ask.
var goCalls = []struct {
	name string
	do   func(context.Context, *gopenai.Client) error
}{
	{"chat", func(ctx context.Context, c *gopenai.Client) error {
		resp, err := c.CreateChatCompletion(ctx, goChat)
		return whole(err, err == nil && len(resp.Choices) == 1 && resp.Choices[0].Message.Content != "")
	}},
	{"chat stream", func(ctx context.Context, c *gopenai.Client) error {
		stream, err := c.CreateChatCompletionStream(ctx, goChat)
		if err != nil {
			return err
		}
		defer stream.Close()
		finish := gopenai.FinishReason("")
		for {
			chunk, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return whole(nil, finish == gopenai.FinishReasonStop)
			}
			if err != nil {
				return err
			}
			if len(chunk.Choices) > 0 {
				finish = chunk.Choices[0].FinishReason
			}
		}
	}},
	{"responses", func(ctx context.Context, c *gopenai.Client) error {
		resp, err := c.CreateResponse(ctx, gopenai.CreateResponseRequest{Model: gopenai.GPT4oMini, Input: "hello"})
		return whole(err, err == nil && resp.GetOutputText() != "")
	}},
	{"embeddings", func(ctx context.Context, c *gopenai.Client) error {
		resp, err := c.CreateEmbeddings(ctx, gopenai.EmbeddingRequestStrings{Input: []string{"hello"}, Model: gopenai.SmallEmbedding3})
		return whole(err, err == nil && len(resp.Data) == 1 && len(resp.Data[0].Embedding) > 0)
	}},
	{"models", func(ctx context.Context, c *gopenai.Client) error {
		list, err := c.ListModels(ctx)
		return whole(err, err == nil && len(list.Models) > 0)
	}},
}

func TestGoOpenAI(t *testing.T) {
	for _, call := range goCalls {
		t.Run(call.name, func(t *testing.T) {
			s := newService(t, config{})
			if err := call.do(t.Context(), s.goOpenAI()); err != nil {
				t.Fatal(err)
			}
			s.Revoke(s.put())
			if err := call.do(t.Context(), s.goOpenAI()); err != nil {
				t.Fatalf("after a rotation that nobody announced: %v", err)
			}
			s.wantBore("Authorization: Bearer key1", "Authorization: Bearer key1", "Authorization: Bearer key2")
		})
	}
}

// TestGoOpenAIModes: each kind of service gets the key where it looks for it,
// and nothing of what the client was configured with.
func TestGoOpenAIModes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config func(s *service, token string) gopenai.ClientConfig
		scheme transport.Scheme
		header string // that the server takes a bare key from
		want   string // with key1
		next   string // with key2
		target string
	}{
		{"OpenAI", func(s *service, token string) gopenai.ClientConfig {
			cfg := gopenai.DefaultConfig(token)
			cfg.BaseURL = s.URL()
			return cfg
		}, transport.Bearer(), "", "Authorization: Bearer key1", "Authorization: Bearer key2", "/v1/chat/completions"},
		{"Azure", func(s *service, token string) gopenai.ClientConfig {
			return gopenai.DefaultAzureConfig(token, s.Origin())
		}, transport.Header("api-key"), "api-key", "Api-Key: key1", "Api-Key: key2",
			"/openai/deployments/gpt-4o-mini/chat/completions?api-version=2023-05-15"},
		{"Azure with Entra ID", func(s *service, token string) gopenai.ClientConfig {
			cfg := gopenai.DefaultAzureConfig(token, s.Origin())
			cfg.APIType = gopenai.APITypeAzureAD
			return cfg
		}, transport.Bearer(), "", "Authorization: Bearer key1", "Authorization: Bearer key2",
			"/openai/deployments/gpt-4o-mini/chat/completions?api-version=2023-05-15"},
		{"Anthropic", func(s *service, token string) gopenai.ClientConfig {
			return gopenai.DefaultAnthropicConfig(token, s.URL())
		}, transport.Header("x-api-key"), "x-api-key", "X-Api-Key: key1", "X-Api-Key: key2",
			"/v1/chat/completions?api-version=2023-06-01"},
	} {
		for _, token := range []string{"", keyprovidertest.NewSecret()} {
			name := tt.name + "/without a key"
			if token != "" {
				name = tt.name + "/with a key of its own"
			}
			t.Run(name, func(t *testing.T) {
				s := newService(t, config{scheme: tt.scheme, header: tt.header})
				cfg := tt.config(s, token)
				cfg.HTTPClient = s.client
				client := gopenai.NewClientWithConfig(cfg)
				for range 2 {
					if _, err := client.CreateChatCompletion(t.Context(), goChat); err != nil {
						t.Fatal(err)
					}
					s.Revoke(s.put())
				}
				s.wantBore(tt.want, tt.want, tt.next)
				if got := s.Received()[2].Target; got != tt.target {
					t.Errorf("target: got %q, want %q", got, tt.target)
				}
				if tt.name == "Anthropic" && s.Received()[2].Header.Get("Anthropic-Version") != gopenai.AnthropicAPIVersion {
					t.Error("the library's anthropic-version did not arrive")
				}
			})
		}
	}
}

// TestGoOpenAIDeadKey: the library's own error comes out of the refusal that the
// Transport hands on.
func TestGoOpenAIDeadKey(t *testing.T) {
	s := newService(t, config{})
	s.Revoke(s.key())
	_, err := s.goOpenAI().CreateChatCompletion(t.Context(), goChat)
	apiErr, ok := errors.AsType[*gopenai.APIError](err)
	if !ok || apiErr.HTTPStatusCode != http.StatusUnauthorized || apiErr.Code != "invalid_api_key" {
		t.Fatalf("got %v, want the library's error for 401 invalid_api_key", err)
	}
	s.wantHidden("the error", err.Error())
}
