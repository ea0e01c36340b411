package loadtest

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/transport"
)

const callers = 8

func TestRotationsFailNoCall(t *testing.T) {
	calls, rotations := 200_000, 200
	switch {
	case testing.Short():
		calls, rotations = 20_000, 40
	case raceDetector: // which makes a call five times as dear
		calls = 50_000
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	p := newPace(ctx, callers, calls, rotations)
	srv := openaitest.New(&openaitest.Options{Answer: p.answer})
	t.Cleanup(srv.Close)
	op := newOperator(t, srv, p)

	logged := new(logBuffer)
	logger := slog.New(slog.NewTextHandler(logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	provider := newProvider(t, op.path, logger)
	source, err := rotation.NewSource(ctx, provider, &rotation.SourceOptions{
		MinRefresh:  10 * time.Millisecond, // rotations follow each other within the default second
		RefreshWait: time.Minute,           // nothing here is a matter of time
		Overlap:     overlap,
		OnEvent:     op.witness.see,
		Logger:      logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	client, err := transport.NewClient(source, &transport.Options{Base: srv.Transport(), Origins: []string{srv.Origin()}})
	if err != nil {
		t.Fatal(err)
	}

	failed := new(failures)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := op.run(ctx, source); err != nil {
			cancel(err)
		}
	})
	app := newCaller(srv.URL(), client)
	for i := range callers {
		wg.Go(func() {
			for n, ok := p.begin(i); ok; n, ok = p.begin(i) {
				failed.note(n, app.call(ctx, n))
				p.end(i)
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		t.Error(err)
	}
	if err := source.Close(); err != nil {
		t.Error(err)
	}

	if failed.count > 0 {
		t.Errorf("failed calls: got %d of %d, want none; the first:%s", failed.count, calls, failed.first)
	}
	checkAnswers(t, op)
	checkKeys(t, op)
	checkSource(t, op, int(provider.fetches.Load()))
	if keyprovidertest.Leaks(logged.String()+failed.first, op.secrets...) {
		t.Error("a key shows in the log or in an error")
	}
	t.Logf("%d calls, %d rotations, %d fetches, %d attempts refused and repeated",
		calls, rotations, provider.fetches.Load(), srv.Stats().ByStatus[http.StatusUnauthorized])
}
