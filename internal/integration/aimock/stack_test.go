package aimock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	official "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	openai "github.com/sashabaranov/go-openai"

	"github.com/keybearer/keybearer/keyprovider/file"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/transport"
)

// A stack is a program: a key in a file, and both clients that bear it to
// aimock.
type stack struct {
	testing.TB
	path     string
	source   *rotation.Source
	front    *front
	client   *openai.Client
	official official.Client
}

func newStack(t *testing.T, s *server, key string) *stack {
	t.Helper()
	st := &stack{TB: t, path: filepath.Join(t.TempDir(), "key"), front: newFront(t, s)}
	st.write(key)
	provider, err := file.New(st.path, nil)
	st.ok(err)
	st.source, err = rotation.NewSource(t.Context(), provider, &rotation.SourceOptions{
		MinRefresh: 20 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	st.ok(err)
	t.Cleanup(func() { _ = st.source.Close() })
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	client, err := transport.NewClient(st.source, &transport.Options{Base: base, Origins: []string{st.front.URL}})
	st.ok(err)
	cfg := openai.DefaultConfig("")
	cfg.BaseURL, cfg.HTTPClient = st.front.URL+"/v1", client
	st.client = openai.NewClientWithConfig(cfg)
	// Its retries would hide a failed call.
	st.official = official.NewClient(option.WithBaseURL(cfg.BaseURL), option.WithHTTPClient(client), option.WithMaxRetries(0))
	return st
}

func (s *stack) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// write replaces the file, as everybody should who rotates a key.
func (s *stack) write(key string) {
	s.Helper()
	next := s.path + ".next"
	s.ok(os.WriteFile(next, []byte(key+"\n"), 0o600))
	s.ok(os.Rename(next, s.path))
}

// awaitKey returns when the key serves.
func (s *stack) awaitKey(key string) {
	s.Helper()
	timeout := time.NewTimer(20 * time.Second)
	defer timeout.Stop()
	for {
		changed := s.source.Changed()
		now, err := s.source.Key(s.Context())
		s.ok(err)
		if now.Reveal() == key {
			return
		}
		select {
		case <-changed:
		case <-timeout.C:
			s.Fatalf("the new key does not serve: %+v", s.source.Status())
		}
	}
}

// calls are what a program asks of OpenAI, by both clients.
var calls = []struct {
	name string
	do   func(context.Context, *stack) error
}{
	{"go-openai chat", func(ctx context.Context, s *stack) error {
		got, err := s.client.CreateChatCompletion(ctx, chat)
		if err != nil {
			return err
		}
		return want(got.Choices[0].Message.Content)
	}},
	{"go-openai stream", func(ctx context.Context, s *stack) error {
		events, err := s.client.CreateChatCompletionStream(ctx, chat)
		if err != nil {
			return err
		}
		defer events.Close()
		var text strings.Builder
		for {
			event, err := events.Recv()
			if errors.Is(err, io.EOF) {
				return want(text.String())
			}
			if err != nil {
				return err
			}
			for _, choice := range event.Choices {
				text.WriteString(choice.Delta.Content)
			}
		}
	}},
	{"go-openai models", func(ctx context.Context, s *stack) error {
		got, err := s.client.ListModels(ctx)
		return whole(err, len(got.Models) > 0)
	}},
	{"go-openai embeddings", func(ctx context.Context, s *stack) error {
		got, err := s.client.CreateEmbeddings(ctx, openai.EmbeddingRequestStrings{Input: []string{question}, Model: openai.SmallEmbedding3})
		return whole(err, len(got.Data) == 1 && len(got.Data[0].Embedding) > 0)
	}},
	{"openai-go chat", func(ctx context.Context, s *stack) error {
		got, err := s.official.Chat.Completions.New(ctx, officialChat)
		if err != nil {
			return err
		}
		return want(got.Choices[0].Message.Content)
	}},
	{"openai-go stream", func(ctx context.Context, s *stack) error {
		events := s.official.Chat.Completions.NewStreaming(ctx, officialChat)
		defer events.Close()
		var text strings.Builder
		for events.Next() {
			for _, choice := range events.Current().Choices {
				text.WriteString(choice.Delta.Content)
			}
		}
		if err := events.Err(); err != nil {
			return err
		}
		return want(text.String())
	}},
	{"openai-go models", func(ctx context.Context, s *stack) error {
		got, err := s.official.Models.List(ctx)
		return whole(err, got != nil && len(got.Data) > 0)
	}},
	{"openai-go embeddings", func(ctx context.Context, s *stack) error {
		got, err := s.official.Embeddings.New(ctx, official.EmbeddingNewParams{Model: official.EmbeddingModelTextEmbedding3Small,
			Input: official.EmbeddingNewParamsInputUnion{OfString: official.String(question)}})
		return whole(err, got != nil && len(got.Data) == 1 && len(got.Data[0].Embedding) > 0)
	}},
}

var (
	chat         = openai.ChatCompletionRequest{Model: openai.GPT4oMini, Messages: []openai.ChatCompletionMessage{{Role: openai.ChatMessageRoleUser, Content: question}}}
	officialChat = official.ChatCompletionNewParams{Model: openai.GPT4oMini, Messages: []official.ChatCompletionMessageParamUnion{official.UserMessage(question)}}
)

func want(got string) error {
	if got != answer {
		return fmt.Errorf("got the answer %q, want %q", got, answer)
	}
	return nil
}

// whole is err, or else an error for an answer that is not whole.
func whole(err error, ok bool) error {
	if err == nil && !ok {
		return errors.New("the answer is not whole")
	}
	return err
}

// A front is the address that programs know, before one server or another. It
// counts the calls that were refused.
type front struct {
	*httptest.Server
	behind  atomic.Pointer[url.URL]
	refused atomic.Int64
}

func newFront(t *testing.T, s *server) *front {
	t.Helper()
	f := &front{}
	f.use(s)
	base := &http.Transport{}
	f.Server = httptest.NewServer(&httputil.ReverseProxy{
		Transport: base,
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(f.behind.Load()) },
		ModifyResponse: func(r *http.Response) error {
			if r.StatusCode == http.StatusUnauthorized {
				f.refused.Add(1)
			}
			return nil
		},
	})
	t.Cleanup(base.CloseIdleConnections)
	t.Cleanup(f.Close)
	return f
}

// use sends the calls from now on to a server.
func (f *front) use(s *server) { f.behind.Store(&url.URL{Scheme: "http", Host: "127.0.0.1:" + s.port}) }
