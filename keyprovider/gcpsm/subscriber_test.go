package gcpsm

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const subscription = "projects/my-project/subscriptions/replica-1"

// subscriber is a Pub/Sub that holds a pull until there is a message, or an
// error, to answer with.
type subscriber struct {
	mu     sync.Mutex
	ready  chan struct{}
	queue  []*pubsubpb.ReceivedMessage
	err    error
	empty  bool // answer at once with nothing
	pulls  []time.Time
	acked  []string
	ackErr error
}

func newSubscriber() *subscriber { return &subscriber{ready: make(chan struct{}, 100)} }

// publish queues a message.
func (s *subscriber) publish(attributes map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, &pubsubpb.ReceivedMessage{
		AckId: attributes["eventType"], Message: &pubsubpb.PubsubMessage{Attributes: attributes}})
	s.ready <- struct{}{}
}

func (s *subscriber) Pull(ctx context.Context, req *pubsubpb.PullRequest, _ ...gax.CallOption) (*pubsubpb.PullResponse, error) {
	s.mu.Lock()
	s.pulls = append(s.pulls, time.Now())
	err, empty := s.err, s.empty
	s.mu.Unlock()
	if req.GetSubscription() != subscription {
		return nil, status.Error(codes.NotFound, "")
	}
	if err != nil || empty {
		return &pubsubpb.PullResponse{}, err
	}
	select {
	case <-s.ready:
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := s.queue
	s.queue = nil
	return &pubsubpb.PullResponse{ReceivedMessages: queue}, s.err
}

func (s *subscriber) Acknowledge(_ context.Context, req *pubsubpb.AcknowledgeRequest, _ ...gax.CallOption) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acked = append(s.acked, req.GetAckIds()...)
	return s.ackErr
}

// event is a notification about this secret.
func event(kind, version string) map[string]string {
	attributes := map[string]string{"eventType": kind, "dataFormat": "JSON_API_V1", "secretId": answered}
	if version != "" {
		attributes["versionId"] = answered + "/versions/" + version
	}
	return attributes
}

// watching starts a Watch.
func watching(ctx context.Context, p *Provider) <-chan error {
	done := make(chan error, 1)
	go func() { done <- p.Watch(ctx, "6") }()
	synctest.Wait()
	return done
}

// returned takes the result of a Watch that must have returned by now.
func returned(t *testing.T, done <-chan error) error {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-done:
		return err
	default:
		t.Fatal("Watch has not returned")
		return nil
	}
}

func running(t *testing.T, done <-chan error) {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-done:
		t.Fatalf("Watch returned %v", err)
	default:
	}
}
