package gcpclient

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/keybearer/keybearer/keyprovider"
)

// Failed is a call that did not succeed: what that means, and why.
type Failed struct {
	Failure
	// Cause is fit for errors.As and not for print.
	Cause error
}

// Fail tells what an error means that did not come from Do.
func Fail(err error) *Failed { return &Failed{Classify(err), err} }

// Attempts says how a call is repeated, in place of the client's own retries,
// which have no bound.
type Attempts struct {
	// Max counts the first attempt too.
	Max int
	// Pause comes before the second attempt, with jitter, and grows fourfold.
	Pause time.Duration
	// Again reports whether a failure is worth another attempt.
	Again func(Failure) bool
	// Classify tells what an error means. Default: Classify.
	Classify func(error) Failure
}

// Reads are the Attempts of a call that changes nothing.
var Reads = Attempts{Max: 3, Pause: 100 * time.Millisecond, Again: func(f Failure) bool { return f.Again }}

// Writes are the Attempts of a call that changes something: it is repeated only
// after an answer that says that nothing was done. A secret takes two writes a
// second, which a burst may exceed.
var Writes = Attempts{Max: 3, Pause: time.Second, Again: func(f Failure) bool {
	return f.Code == codes.ResourceExhausted || f.Code == codes.Aborted
}}

// Lost reports whether a call that changes something may have done so although
// it failed.
func (f Failure) Lost() bool {
	switch f.Code {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Internal, codes.DataLoss, codes.Unknown:
		return true
	}
	return false
}

// Do calls once until it succeeds, or it is not worth another attempt, or ctx
// ends. The end of ctx is told together with what had failed until then.
func (a Attempts) Do(ctx context.Context, once func(context.Context) error) *Failed {
	classify := a.Classify
	if classify == nil {
		classify = Classify
	}
	for attempt, wait := 1, a.Pause; ; attempt, wait = attempt+1, 4*wait {
		err := once(ctx)
		if err == nil {
			return nil
		}
		f := &Failed{classify(err), err}
		if ctx.Err() == nil && attempt < a.Max && a.Again(f.Failure) && Wait(ctx, wait) {
			continue
		}
		return f.within(ctx)
	}
}

// within adds that the caller's context has ended, if it has, without losing
// what had failed until then. A definite answer stands as it is.
func (f *Failed) within(ctx context.Context) *Failed {
	if f.Code == codes.DeadlineExceeded && expiring(ctx) {
		<-ctx.Done() // the server was told of the deadline, and was a moment faster
	}
	ended := ctx.Err()
	if ended == nil || f.Class != keyprovider.ErrUnavailable {
		return f
	}
	reason := ended.Error()
	if f.Code != codes.DeadlineExceeded && f.Code != codes.Canceled {
		reason += "; the last answer was " + f.Reason
	}
	f.Reason, f.Cause = reason, errors.Join(ended, f.Cause)
	return f
}

// Within bounds one attempt, if timeout is positive.
func Within(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if timeout <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, timeout)
}

// Wait waits for d with jitter, half of d at least. It reports false if ctx
// leaves no time for that: then the failure at hand says more than the end of
// ctx would.
func Wait(ctx context.Context, d time.Duration) bool {
	d = d/2 + rand.N(d/2+1)
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	return Sleep(ctx, d)
}

// Sleep waits for d. It reports false if ctx ended first.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// expiring reports whether the context's deadline has come, give or take the
// time that a message is under way.
func expiring(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) < 50*time.Millisecond
}
