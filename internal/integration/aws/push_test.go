package aws

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/keybearer/keybearer/keyprovider/awssm"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

// queue is an SQS queue of moto's. Moto does not send the event by itself.
type queue struct {
	testing.TB
	client *sqs.Client
	url    string
}

func newQueue(tb testing.TB, endpoint string) *queue {
	tb.Helper()
	q := &queue{TB: tb, client: sqs.New(sqs.Options{
		Region: region, BaseEndpoint: aws.String(endpoint), HTTPClient: httpClient(tb),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})}
	out, err := q.client.CreateQueue(tb.Context(), &sqs.CreateQueueInput{QueueName: aws.String("keys-" + rand.Text())})
	if err != nil {
		tb.Fatal(err)
	}
	q.url = *out.QueueUrl
	return q
}

func (q *queue) send(body string) {
	q.Helper()
	if _, err := q.client.SendMessage(q.Context(), &sqs.SendMessageInput{QueueUrl: &q.url, MessageBody: &body}); err != nil {
		q.Fatal(err)
	}
}

// left returns how many messages the queue holds, those included that a
// receiver has taken and not deleted.
func (q *queue) left() string {
	q.Helper()
	names := []types.QueueAttributeName{types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible}
	out, err := q.client.GetQueueAttributes(q.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &q.url, AttributeNames: names})
	if err != nil {
		q.Fatal(err)
	}
	return out.Attributes[string(names[0])] + "+" + out.Attributes[string(names[1])]
}

// event is EventBridge's event as Secrets Manager documents it.
func event(arn, name, label, version string) string {
	body, _ := json.Marshal(map[string]any{
		"version": "0", "id": rand.Text(), "detail-type": "Secret Label Updated", "source": "aws.secretsmanager",
		"account": "123456789012", "time": time.Now().UTC().Format(time.RFC3339), "region": region, "resources": []string{arn},
		"detail": map[string]string{"name": name, "labelUpdated": label, "versionId": version},
	})
	return string(body)
}

// A Source that polls once an hour follows a rotation at once.
func TestPush(t *testing.T) {
	endpoint := sharedMoto(t)
	s, q := newStore(t, endpoint), newQueue(t, endpoint)
	s.set([]byte(keyprovidertest.NewSecret()))
	var log bytes.Buffer
	p := s.provide(endpoint, awssm.Options{QueueURL: q.url, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	source, err := rotation.NewSource(t.Context(), p, &rotation.SourceOptions{PollInterval: time.Hour, MinRefresh: 10 * time.Millisecond,
		Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()

	q.send("rubbish")
	q.send(event(s.arn+"x", "test/other", "AWSCURRENT", "v"))
	q.send(event(s.arn, s.name, "AWSPENDING", "v"))
	for range 3 {
		changed := source.Changed()
		secret := keyprovidertest.NewSecret()
		s.set([]byte(secret))
		q.send(event(s.arn, s.name, "AWSCURRENT", s.latest))
		start := time.Now()
		select {
		case <-changed:
			t.Logf("seen after %v", time.Since(start).Round(time.Millisecond))
		case <-time.After(20 * time.Second):
			t.Fatal("the rotation was not seen in 20s")
		}
		if key, err := source.Key(t.Context()); err != nil || key.Reveal() != secret {
			t.Fatalf("got %v, %v; want the new key", key, err)
		}
	}
	if err := source.Close(); err != nil {
		t.Fatal(err)
	}
	if got := q.left(); got != "0+0" {
		t.Errorf("%s messages are left in the queue, want none", got)
	}
	if got := strings.Count(log.String(), "dropped a message"); got != 1 {
		t.Errorf("log %q, want one line about the rubbish", &log)
	}
}
