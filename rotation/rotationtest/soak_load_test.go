package rotationtest

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/keybearer/keybearer/keyprovider/file"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/transport"
)

// consumer calls all the time. A plain one has no transport of ours that would
// replay a call that is refused.
func (s *soak) consumer(ctx context.Context, plain bool) {
	provider, err := file.New(s.path, &file.Options{DisableWatch: true, PollInterval: soakPoll})
	if err != nil {
		s.t.Error(err)
		return
	}
	keys, err := rotation.NewSource(ctx, provider, &rotation.SourceOptions{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		s.t.Error(err)
		return
	}
	defer keys.Close()
	bearer, err := transport.New(keys, &transport.Options{Base: soakNetwork{s, false}})
	if err != nil {
		s.t.Error(err)
		return
	}
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodPost, "https://api.openai.com/v1/embeddings",
			strings.NewReader(`{"model":"text-embedding-3-small","input":"soak","dimensions":4}`))
		if err != nil {
			s.t.Error(err)
			return
		}
		req.Header.Set("Content-Type", "application/json")
		var rt http.RoundTripper = bearer
		if plain {
			k, err := keys.Key(ctx)
			if err != nil {
				s.t.Error(err)
				return
			}
			req.Header.Set("Authorization", "Bearer "+k.Reveal())
			rt = soakNetwork{s, false}
		}
		s.call(rt, req)
		select {
		case <-time.After(s.between(time.Second, time.Minute)):
		case <-ctx.Done():
		}
	}
}

func (s *soak) call(rt http.RoundTripper, req *http.Request) {
	s.calls.Add(1)
	resp, err := rt.RoundTrip(req)
	if err != nil {
		s.failed.Add(1)
		s.t.Errorf("a call failed: %v", err)
		return
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		if s.failed.Add(1) < 4 {
			s.t.Errorf("a call failed: %d %.300s", resp.StatusCode, body)
		}
	}
}
