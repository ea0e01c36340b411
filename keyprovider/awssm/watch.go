package awssm

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/keybearer/keybearer/internal/awsclient"
	"github.com/keybearer/keybearer/keyprovider"
)

const (
	longPoll    = 20 * time.Second // the longest that SQS waits for a message
	maxMessages = 10               // the most that SQS gives at once
)

// Watch implements keyprovider.Watcher. It returns nil once the queue brings
// the event that the label moved to another version than last. Messages of
// other secrets and other labels are deleted and ignored; so is what is no such
// event, with a line in the log. Any number may watch: one of them receives,
// and an event is a hint to all.
//
// Secrets Manager is eventually consistent, and its event may be faster than
// its answers: while Watch is called with another last than the version that
// the event announced, it returns nil again 1, 3, 7 and 15 seconds after it.
//
// After an error of the queue the next Watch waits before it asks again, longer
// with every failure in a row, up to a minute: a caller need not.
//
// Without Options.QueueURL there is nothing to watch: Watch then blocks until
// ctx is done.
func (p *Provider) Watch(ctx context.Context, last keyprovider.Version) error {
	if p.queue == nil || p.options.QueueURL == "" {
		<-ctx.Done()
		return p.watchEnded(ctx)
	}
	_, next := p.pace.news()
	if wait, again := p.pace.echo(string(last)); again {
		if sleep(ctx, wait) != nil {
			return p.watchEnded(ctx)
		}
		return nil
	}
	for {
		select {
		case <-ctx.Done():
			return p.watchEnded(ctx)
		case <-next: // another Watch has received an event
			var latest string
			if latest, next = p.pace.news(); latest != string(last) {
				return nil
			}
		case p.receiver <- struct{}{}:
			changed, err := p.listen(ctx, last)
			<-p.receiver
			if err != nil || changed {
				return err
			}
		}
	}
}

// listen receives once, after the pause that earlier failures call for, and
// reports whether the key may have changed since last.
func (p *Provider) listen(ctx context.Context, last keyprovider.Version) (bool, error) {
	if sleep(ctx, p.pace.backoff()) != nil {
		return false, p.watchEnded(ctx)
	}
	start := time.Now()
	messages, err := p.receive(ctx)
	switch {
	case ctx.Err() != nil:
		return false, p.watchEnded(ctx)
	case err != nil:
		p.pace.failed()
		return false, awsclient.Error(p.name+" (queue)", "sqs:ReceiveMessage on the queue", err)
	}
	p.pace.received()
	if p.take(ctx, messages, last) {
		return true, nil
	}
	// A server that does not wait for messages must not make this spin.
	if pause := firstBackoff - time.Since(start); pause > 0 && len(messages) == 0 {
		if sleep(ctx, pause) != nil {
			return false, p.watchEnded(ctx)
		}
	}
	return false, nil
}

func (p *Provider) watchEnded(ctx context.Context) error {
	return fmt.Errorf("keyprovider: %s: watch: %w", p.name, ctx.Err())
}

func (p *Provider) receive(ctx context.Context) ([]types.Message, error) {
	out, err := awsclient.Call(ctx, longPoll+p.options.Timeout, func(ctx context.Context, s *awsclient.Session) (*sqs.ReceiveMessageOutput, error) {
		return p.queue.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl:            aws.String(p.options.QueueURL),
			MaxNumberOfMessages: maxMessages,
			WaitTimeSeconds:     int32(longPoll / time.Second),
		}, tuneQueue(s))
	})
	if err != nil {
		return nil, err
	}
	return out.Messages, nil
}

// take deletes the messages and reports whether one of them concerns this
// provider.
func (p *Provider) take(ctx context.Context, messages []types.Message, last keyprovider.Version) bool {
	changed := false
	for _, m := range messages {
		event, err := parseEvent(aws.ToString(m.Body))
		if err != nil {
			p.options.Logger.LogAttrs(ctx, slog.LevelWarn, "keyprovider: dropped a message of the queue: "+err.Error(), p.attr(),
				slog.String("message_id", aws.ToString(m.MessageId)))
			continue
		}
		if event.concerns(p.secret, p.options.Stage) {
			p.pace.announce(event.version)
			changed = changed || event.version == "" || event.version != string(last)
		}
	}
	if err := p.delete(ctx, messages); err != nil && ctx.Err() == nil {
		// The messages come again, which costs a hint too many. But a queue
		// from which nothing may be deleted would give the same for days.
		p.options.Logger.LogAttrs(ctx, slog.LevelWarn, "keyprovider: messages of the queue could not be deleted", p.attr(),
			slog.Any("error", awsclient.Error(p.name+" (queue)", "sqs:DeleteMessage on the queue", err)))
	}
	return changed
}

func (p *Provider) delete(ctx context.Context, messages []types.Message) error {
	if len(messages) == 0 {
		return nil
	}
	entries := make([]types.DeleteMessageBatchRequestEntry, len(messages))
	for i, m := range messages {
		entries[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle}
	}
	out, err := awsclient.Call(ctx, p.options.Timeout, func(ctx context.Context, s *awsclient.Session) (*sqs.DeleteMessageBatchOutput, error) {
		return p.queue.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: aws.String(p.options.QueueURL), Entries: entries}, tuneQueue(s))
	})
	if err == nil && len(out.Failed) > 0 {
		err = reason(fmt.Sprintf("%d of %d messages were kept", len(out.Failed), len(messages)))
	}
	return err
}

func tuneQueue(session *awsclient.Session) func(*sqs.Options) {
	return func(o *sqs.Options) {
		o.ClientLogMode = 0
		o.Credentials = session.Credentials(o.Credentials)
	}
}
