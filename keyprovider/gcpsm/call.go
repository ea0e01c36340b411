package gcpsm

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/keybearer/keybearer/internal/gcpclient"
	"github.com/keybearer/keybearer/keyprovider"
)

// maxAttempts and firstPause bound the retries of one call. A holder of keys
// retries with a backoff of its own, so this only carries a Fetch over a
// hiccup.
const (
	maxAttempts = 3
	firstPause  = 100 * time.Millisecond
)

// failed is a call that did not succeed, and why.
type failed struct {
	gcpclient.Failure
	cause error
}

// What is wrong with an answer that came without an error. Both are worth
// another attempt, as any error is that Google's codes do not cover.
var (
	errCorrupt  = errors.New("gcpsm: the payload does not match its checksum")
	errNameless = errors.New("gcpsm: the answer names no version")
)

// call makes a call up to three times, each within its own deadline, with the
// client's own retries switched off: those have no bound.
func (p *Provider) call(ctx context.Context, do func(context.Context, Client) error) *failed {
	for attempt := 1; ; attempt++ {
		err := p.once(ctx, do)
		if err == nil {
			return nil
		}
		f := classify(err)
		if f.Again && ctx.Err() == nil && attempt < maxAttempts && pause(ctx, attempt) {
			continue
		}
		return f.within(ctx)
	}
}

// once makes one attempt. A client of the provider's own that did not answer in
// time is given up: its connection may be half-open, and would be for many
// minutes.
func (p *Provider) once(ctx context.Context, do func(context.Context, Client) error) error {
	if p.life.Err() != nil {
		return gcpclient.ErrClosed
	}
	one, cancel := p.timeout(ctx, p.opts.Timeout)
	defer cancel()
	if p.opts.Client != nil {
		return do(one, p.opts.Client)
	}
	client, err := p.client.Get(one)
	if err != nil {
		return err
	}
	err = do(one, client)
	if err != nil && one.Err() != nil && ctx.Err() == nil {
		p.client.Drop(client)
	}
	return err
}

func classify(err error) *failed {
	f := &failed{Failure: gcpclient.Classify(err), cause: err}
	switch {
	case errors.Is(err, errCorrupt):
		f.Reason = "the payload does not match its checksum (CRC32C)"
	case errors.Is(err, errNameless):
		f.Reason = "the answer does not say which version it is"
	case errors.Is(err, gcpclient.ErrClosed):
		f.cause = errors.Join(keyprovider.ErrClosed, err)
	}
	return f
}

// within adds that the caller's context has ended, if it has, without losing
// what had failed until then. A definite answer stands as it is.
func (f *failed) within(ctx context.Context) *failed {
	if f.Code == codes.DeadlineExceeded && expiring(ctx) {
		<-ctx.Done() // the server was told of the deadline, and was a moment faster
	}
	ended := ctx.Err()
	if ended == nil || !f.Again {
		return f
	}
	reason := ended.Error()
	if f.Code != codes.DeadlineExceeded && f.Code != codes.Canceled {
		reason += "; the last answer was " + f.Reason
	}
	f.Reason, f.cause = reason, errors.Join(ended, f.cause)
	return f
}

// pause waits before the next attempt. It reports false if the context leaves
// no time for one: then the error at hand says more than the context's would.
func pause(ctx context.Context, attempt int) bool {
	d := firstPause << (2 * (attempt - 1))
	d = d/2 + rand.N(d/2+1)
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	return sleep(ctx, d)
}

// expiring reports whether the context's deadline has come, give or take the
// time that a message is under way.
func expiring(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) < firstPause/2
}

// grant names the role that is missing, where nothing more particular is known
// of the refusal.
func (f *failed) grant(role string) {
	if f.Reason == gcpclient.LacksRole {
		f.Reason = "PERMISSION_DENIED: grant " + role + "; a new grant takes minutes to arrive"
	}
}
