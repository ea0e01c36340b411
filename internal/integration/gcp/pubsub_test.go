package gcp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/keybearer/keybearer/internal/integration/gcp/fakesm"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/gcpsm"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// bus is a Pub/Sub with a topic and a subscription to it.
type bus struct {
	addr                string
	client              *pubsub.Client
	topic, subscription string

	tb testing.TB
}

// newPstest starts Google's fake of Pub/Sub.
func newPstest(tb testing.TB) *bus {
	tb.Helper()
	server := pstest.NewServer()
	tb.Cleanup(func() { server.Close() })
	return newBus(tb, server.Addr)
}

var emulators atomic.Int32

// newEmulator starts Google's emulator of Pub/Sub, which is stricter.
func newEmulator(tb testing.TB) *bus {
	tb.Helper()
	gcloud, err := exec.LookPath("gcloud")
	if err != nil {
		lacking(tb, "gcloud is not installed, so its Pub/Sub emulator cannot be started")
	}
	if gcloud, err = filepath.EvalSymlinks(gcloud); err != nil {
		tb.Fatal(err)
	}
	program := filepath.Join(filepath.Dir(filepath.Dir(gcloud)), "platform", "pubsub-emulator", "bin", "cloud-pubsub-emulator")
	if _, err := os.Stat(program); err != nil {
		lacking(tb, "gcloud has no component pubsub-emulator")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	addr := listener.Addr().String()
	listener.Close()
	_, port, _ := net.SplitHostPort(addr)
	// A script starts a Java program: both are of a group of their own, to be
	// ended together.
	cmd := exec.Command(program, "--host=127.0.0.1", "--port="+port)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StderrPipe()
	if err != nil {
		tb.Fatal(err)
	}
	cmd.Stdout = cmd.Stderr
	if err := cmd.Start(); err != nil {
		lacking(tb, "the Pub/Sub emulator does not start: "+err.Error())
	}
	started, over := make(chan bool, 1), make(chan struct{})
	go func() {
		defer close(over)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "Server started") {
				started <- true
			}
		}
		started <- false
	}()
	tb.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-over
		_ = cmd.Wait()
	})
	select {
	case ok := <-started:
		if !ok {
			lacking(tb, "the Pub/Sub emulator ended at once (it needs Java)")
		}
	case <-time.After(time.Minute):
		tb.Fatal("the Pub/Sub emulator has not started within a minute")
	}
	return newBus(tb, addr)
}

func newBus(tb testing.TB, addr string) *bus {
	tb.Helper()
	ctx := context.Background()
	client, err := pubsub.NewClient(ctx, project, option.WithEndpoint(addr), option.WithoutAuthentication(),
		option.WithTelemetryDisabled(), option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	if err != nil {
		tb.Fatal(err)
	}
	b := &bus{addr: addr, client: client, tb: tb, topic: "projects/" + project + "/topics/secret-events"}
	tb.Cleanup(func() { client.Close() })
	if _, err := client.TopicAdminClient.CreateTopic(ctx, &pubsubpb.Topic{Name: b.topic}); err != nil {
		tb.Fatal(err)
	}
	b.subscription = b.subscribe()
	return b
}

// subscribe makes another subscription, for another replica.
func (b *bus) subscribe() string {
	b.tb.Helper()
	name := fmt.Sprintf("projects/%s/subscriptions/replica-%d", project, emulators.Add(1))
	_, err := b.client.SubscriptionAdminClient.CreateSubscription(context.Background(), &pubsubpb.Subscription{
		Name: name, Topic: b.topic, AckDeadlineSeconds: 10})
	if err != nil {
		b.tb.Fatal(err)
	}
	return name
}

// publish is what fakesm calls.
func (b *bus) publish(topic string, attributes map[string]string, data []byte) {
	_, err := b.client.TopicAdminClient.Publish(context.Background(), &pubsubpb.PublishRequest{
		Topic: topic, Messages: []*pubsubpb.PubsubMessage{{Attributes: attributes, Data: data}}})
	if err != nil {
		b.tb.Errorf("publishing %s: %v", attributes["eventType"], err)
	}
}

// TestPush lets notifications go all the way, to two replicas, with the client
// that the provider makes itself.
func TestPush(t *testing.T) {
	for name, start := range map[string]func(testing.TB) *bus{"pstest": newPstest, "emulator": newEmulator} {
		t.Run(name, func(t *testing.T) {
			b := start(t)
			t.Setenv("PUBSUB_EMULATOR_HOST", b.addr)
			s := newStore(t, fakesm.Options{Publish: b.publish})
			one := s.provider(gcpsm.Options{Subscription: b.subscription})
			two := s.provider(gcpsm.Options{Subscription: b.subscribe()})
			s.create(b.topic)

			first, second := keyprovidertest.NewSecret(), keyprovidertest.NewSecret()
			s.add(first)
			for _, p := range []*gcpsm.Provider{one, two} {
				hinted(t, p, "")
				mustFetch(t, p, "", "1", first)
				drain(t, p)
			}
			// The service's own latest lags behind the notification of the new one.
			if err := s.Lag(place); err != nil {
				t.Fatal(err)
			}
			s.add(second)
			start := time.Now()
			for _, p := range []*gcpsm.Provider{one, two} {
				hinted(t, p, "1")
				mustFetch(t, p, "1", "2", second)
			}
			t.Logf("seen by both replicas %v after it was added", time.Since(start).Round(time.Millisecond))
			if err := s.CatchUp(place); err != nil {
				t.Fatal(err)
			}
			if _, err := one.Fetch(t.Context(), "2"); !errors.Is(err, keyprovider.ErrNotModified) {
				t.Errorf("Fetch: %v, want ErrNotModified", err)
			}
		})
	}
}

// hinted waits for a hint.
func hinted(t *testing.T, p *gcpsm.Provider, last keyprovider.Version) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := p.Watch(ctx, last); err != nil {
		t.Fatalf("Watch: %v", err)
	}
}

// drain takes the hints that are still to come for what is known.
func drain(t *testing.T, p *gcpsm.Provider) {
	t.Helper()
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		err := p.Watch(ctx, "1")
		cancel()
		if err != nil {
			return
		}
		if _, err := p.Fetch(t.Context(), "1"); !errors.Is(err, keyprovider.ErrNotModified) {
			t.Fatalf("Fetch: %v", err)
		}
	}
}

func mustFetch(t *testing.T, p keyprovider.KeyProvider, last, version keyprovider.Version, secret string) {
	t.Helper()
	key, err := p.Fetch(t.Context(), last)
	if err != nil {
		t.Fatalf("Fetch: %v", err)
	}
	if key.Version() != version || key.Reveal() != secret {
		t.Errorf("Fetch brought %v, the right secret %t; want version %s", key, key.Reveal() == secret, version)
	}
}

// TestSubscriptionMissing: a misconfigured subscription is told, and polling
// goes on beside it.
func TestSubscriptionMissing(t *testing.T) {
	b := newPstest(t)
	s := newStore(t, fakesm.Options{})
	p := s.provider(gcpsm.Options{Subscription: "projects/" + project + "/subscriptions/none", Subscriber: b.client.SubscriptionAdminClient})
	err := p.Watch(t.Context(), "")
	if !errors.Is(err, keyprovider.ErrNotFound) || !strings.Contains(err.Error(), "watch: NOT_FOUND: no such subscription") {
		t.Errorf("Watch: %v", err)
	}
}
