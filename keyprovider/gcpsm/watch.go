package gcpsm

import (
	"context"
	"math/rand/v2"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"

	"github.com/keybearer/keybearer/internal/gcpclient"
	"github.com/keybearer/keybearer/keyprovider"
)

const (
	// pullTimeout is longer than the service holds a pull that finds nothing,
	// and bounds how long a half-open connection goes unnoticed.
	pullTimeout = 2 * time.Minute
	// pullFloor is the shortest time between pulls that found nothing.
	pullFloor = time.Second
	// maxMessages is how many messages one pull takes.
	maxMessages = 100

	firstBackoff = time.Second
	maxBackoff   = time.Minute
)

// Watch implements keyprovider.Watcher. With Options.Subscription it returns
// nil once a message says that the secret has changed, or at once if it has
// since last was fetched; without, it blocks until ctx is done. Any number may
// watch, and a message is a hint to all of them. An error of Pub/Sub is returned at the first failure, and the
// next call waits longer from failure to failure, up to a minute, before it
// pulls again.
func (p *Provider) Watch(ctx context.Context, last keyprovider.Version) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.life, cancel)()

	if p.opts.Subscription == "" {
		<-ctx.Done()
		return p.watchEnded(ctx)
	}
	wake, missed := p.feed.next(last)
	if missed && ctx.Err() == nil {
		return nil
	}
	select {
	case <-wake:
		return nil
	case <-ctx.Done():
		return p.watchEnded(ctx)
	case p.feed.turn <- struct{}{}:
	}
	defer func() { <-p.feed.turn }()
	select {
	case <-wake: // while this call was getting its turn
		return nil
	default:
	}
	return p.pull(ctx)
}

// watchEnded is the error of a Watch whose context, or Provider, has ended.
func (p *Provider) watchEnded(ctx context.Context) error {
	if p.life.Err() != nil {
		return p.report(gcpclient.Fail(gcpclient.ErrClosed))
	}
	return p.report(&gcpclient.Failed{Cause: ctx.Err(), Failure: gcpclient.Failure{
		Class: keyprovider.ErrUnavailable, Reason: ctx.Err().Error()}})
}

// pull pulls until a message is about the secret.
func (p *Provider) pull(ctx context.Context) error {
	if p.feed.failures > 0 && !gcpclient.Sleep(ctx, backoff(p.feed.failures)) {
		return p.watchEnded(ctx)
	}
	for {
		start := time.Now()
		messages, err := p.pullOnce(ctx)
		if ctx.Err() != nil {
			return p.watchEnded(ctx)
		}
		if err != nil {
			p.feed.failures++
			return p.report(classifyPull(err))
		}
		p.feed.failures = 0
		if p.heed(messages) {
			p.feed.hint()
			return nil
		}
		// A server that does not hold an empty pull must not be hammered.
		if len(messages) == 0 && !gcpclient.Sleep(ctx, pullFloor-time.Since(start)) {
			return p.watchEnded(ctx)
		}
	}
}

// pullOnce takes the messages that are there, or waits for one, and
// acknowledges them. None by the deadline is no error.
func (p *Provider) pullOnce(ctx context.Context) ([]*pubsubpb.ReceivedMessage, error) {
	subscriber := p.opts.Subscriber
	if subscriber == nil {
		own, err := p.subscriber.Get(ctx)
		if err != nil {
			return nil, err
		}
		subscriber = own
	}
	messages, err := receive(ctx, subscriber, p.opts.Subscription)
	if err != nil || len(messages) == 0 {
		return nil, err
	}
	ids := make([]string, len(messages))
	for i, m := range messages {
		ids[i] = m.GetAckId()
	}
	one, cancel := context.WithTimeout(ctx, DefaultTimeout)
	defer cancel()
	// A message that could not be acknowledged comes again: a hint too many,
	// which is better than one too few.
	_ = subscriber.Acknowledge(one, &pubsubpb.AcknowledgeRequest{Subscription: p.opts.Subscription, AckIds: ids}, gcpclient.Once())
	return messages, nil
}

func receive(ctx context.Context, s Subscriber, subscription string) ([]*pubsubpb.ReceivedMessage, error) {
	one, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	resp, err := s.Pull(one, &pubsubpb.PullRequest{Subscription: subscription, MaxMessages: maxMessages}, gcpclient.Once())
	if err != nil {
		if ctx.Err() == nil && gcpclient.Classify(err).Code == codes.DeadlineExceeded {
			return nil, nil
		}
		return nil, err
	}
	return resp.GetReceivedMessages(), nil
}

// classifyPull words the failures that a subscription has otherwise than a
// secret.
func classifyPull(err error) *gcpclient.Failed {
	f := gcpclient.Fail(err)
	switch f.Code {
	case codes.NotFound:
		f.Reason = "NOT_FOUND: no such subscription"
	case codes.PermissionDenied:
		f.Grant("roles/pubsub.subscriber on the subscription")
	case codes.InvalidArgument:
		f.Reason = "INVALID_ARGUMENT: Pub/Sub does not take the subscription's name"
	case codes.FailedPrecondition:
		f.Reason = "FAILED_PRECONDITION: the subscription cannot be pulled: a push or export subscription, or one that is detached"
	}
	f.Reason = "watch: " + f.Reason
	return f
}

func backoff(failures int) time.Duration {
	d := min(firstBackoff<<min(failures-1, 10), maxBackoff)
	return d/2 + rand.N(d/2+1)
}
