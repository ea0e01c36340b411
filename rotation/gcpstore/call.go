package gcpstore

import (
	"context"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"

	"github.com/keybearer/keybearer/internal/gcpclient"
)

// The attempts of both kinds of calls.
var (
	reads  = withClassify(gcpclient.Reads)
	writes = withClassify(gcpclient.Writes)
)

func withClassify(a gcpclient.Attempts) gcpclient.Attempts {
	a.Classify = classify
	return a
}

// read makes a call that changes nothing.
func (s *Store) read(ctx context.Context, do func(context.Context, Client) error) *gcpclient.Failed {
	return reads.Do(ctx, func(ctx context.Context) error { return s.once(ctx, do) })
}

// write makes a call that changes something. If its failure is Lost, it may have
// done so.
func (s *Store) write(ctx context.Context, do func(context.Context, Client) error) *gcpclient.Failed {
	return writes.Do(ctx, func(ctx context.Context) error { return s.once(ctx, do) })
}

// once makes one attempt, none for a context that has ended.
func (s *Store) once(ctx context.Context, do func(context.Context, Client) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.opts.Client == nil {
		return s.client.Use(ctx, s.opts.Timeout, func(ctx context.Context, own *secretmanager.Client) error { return do(ctx, own) })
	}
	ctx, cancel := gcpclient.Within(ctx, s.opts.Timeout)
	defer cancel()
	return do(ctx, s.opts.Client)
}

var _ Client = (*secretmanager.Client)(nil)
