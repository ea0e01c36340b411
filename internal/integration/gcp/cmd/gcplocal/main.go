// Command gcplocal runs a program beside a Secret Manager, a Pub/Sub and an
// OpenAI of its own on this machine, and rotates the program's key every few
// seconds: it stores a new key, and soon after revokes the old one.
//
//	gcplocal [-every 5s] [-rotations N] [program [arguments]]
//
// Without a program it builds and runs examples/gcp. With -rotations it ends
// after so many, with status 1 if the program said that a call had failed.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"

	"github.com/keybearer/keybearer/internal/integration/gcp/fakesm"
	"github.com/keybearer/keybearer/internal/openaitest"
)

const (
	parent       = "projects/my-project"
	secret       = parent + "/secrets/openai"
	topic        = parent + "/topics/openai-key"
	subscription = parent + "/subscriptions/openai-key-0"
	example      = "github.com/keybearer/keybearer/examples/gcp"
)

func main() {
	every := flag.Duration("every", 5*time.Second, "time between two rotations")
	rotations := flag.Int("rotations", 0, "how many rotations before the end; 0: until interrupted")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *every, *rotations, flag.Args()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, every time.Duration, rotations int, command []string) error {
	bus := pstest.NewServer()
	defer func() { _ = bus.Close() }()
	store := fakesm.New(fakesm.Options{Projects: map[string]int64{"my-project": 123456789012},
		Publish: func(topic string, attributes map[string]string, data []byte) { bus.Publish(topic, data, attributes) }})
	running, err := store.Start("127.0.0.1:0")
	if err != nil {
		return err
	}
	defer running.Stop()
	admin, err := fakesm.Client(ctx, running.Addr)
	if err != nil {
		return err
	}
	defer func() { _ = admin.Close() }()
	service := openaitest.New(nil)
	defer service.Close()
	if err := prepare(ctx, bus, admin); err != nil {
		return err
	}
	old := service.Mint(openaitest.MintOptions{Name: "version 1"})
	if err := add(ctx, admin, old); err != nil {
		return err
	}
	if len(command) == 0 {
		dir, err := os.MkdirTemp("", "gcplocal")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		program := filepath.Join(dir, "example")
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, example).CombinedOutput(); err != nil {
			return fmt.Errorf("building the example: %w\n%s", err, out)
		}
		command = []string{program}
	}
	program, err := start(command,
		"SECRETMANAGER_EMULATOR_HOST="+running.Addr, "PUBSUB_EMULATOR_HOST="+bus.Addr, "OPENAI_BASE_URL="+service.URL(),
		"OPENAI_KEY_SECRET="+secret, "OPENAI_KEY_SUBSCRIPTION="+subscription)
	if err != nil {
		return err
	}
	for n := 1; program.runs(ctx, every) && (rotations == 0 || n <= rotations); n++ {
		next := service.Mint(openaitest.MintOptions{Name: fmt.Sprint("version ", n+1)})
		if err := add(ctx, admin, next); err != nil {
			return err
		}
		fmt.Printf("--- version %d of the key is stored\n", n+1)
		if program.runs(ctx, every/2) {
			service.Revoke(old)
			fmt.Printf("--- version %d of the key is revoked at OpenAI\n", n)
		}
		old = next
	}
	return program.end()
}

// prepare makes the topic, the subscription and the secret.
func prepare(ctx context.Context, bus *pstest.Server, admin *secretmanager.Client) error {
	if _, err := bus.GServer.CreateTopic(ctx, &pubsubpb.Topic{Name: topic}); err != nil {
		return err
	}
	if _, err := bus.GServer.CreateSubscription(ctx, &pubsubpb.Subscription{Name: subscription, Topic: topic, AckDeadlineSeconds: 10}); err != nil {
		return err
	}
	_, err := admin.CreateSecret(ctx, &secretmanagerpb.CreateSecretRequest{Parent: parent, SecretId: "openai", Secret: &secretmanagerpb.Secret{
		Topics: []*secretmanagerpb.Topic{{Name: topic}},
		Replication: &secretmanagerpb.Replication{Replication: &secretmanagerpb.Replication_Automatic_{
			Automatic: &secretmanagerpb.Replication_Automatic{}}},
	}})
	return err
}

func add(ctx context.Context, admin *secretmanager.Client, value string) error {
	_, err := admin.AddSecretVersion(ctx, &secretmanagerpb.AddSecretVersionRequest{Parent: secret,
		Payload: &secretmanagerpb.SecretPayload{Data: []byte(value)}})
	return err
}

// program is what runs beside the services.
type program struct {
	cmd    *exec.Cmd
	over   chan struct{} // closed when it has ended
	failed bool          // it said so; to be read once over
	err    error
}

func start(command []string, env ...string) (*program, error) {
	p := &program{cmd: exec.Command(command[0], command[1:]...), over: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.over)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			fmt.Println(lines.Text())
			p.failed = p.failed || strings.HasPrefix(lines.Text(), "call failed")
		}
		p.err = p.cmd.Wait()
	}()
	return p, nil
}

// runs waits for a time and reports whether the program, and ctx, still last.
func (p *program) runs(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-p.over:
		return false
	case <-ctx.Done():
		return false
	}
}

// end ends the program and says how it went.
func (p *program) end() error {
	_ = p.cmd.Process.Signal(os.Interrupt) // it may have ended
	select {
	case <-p.over:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.over
	}
	if p.failed {
		return errors.New("a call failed")
	}
	return p.err
}
