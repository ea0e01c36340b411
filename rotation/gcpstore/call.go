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

// once makes one attempt. A client of the Store's own that did not answer in
// time is given up: its connection may be half-open, and would be for many
// minutes.
func (s *Store) once(ctx context.Context, do func(context.Context, Client) error) error {
	one := ctx
	if s.opts.Timeout > 0 {
		var cancel context.CancelFunc
		one, cancel = context.WithTimeout(ctx, s.opts.Timeout)
		defer cancel()
	}
	if err := one.Err(); err != nil {
		return err
	}
	if s.opts.Client != nil {
		return do(one, s.opts.Client)
	}
	client, err := s.client.Get(one)
	if err != nil {
		return err
	}
	err = do(one, client)
	if err != nil && one.Err() != nil && ctx.Err() == nil {
		s.client.Drop(client)
	}
	return err
}

var _ Client = (*secretmanager.Client)(nil)
