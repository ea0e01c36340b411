package openaitest_test

import (
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	openai "github.com/sashabaranov/go-openai"

	"github.com/keybearer/keybearer/internal/openaitest"
)

func newGoOpenAI(srv *openaitest.Server, secret string) *openai.Client {
	cfg := openai.DefaultConfig(secret)
	cfg.BaseURL = srv.URL()
	cfg.HTTPClient = srv.Client()
	return openai.NewClientWithConfig(cfg)
}

func userMessage(text string) []openai.ChatCompletionMessage {
	return []openai.ChatCompletionMessage{{Role: openai.ChatMessageRoleUser, Content: text}}
}

func TestGoOpenAIChat(t *testing.T) {
	srv := start(t, nil)
	client := newGoOpenAI(srv, srv.Mint(openaitest.MintOptions{}))
	req := openai.ChatCompletionRequest{Model: openai.GPT4oMini, Messages: userMessage("three short words")}
	resp, err := client.CreateChatCompletion(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	text := resp.Choices[0].Message.Content
	if !strings.HasPrefix(text, "Echo ") || resp.Choices[0].FinishReason != openai.FinishReasonStop {
		t.Errorf("got %q, finish %q; want an echo that stops", text, resp.Choices[0].FinishReason)
	}
	if got, want := resp.Usage.PromptTokens, 3; got != want {
		t.Errorf("prompt tokens: got %d, want %d", got, want)
	}
	if got, want := resp.Usage.CompletionTokens, len(strings.Fields(text)); got != want {
		t.Errorf("completion tokens: got %d, want %d", got, want)
	}
	if got, want := resp.Usage.TotalTokens, resp.Usage.PromptTokens+resp.Usage.CompletionTokens; got != want {
		t.Errorf("total tokens: got %d, want %d", got, want)
	}
	if got := resp.GetRateLimitHeaders(); got.LimitRequests == 0 || got.RemainingTokens == 0 || got.ResetRequests == "" {
		t.Errorf("rate limits: got %+v, want them set", got)
	}
	again, err := client.CreateChatCompletion(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if got := again.Choices[0].Message.Content; got != text || again.ID == resp.ID {
		t.Errorf("again: got %q under %s, want the same text under another id than %s", got, again.ID, resp.ID)
	}
	req.N, req.MaxTokens = 2, 1 //nolint:staticcheck // old programs send it
	short, err := client.CreateChatCompletion(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if len(short.Choices) != 2 || short.Choices[1].Index != 1 || short.Choices[1].FinishReason != openai.FinishReasonLength || short.Usage.CompletionTokens != 2 {
		t.Errorf("n=2, max_tokens=1: got %+v, want two choices of one token", short.Choices)
	}
}

func TestGoOpenAIChatStream(t *testing.T) {
	srv := start(t, nil)
	client := newGoOpenAI(srv, srv.Mint(openaitest.MintOptions{}))
	req := openai.ChatCompletionRequest{Model: openai.GPT4oMini, Messages: userMessage("hi")}
	plain, err := client.CreateChatCompletion(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	for _, withUsage := range []bool{false, true} {
		req.StreamOptions = &openai.StreamOptions{IncludeUsage: withUsage}
		s, err := client.CreateChatCompletionStream(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		var usages []openai.Usage
		finish := openai.FinishReason("")
		for {
			chunk, err := s.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if chunk.Usage != nil {
				usages = append(usages, *chunk.Usage)
				if len(chunk.Choices) != 0 {
					t.Errorf("the usage chunk has %d choices, want 0", len(chunk.Choices))
				}
				continue
			}
			text.WriteString(chunk.Choices[0].Delta.Content)
			finish = chunk.Choices[0].FinishReason
		}
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if got, want := text.String(), plain.Choices[0].Message.Content; got != want || finish != openai.FinishReasonStop {
			t.Errorf("usage %t: got %q, finish %q; want %q, stop", withUsage, got, finish, want)
		}
		if !withUsage && len(usages) != 0 {
			t.Errorf("got %d usage chunks, want none", len(usages))
		}
		if withUsage && (len(usages) != 1 || usages[0].TotalTokens != plain.Usage.TotalTokens) {
			t.Errorf("usage: got %+v, want once %+v", usages, plain.Usage)
		}
	}
}

func TestGoOpenAIResponses(t *testing.T) {
	srv := start(t, nil)
	client := newGoOpenAI(srv, srv.Mint(openaitest.MintOptions{}))
	req := openai.CreateResponseRequest{Model: openai.GPT4oMini, Input: "say something", Instructions: "be brief"}
	plain, err := client.CreateResponse(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	text := plain.GetOutputText()
	if plain.Status != openai.ResponseStatusCompleted || plain.Usage == nil || plain.Usage.InputTokens != 4 ||
		plain.Usage.OutputTokens != len(strings.Fields(text)) {
		t.Errorf("got %s with %+v for %q, want completed with 4 tokens in", plain.Status, plain.Usage, text)
	}

	cases := []struct {
		name      string
		maxTokens int
		last      openai.ResponseStreamEventType
		want      string
	}{
		{"whole", 0, openai.ResponseStreamEventCompleted, text},
		{"cut short", 2, openai.ResponseStreamEventIncomplete, strings.Join(strings.SplitAfter(text, " ")[:2], "")},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			req := req
			req.MaxOutputTokens = tc.maxTokens
			s, err := client.CreateResponseStream(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var got strings.Builder
			var kinds []openai.ResponseStreamEventType
			var final *openai.CreateResponseResponse
			for {
				ev, err := s.Recv()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if ev.SequenceNumber != len(kinds) {
					t.Errorf("sequence number %d, want %d", ev.SequenceNumber, len(kinds))
				}
				kinds = append(kinds, ev.Type)
				got.WriteString(ev.Delta)
				if ev.Response != nil {
					final = ev.Response
				}
			}
			if kinds[0] != openai.ResponseStreamEventCreated || kinds[len(kinds)-1] != tc.last || got.String() != tc.want {
				t.Errorf("got %v with %q, want from response.created to %s with %q", kinds, got.String(), tc.last, tc.want)
			}
			if final.Usage == nil || final.Usage.OutputTokens != len(strings.Fields(tc.want)) {
				t.Errorf("the last event's usage: got %+v, want %d tokens out", final.Usage, len(strings.Fields(tc.want)))
			}
		})
	}
}

func TestGoOpenAIEmbeddings(t *testing.T) {
	srv := start(t, nil)
	client := newGoOpenAI(srv, srv.Mint(openaitest.MintOptions{}))
	embed := func(format openai.EmbeddingEncodingFormat, inputs ...string) openai.EmbeddingResponse {
		t.Helper()
		resp, err := client.CreateEmbeddings(t.Context(), openai.EmbeddingRequestStrings{
			Input: inputs, Model: openai.SmallEmbedding3, EncodingFormat: format, Dimensions: 8})
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	floats := embed("", "one text", "another")
	if len(floats.Data) != 2 || floats.Data[1].Index != 1 || len(floats.Data[0].Embedding) != 8 || floats.Usage.PromptTokens != 3 {
		t.Fatalf("got %d vectors, usage %+v; want 2 of 8 dimensions for 3 tokens", len(floats.Data), floats.Usage)
	}
	var norm float64
	for _, v := range floats.Data[0].Embedding {
		norm += float64(v) * float64(v)
	}
	if math.Abs(norm-1) > 1e-5 {
		t.Errorf("squared norm: got %f, want 1", norm)
	}
	if slices.Equal(floats.Data[0].Embedding, floats.Data[1].Embedding) {
		t.Error("two texts have one vector")
	}
	base64 := embed(openai.EmbeddingEncodingFormatBase64, "one text")
	if !slices.Equal(base64.Data[0].Embedding, floats.Data[0].Embedding) {
		t.Errorf("base64: got %v, want %v", base64.Data[0].Embedding, floats.Data[0].Embedding)
	}
	tokens, err := client.CreateEmbeddings(t.Context(), openai.EmbeddingRequestTokens{Input: [][]int{{1, 2}, {3}}, Model: openai.LargeEmbedding3})
	if err != nil {
		t.Fatal(err)
	}
	if len(tokens.Data) != 2 || len(tokens.Data[0].Embedding) != 3072 || tokens.Usage.TotalTokens != 3 {
		t.Errorf("tokens: got %d vectors for %d tokens, want 2 for 3", len(tokens.Data), tokens.Usage.TotalTokens)
	}
}

func TestGoOpenAIModels(t *testing.T) {
	srv := start(t, &openaitest.Options{Models: []string{"my-model"}})
	client := newGoOpenAI(srv, srv.Mint(openaitest.MintOptions{}))
	list, err := client.ListModels(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Models) != 1 || list.Models[0].ID != "my-model" || list.Header().Get("X-Request-Id") == "" {
		t.Errorf("got %+v, want my-model alone and a request id", list.Models)
	}
	if m, err := client.GetModel(t.Context(), "my-model"); err != nil || m.ID != "my-model" {
		t.Errorf("GetModel: got %+v, %v", m, err)
	}
	_, err = client.GetModel(t.Context(), "no-model")
	if apiErr := new(openai.APIError); !errors.As(err, &apiErr) || apiErr.HTTPStatusCode != 404 || apiErr.Code != "model_not_found" {
		t.Errorf("GetModel of none: got %v, want 404 model_not_found", err)
	}
}

func TestGoOpenAIDecodesErrors(t *testing.T) {
	srv := start(t, nil)
	secret := srv.Mint(openaitest.MintOptions{})
	client := newGoOpenAI(srv, secret)
	for _, want := range openaitest.Table() {
		t.Run(want.Name, func(t *testing.T) {
			srv.Inject(openaitest.Fail(want))
			_, err := client.CreateChatCompletion(t.Context(), openai.ChatCompletionRequest{Model: openai.GPT4oMini, Messages: userMessage("hi")})
			got := new(openai.APIError)
			if !errors.As(err, &got) {
				t.Fatalf("got %v, want an APIError", err)
			}
			code, _ := got.Code.(string)
			if got.HTTPStatusCode != want.Status || code != want.Code || got.Type != want.Type || got.Param != nil {
				t.Errorf("got %d %s %q, want %d %s %q", got.HTTPStatusCode, got.Type, code, want.Status, want.Type, want.Code)
			}
			if got.Message == "" || strings.Contains(got.Message, secret) || strings.Contains(got.Message, "{key}") {
				t.Errorf("message %q: want one with the key masked", got.Message)
			}
		})
	}
}
