package awssm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/keybearer/keybearer/keyprovider"
)

// memoryQueue is a queue in virtual time: a receive waits for a message.
type memoryQueue struct {
	mu       sync.Mutex
	messages []string
	arrived  chan struct{}
	err      error // of receiving
	impolite bool  // answers at once, with nothing
	received int
	deleted  []string
}

func newQueue() *memoryQueue { return &memoryQueue{arrived: make(chan struct{}, 100)} }

func (q *memoryQueue) send(bodies ...string) {
	q.mu.Lock()
	q.messages = append(q.messages, bodies...)
	q.mu.Unlock()
	q.arrived <- struct{}{}
}

func (q *memoryQueue) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	q.mu.Lock()
	q.received++
	impolite, err := q.impolite, q.err
	q.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if !impolite {
		timer := time.NewTimer(time.Duration(in.WaitTimeSeconds) * time.Second)
		defer timer.Stop()
		select {
		case <-q.arrived:
		case <-timer.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	out := &sqs.ReceiveMessageOutput{}
	for i, body := range q.messages {
		out.Messages = append(out.Messages, types.Message{MessageId: aws.String(fmt.Sprint("id-", i)), ReceiptHandle: aws.String(body), Body: aws.String(body)})
	}
	q.messages = nil
	return out, nil
}

func (q *memoryQueue) DeleteMessageBatch(_ context.Context, in *sqs.DeleteMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range in.Entries {
		q.deleted = append(q.deleted, aws.ToString(e.ReceiptHandle))
	}
	return &sqs.DeleteMessageBatchOutput{}, nil
}

func (q *memoryQueue) counts() (received, deleted int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.received, len(q.deleted)
}

// eventFor is the event as the documentation of Secrets Manager shows it.
func eventFor(arn, name, label, version string) string {
	body, _ := json.Marshal(map[string]any{
		"version": "0", "id": "6f0e2b1c", "detail-type": "Secret Label Updated", "source": "aws.secretsmanager",
		"account": "123456789012", "time": "2026-11-23T08:00:00Z", "region": "eu-west-1", "resources": []string{arn},
		"detail": map[string]string{"name": name, "labelUpdated": label, "versionId": version},
	})
	return string(body)
}

func watched(t *testing.T, q Queue, log *bytes.Buffer) *Provider {
	t.Helper()
	p, err := New(t.Context(), secretName, &Options{Region: "eu-west-1", Queue: q, QueueURL: "https://sqs.eu-west-1.amazonaws.com/123456789012/keys",
		Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWatchHints(t *testing.T) {
	other := "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/other-AbCdEf"
	ours := eventFor(secretARN, secretName, "AWSCURRENT", versionID(2))
	enveloped, _ := json.Marshal(map[string]string{"Type": "Notification", "Message": ours})
	for _, tt := range []struct {
		name, body string
		hint       bool
		lines      int // of the log
	}{
		{"ours", ours, true, 0},
		{"ours through SNS", string(enveloped), true, 0},
		{"ours without a name", eventFor(secretARN, "", "AWSCURRENT", versionID(2)), true, 0},
		{"ours without details", `{"source":"aws.secretsmanager","detail-type":"Secret Label Updated","resources":["` + secretARN + `"]}`, true, 0},
		{"another secret", eventFor(other, "prod/other", "AWSCURRENT", versionID(2)), false, 0},
		{"another label", eventFor(secretARN, secretName, "mine", versionID(2)), false, 0},
		{"the version that is held", eventFor(secretARN, secretName, "AWSCURRENT", versionID(1)), false, 0},
		{"another event", `{"source":"aws.secretsmanager","detail-type":"AWS API Call via CloudTrail","resources":["` + secretARN + `"]}`, false, 1},
		{"no event", `{"a":1}`, false, 1},
		{"no JSON", "hello", false, 1},
		{"nothing", "", false, 1},
		{"another type", `[{"source":"aws.secretsmanager"}]`, false, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				q := newQueue()
				p := watched(t, q, &log)
				q.send(tt.body)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				err := p.Watch(ctx, keyprovider.Version(versionID(1)))
				if tt.hint && err != nil || !tt.hint && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Watch = %v, want a hint: %v", err, tt.hint)
				}
				if _, deleted := q.counts(); deleted != 1 {
					t.Errorf("%d messages deleted, want 1", deleted)
				}
				if got := strings.Count(log.String(), "\n"); got != tt.lines || tt.lines > 0 && !strings.Contains(log.String(), "message_id=id-0") {
					t.Errorf("log %q, want %d lines", &log, tt.lines)
				}
			})
		})
	}
}

func TestWatchByARN(t *testing.T) {
	for place, want := range map[string]bool{
		secretARN: true,
		"arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/openai":        true,
		"arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/open":          false,
		"arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/openai-AbCdEf": false,
	} {
		p, err := New(t.Context(), place, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.secret.Is(secretARN, secretName); got != want {
			t.Errorf("%s.Is(%s) = %v, want %v", place, secretARN, got, want)
		}
	}
}

func TestWatchEchoesUntilTheVersionIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		p := watched(t, q, &bytes.Buffer{})
		q.send(eventFor(secretARN, secretName, "AWSCURRENT", versionID(2)))
		start := time.Now()
		for _, want := range []time.Duration{0, 1, 3, 7, 15} { // seconds
			if err := p.Watch(t.Context(), keyprovider.Version(versionID(1))); err != nil {
				t.Fatal(err)
			}
			if got := time.Since(start); got != want*time.Second {
				t.Errorf("hint after %v, want %vs", got, int(want))
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := p.Watch(ctx, keyprovider.Version(versionID(1))); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("then Watch = %v, want no more hints", err)
		}
		q.send(eventFor(secretARN, secretName, "AWSCURRENT", versionID(3)))
		if err := p.Watch(t.Context(), keyprovider.Version(versionID(1))); err != nil {
			t.Fatal(err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := p.Watch(ctx, keyprovider.Version(versionID(3))); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("once the version is held Watch = %v, want no hint", err)
		}
	})
}

func TestWatchByMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		p := watched(t, q, &bytes.Buffer{})
		const hinted, unaware = 8, 2
		done := make(chan error, hinted+unaware)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for range hinted {
			go func() { done <- p.Watch(ctx, keyprovider.Version(versionID(1))) }()
		}
		for range unaware {
			go func() { done <- p.Watch(ctx, keyprovider.Version(versionID(2))) }()
		}
		synctest.Wait()
		if received, _ := q.counts(); received != 1 {
			t.Errorf("%d receive at one time, want 1", received)
		}
		q.send(eventFor(secretARN, secretName, "AWSCURRENT", versionID(2)))
		synctest.Wait()
		if got := len(done); got != hinted {
			t.Errorf("%d were hinted, want the %d that hold another version", got, hinted)
		}
		for range hinted {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		cancel()
		for range unaware {
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want context.Canceled", err)
			}
		}
	})
}

func TestWatchBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		q.err = errors.New("broken")
		p := watched(t, q, &bytes.Buffer{})
		start := time.Now()
		for range 20 { // a caller that watches again at once
			if err := p.Watch(t.Context(), ""); !errors.Is(err, keyprovider.ErrUnavailable) {
				t.Fatalf("got %v, want ErrUnavailable", err)
			}
		}
		if took := time.Since(start); took < 6*time.Minute || took > 20*time.Minute {
			t.Errorf("20 failures took %v, want about a minute each in the end", took)
		}
		q.err = nil
		q.send(eventFor(secretARN, secretName, "AWSCURRENT", versionID(2)))
		if err := p.Watch(t.Context(), ""); err != nil {
			t.Fatalf("once mended: %v", err)
		}
		if p.pace.backoff() != 0 {
			t.Error("a success does not end the backoff")
		}
	})
}

func TestWatchDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		q.impolite = true
		p := watched(t, q, &bytes.Buffer{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := p.Watch(ctx, ""); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		if received, _ := q.counts(); received < 50 || received > 61 {
			t.Errorf("received %d times in a minute, want about one a second", received)
		}
	})
}

func TestWatchEnds(t *testing.T) {
	for _, opts := range []Options{
		{Region: "eu-west-1"}, // no queue: nothing to watch
		{Region: "eu-west-1", Queue: newQueue(), QueueURL: "https://sqs.eu-west-1.amazonaws.com/123456789012/keys"},
	} {
		synctest.Test(t, func(t *testing.T) {
			if opts.Queue != nil {
				opts.Queue = newQueue() // of this bubble
			}
			p, err := New(t.Context(), secretName, &opts)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- p.Watch(ctx, "") }()
			time.Sleep(time.Hour)
			synctest.Wait()
			if len(done) > 0 {
				t.Fatalf("Watch returned %v before its context ended", <-done)
			}
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("Watch = %v, want context.Canceled", err)
			}
		})
	}
}

// Through the SDK's own client: the region and host of the queue's URL, and a
// queue from which nothing can be deleted.
func TestWatchOverHTTP(t *testing.T) {
	var log bytes.Buffer
	f := newFake(t)
	f.hold = 1
	f.send(eventFor(secretARN, secretName, "AWSCURRENT", versionID(2)), eventFor(secretARN, secretName, "AWSCURRENT", versionID(3)))
	p := f.provide(t, &Options{QueueURL: f.URL + "/123456789012/keys", Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err := p.Watch(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if f.deletedMessages() != 1 || !strings.Contains(log.String(), "1 of 2 messages were kept") {
		t.Errorf("%d deleted, log %q; want one kept, and a line about it", f.deletedMessages(), &log)
	}
	if got := f.took(); got != "Receive Delete" {
		t.Errorf("took %q, want one call for both messages", got)
	}

	f.failCode("ReceiveMessage", 400, "AccessDenied", "no")
	err := p.Watch(t.Context(), keyprovider.Version(versionID(3)))
	if !errors.Is(err, keyprovider.ErrDenied) || !strings.Contains(err.Error(), "(queue): access denied: AccessDenied: grant sqs:ReceiveMessage") {
		t.Errorf("got %v, want ErrDenied with the permission", err)
	}
	f.failCode("ReceiveMessage", 400, "AWS.SimpleQueueService.NonExistentQueue", "no")
	p.pace.received()
	if err := p.Watch(t.Context(), keyprovider.Version(versionID(3))); !errors.Is(err, keyprovider.ErrNotFound) || !strings.Contains(err.Error(), "no such queue") {
		t.Errorf("got %v, want ErrNotFound: no such queue", err)
	}
}

func FuzzParseEvent(f *testing.F) {
	f.Add(eventFor(secretARN, secretName, "AWSCURRENT", versionID(1)))
	f.Add(`{"Type":"Notification","Message":"{}"}`)
	f.Add(`{"Type":1}`)
	p, err := New(f.Context(), secretName, &Options{Region: "eu-west-1"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body string) {
		event, err := parseEvent(body)
		if err != nil {
			if err != errNotJSON && err != errNotEvent {
				t.Errorf("an error of another's making: %v", err)
			}
			return
		}
		if event.concerns(p.secret, "AWSCURRENT") && !strings.Contains(body, "openai") && !strings.Contains(body, `\u`) {
			t.Errorf("%q concerns %v", body, p)
		}
	})
}
