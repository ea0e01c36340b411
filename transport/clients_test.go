package transport

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/internal/openaitest"
	openai "github.com/sashabaranov/go-openai"
)

var hello = openai.ChatCompletionRequest{
	Model:    "gpt-4o-mini",
	Messages: []openai.ChatCompletionMessage{{Role: openai.ChatMessageRoleUser, Content: "hello"}},
}

// TestGoOpenAIModes: which credential headers arrive for each kind of service
// that go-openai knows, with a client that was given no key or a wrong one.
func TestGoOpenAIModes(t *testing.T) {
	key := newKey(t, "v1")
	for _, tt := range []struct {
		name   string
		config func(token, origin string) openai.ClientConfig
		scheme Scheme
		header string
		value  string
		path   string
	}{
		{"OpenAI", func(token, origin string) openai.ClientConfig {
			c := openai.DefaultConfig(token)
			c.BaseURL = origin + "/v1"
			c.OrgID = "org-1"
			return c
		}, Bearer(), "Authorization", bearer(key), "/v1/chat/completions"},
		{"Azure", func(token, origin string) openai.ClientConfig {
			return openai.DefaultAzureConfig(token, origin)
		}, Header("api-key"), "Api-Key", key.Reveal(), "/openai/deployments/gpt-4o-mini/chat/completions"},
		{"Azure AD", func(token, origin string) openai.ClientConfig {
			c := openai.DefaultAzureConfig(token, origin)
			c.APIType = openai.APITypeAzureAD
			return c
		}, Bearer(), "Authorization", bearer(key), "/openai/deployments/gpt-4o-mini/chat/completions"},
		{"Anthropic", func(token, origin string) openai.ClientConfig {
			return openai.DefaultAnthropicConfig(token, origin+"/v1")
		}, Header("x-api-key"), "X-Api-Key", key.Reveal(), "/v1/chat/completions"},
	} {
		for _, token := range []string{"", "left-over"} {
			t.Run(tt.name+" "+token, func(t *testing.T) {
				asked := 0
				srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					asked++
					for _, name := range []string{"Authorization", "Api-Key", "X-Api-Key"} {
						switch got := r.Header.Values(name); {
						case name != tt.header && len(got) > 0:
							t.Errorf("%s arrived too", name)
						case name == tt.header && (len(got) != 1 || got[0] != tt.value):
							t.Errorf("%s arrived %d times, or without the key", name, len(got))
						}
					}
					if r.URL.Path != tt.path {
						t.Errorf("path is %s, want %s", r.URL.Path, tt.path)
					}
					w.Header().Set("Content-Type", "application/json")
					io.WriteString(w, `{"choices":[{"message":{"role":"assistant","content":"hi"}}]}`)
				}))
				defer srv.Close()
				httpClient, err := NewClient(always(key), &Options{Base: ownBase(t), Origins: []string{srv.URL}, Scheme: tt.scheme})
				if err != nil {
					t.Fatal(err)
				}
				cfg := tt.config(token, srv.URL)
				cfg.HTTPClient = httpClient
				answer, err := openai.NewClientWithConfig(cfg).CreateChatCompletion(t.Context(), hello)
				if err != nil || len(answer.Choices) != 1 || asked != 1 {
					t.Errorf("answer %+v, error %v after %d requests", answer, err, asked)
				}
			})
		}
	}
}

// TestGoOpenAIRotation: a key is revoked between and under the calls of a real
// client, plain, streamed and with an upload; no call fails.
func TestGoOpenAIRotation(t *testing.T) {
	for _, tls := range []bool{false, true} {
		srv := openaitest.New(&openaitest.Options{TLS: tls})
		defer srv.Close()
		v1, v2, v3 := newKey(t, "v1"), newKey(t, "v2"), newKey(t, "v3")
		for _, k := range []string{v1.Reveal(), v2.Reveal(), v3.Reveal()} {
			srv.Add(k, openaitest.MintOptions{})
		}
		source := sequence(v1, v2, v3)
		httpClient, err := NewClient(source, &Options{Base: srv.Transport(), Origins: []string{srv.Origin()}})
		if err != nil {
			t.Fatal(err)
		}
		cfg := openai.DefaultConfig("")
		cfg.BaseURL, cfg.HTTPClient = srv.URL(), httpClient
		client := openai.NewClientWithConfig(cfg)

		chat := func() {
			t.Helper()
			if _, err := client.CreateChatCompletion(t.Context(), hello); err != nil {
				t.Error(err)
			}
		}
		chat()
		srv.Revoke(v1.Reveal())
		chat()
		stream, err := client.CreateChatCompletionStream(t.Context(), hello)
		if err != nil {
			t.Fatal(err)
		}
		srv.Revoke(v2.Reveal()) // what runs is not touched
		chunks := 0
		for {
			_, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			chunks++
		}
		stream.Close()
		if chunks == 0 {
			t.Error("the stream gave nothing")
		}
		stream, err = client.CreateChatCompletionStream(t.Context(), hello) // the first to meet the revocation
		if err != nil {
			t.Fatal(err)
		}
		stream.Close()
		if rejected, accepted := source.reports(); rejected != "v1 v2" || accepted != "v1 v2 v3" {
			t.Errorf("rejected %q, accepted %q; want v1 v2, and v1 v2 v3", rejected, accepted)
		}
	}
}

// TestGoOpenAIErrors: what the client makes of a failure does not show the key.
func TestGoOpenAIErrors(t *testing.T) {
	srv := openaitest.New(nil)
	defer srv.Close()
	httpClient, err := NewClient(always(newKey(t, "v1")), &Options{Base: srv.Transport(), Origins: []string{srv.Origin()}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := openai.DefaultConfig("")
	cfg.BaseURL, cfg.HTTPClient = srv.URL(), httpClient
	client := openai.NewClientWithConfig(cfg)

	_, err = client.CreateChatCompletion(t.Context(), hello)
	if api := new(openai.APIError); !errors.As(err, &api) || api.HTTPStatusCode != 401 || api.Code != "invalid_api_key" {
		t.Errorf("error of a dead key is %v, want OpenAI's own", err)
	}
	mustNotShow(t, "go-openai's error", err.Error())

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = client.CreateChatCompletion(ctx, hello); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want context.Canceled", err)
	}
	cfg.BaseURL = strings.Replace(srv.URL(), "127.0.0.1", "localhost", 1)
	if _, err = openai.NewClientWithConfig(cfg).CreateChatCompletion(t.Context(), hello); !errors.Is(err, ErrOriginNotAllowed) {
		t.Errorf("error is %v, want ErrOriginNotAllowed", err)
	}
	mustNotShow(t, "go-openai's error", err.Error())
}
