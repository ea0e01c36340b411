package clients

import (
	"context"
	"net/http"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"

	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// openai returns the official client over the service. Its own retries are off
// unless a test turns them on, so that they make up for nothing.
func (s *service) openai(opts ...option.RequestOption) openai.Client {
	base := []option.RequestOption{option.WithBaseURL(s.URL()), option.WithHTTPClient(s.client), option.WithMaxRetries(0)}
	return openai.NewClient(append(base, opts...)...)
}

// leftover puts a key of no worth into the environment, as a deployment does
// that was moved to keybearer without a clean-up, and returns it.
func leftover(t *testing.T) string {
	t.Helper()
	junk := keyprovidertest.NewSecret()
	t.Setenv("OPENAI_API_KEY", junk)
	return junk
}

// chatModel is one that the fake knows, whatever becomes of it at OpenAI.
const chatModel = "gpt-4o-mini"

var chatParams = openai.ChatCompletionNewParams{
	Model:    chatModel,
	Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hello")},
}

// calls are the ways of openai-go to ask, plain and streamed. Each returns an
// error where the answer is not whole.
var calls = []struct {
	name string
	do   func(context.Context, *openai.Client) error
}{
	{"chat", func(ctx context.Context, c *openai.Client) error {
		resp, err := c.Chat.Completions.New(ctx, chatParams)
		return whole(err, err == nil && len(resp.Choices) == 1 && resp.Choices[0].Message.Content != "")
	}},
	{"chat stream", func(ctx context.Context, c *openai.Client) error {
		stream := c.Chat.Completions.NewStreaming(ctx, chatParams)
		defer stream.Close()
		var text openai.ChatCompletionAccumulator
		for stream.Next() {
			text.AddChunk(stream.Current())
		}
		return whole(stream.Err(), len(text.Choices) == 1 && text.Choices[0].FinishReason == "stop")
	}},
	{"responses", func(ctx context.Context, c *openai.Client) error {
		resp, err := c.Responses.New(ctx, responseParams)
		return whole(err, err == nil && resp.OutputText() != "")
	}},
	{"responses stream", func(ctx context.Context, c *openai.Client) error {
		stream := c.Responses.NewStreaming(ctx, responseParams)
		defer stream.Close()
		last := ""
		for stream.Next() {
			last = stream.Current().Type
		}
		return whole(stream.Err(), last == "response.completed")
	}},
	{"embeddings", func(ctx context.Context, c *openai.Client) error {
		resp, err := c.Embeddings.New(ctx, openai.EmbeddingNewParams{
			Model: openai.EmbeddingModelTextEmbedding3Small,
			Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"hello", "there"}},
		})
		return whole(err, err == nil && len(resp.Data) == 2 && len(resp.Data[1].Embedding) > 0)
	}},
	{"models", func(ctx context.Context, c *openai.Client) error {
		page, err := c.Models.List(ctx)
		return whole(err, err == nil && len(page.Data) > 0)
	}},
}

var responseParams = responses.ResponseNewParams{
	Model: chatModel,
	Input: responses.ResponseNewParamsInputUnion{OfString: openai.String("hello")},
}

// TestOpenAIGo: whatever key the client has of its own, or none, the server
// receives the Source's, and that alone.
func TestOpenAIGo(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts func(junk string) []option.RequestOption
		env  bool
	}{
		{"no key", nil, false},
		{"a key in the environment", nil, true},
		{"a key by option", func(junk string) []option.RequestOption {
			return []option.RequestOption{option.WithAPIKey(junk)}
		}, false},
		{"keys in headers", func(junk string) []option.RequestOption {
			return []option.RequestOption{
				option.WithHeader("api-key", junk), option.WithHeader("X-API-Key", junk), option.WithHeaderAdd("authorization", "Bearer "+junk),
			}
		}, true},
	} {
		for _, call := range calls {
			t.Run(tt.name+"/"+call.name, func(t *testing.T) {
				t.Setenv("OPENAI_API_KEY", "")
				junk := keyprovidertest.NewSecret()
				if tt.env {
					junk = leftover(t)
				}
				s := newService(t, config{})
				var opts []option.RequestOption
				if tt.opts != nil {
					opts = tt.opts(junk)
				}
				client := s.openai(opts...)
				if err := call.do(t.Context(), &client); err != nil {
					t.Fatal(err)
				}
				s.wantBore("Authorization: Bearer key1")
			})
		}
	}
}

// TestOpenAIGoKeepsItsHeaders: what is no credential arrives as the client set
// it.
func TestOpenAIGoKeepsItsHeaders(t *testing.T) {
	s := newService(t, config{})
	t.Setenv("OPENAI_ORG_ID", "org-keybearer")
	t.Setenv("OPENAI_PROJECT_ID", "proj_keybearer")
	leftover(t)
	client := s.openai(option.WithHeader("X-Own", "kept"))
	if _, err := client.Chat.Completions.New(t.Context(), chatParams); err != nil {
		t.Fatal(err)
	}
	got := s.Received()[0].Header
	for name, want := range map[string]string{
		"OpenAI-Organization":     "org-keybearer",
		"OpenAI-Project":          "proj_keybearer",
		"X-Own":                   "kept",
		"X-Stainless-Lang":        "go",
		"X-Stainless-Retry-Count": "0",
	} {
		if got.Get(name) != want {
			t.Errorf("%s: got %q, want %q", name, got.Get(name), want)
		}
	}
}

// TestOpenAIGoDeadKey: with the key gone for good, the caller gets the
// service's own refusal, as the library types it.
func TestOpenAIGoDeadKey(t *testing.T) {
	s := newService(t, config{})
	leftover(t)
	s.Revoke(s.key())
	client := s.openai()
	_, err := client.Chat.Completions.New(t.Context(), chatParams)
	apiErr, ok := asAPIError(err)
	if !ok || apiErr.StatusCode != http.StatusUnauthorized || apiErr.Code != "invalid_api_key" {
		t.Errorf("got %v, want the library's error for 401 invalid_api_key", err)
	}
	s.wantBore("Authorization: Bearer key1") // no other key, so no replay
}
