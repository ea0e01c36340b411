package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	openai "github.com/sashabaranov/go-openai"
	"go.opentelemetry.io/otel/trace"
)

// An application calls OpenAI. It knows nothing of keys.
type application struct {
	client *openai.Client
	tracer trace.Tracer
	line   *timeline

	answered, streamed, failed atomic.Int64 // calls
}

// Goroutines that call without pause.
const (
	plainCallers  = 4
	streamCallers = 2
)

// start makes calls until stop is called, which waits for the calls in flight.
func (a *application) start(ctx context.Context) (stop func()) {
	more, enough := context.WithCancel(ctx)
	var callers sync.WaitGroup
	for i := range plainCallers + streamCallers {
		callers.Go(func() {
			for n := 0; more.Err() == nil; n++ {
				a.call(ctx, fmt.Sprintf("question %d of caller %d", n, i), i >= plainCallers)
			}
		})
	}
	a.line.say("app", "%d goroutines call it without pause, %d of them streaming", plainCallers+streamCallers, streamCallers)
	return func() { enough(); callers.Wait() }
}

// call asks one question, under a span as any traced application has.
func (a *application) call(ctx context.Context, question string, stream bool) {
	ctx, span := a.tracer.Start(ctx, "answer a question")
	defer span.End()
	req := openai.ChatCompletionRequest{
		Model:    openai.GPT4oMini,
		Messages: []openai.ChatCompletionMessage{{Role: openai.ChatMessageRoleUser, Content: question}},
	}
	ask := a.plain
	if stream {
		ask = a.stream
	}
	err := ask(ctx, req)
	if ctx.Err() != nil {
		return // somebody pressed Ctrl-C
	}
	if err != nil {
		if a.failed.Add(1) <= 5 {
			a.line.say("FAILED", "%v", err)
		}
		return
	}
	a.answered.Add(1)
	if stream {
		a.streamed.Add(1)
	}
}

func (a *application) plain(ctx context.Context, req openai.ChatCompletionRequest) error {
	resp, err := a.client.CreateChatCompletion(ctx, req)
	if err != nil {
		return err
	}
	if len(resp.Choices) == 0 || resp.Choices[0].Message.Content == "" {
		return errors.New("the answer is empty")
	}
	return nil
}

func (a *application) stream(ctx context.Context, req openai.ChatCompletionRequest) error {
	stream, err := a.client.CreateChatCompletionStream(ctx, req)
	if err != nil {
		return err
	}
	defer stream.Close()
	for finished := false; ; {
		chunk, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF) && finished:
			return nil
		case errors.Is(err, io.EOF):
			return errors.New("the stream ended early")
		case err != nil:
			return err
		}
		finished = finished || len(chunk.Choices) > 0 && chunk.Choices[0].FinishReason == openai.FinishReasonStop
	}
}

// isStream tells the two kinds of calls apart, for the fake server.
func isStream(r *http.Request) bool { return r.Header.Get("Accept") == "text/event-stream" }
