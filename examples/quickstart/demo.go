package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	openai "github.com/sashabaranov/go-openai"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider/file"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/transport"
)

// demo plays the story: an application under load, and an operator who rotates
// its key. The error says what was not as promised.
func demo(ctx context.Context, out io.Writer, colour bool, story []chapter) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second) // it takes a few
	defer cancel()
	dir, err := os.MkdirTemp("", "keybearer-quickstart-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	srv := startServer()
	defer srv.Close()

	guard := newGuard(out)
	line := newTimeline(guard, colour)
	op := &operator{srv: srv, path: filepath.Join(dir, "openai.key"), line: line, guard: guard}
	line.title("keybearer quickstart: a client that survives key rotations")
	line.say("service", "a fake OpenAI API listens on %s", srv.Origin())
	if _, err := op.writeNew(openaitest.MintOptions{}); err != nil {
		return err
	}

	// What follows is all that an application does. See live.go for the same
	// without what a demonstration adds.
	spans := tracetest.NewInMemoryExporter()
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	provider, err := file.New(op.path, nil)
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(guard.silent(), nil))
	keys, err := rotation.NewSource(ctx, provider, &rotation.SourceOptions{
		MinRefresh:     250 * time.Millisecond, // the default, a second, is slow for a show
		OnEvent:        line.event,
		Logger:         logger,
		TracerProvider: tracers,
	})
	if err != nil {
		return err
	}
	defer keys.Close()
	httpClient, err := transport.NewClient(keys, &transport.Options{
		Base:           srv.Transport(),
		Origins:        []string{srv.Origin()}, // the key goes nowhere else
		Logger:         logger,
		TracerProvider: tracers,
	})
	if err != nil {
		return err
	}
	cfg := openai.DefaultConfig("") // no key here
	cfg.BaseURL = srv.URL()
	cfg.HTTPClient = httpClient

	op.source = keys
	op.app = &application{client: openai.NewClientWithConfig(cfg), tracer: tracers.Tracer("quickstart"), line: line}
	op.score = &score{app: op.app, srv: srv, spans: spans, line: line}
	stop := op.app.start(ctx)
	err = op.play(ctx, story)
	stop()

	op.score.print()
	printReplay(line, spans.GetSpans())
	fmt.Fprintf(guard.silent(), "%+v %v", spans.GetSpans(), err) // they leave the program too
	if guard.leaked() {
		return errors.New("a key showed in the output")
	}
	if failed := op.app.failed.Load(); err == nil && failed > 0 {
		err = fmt.Errorf("%d calls failed", failed)
	}
	if err == nil {
		line.title("No call failed, and no key shows in this output, in the log or on the spans.")
	}
	return err
}

// startServer starts the fake, and makes it take its time over an answer, as a
// model does. It refuses a key at once.
func startServer() *openaitest.Server {
	srv := openaitest.New(&openaitest.Options{Answer: func(_, question string) string {
		time.Sleep(30 * time.Millisecond)
		return "This is the answer to " + question
	}})
	srv.Inject(openaitest.Fault{Times: -1, Match: isStream, ChunkDelay: 20 * time.Millisecond})
	return srv
}
