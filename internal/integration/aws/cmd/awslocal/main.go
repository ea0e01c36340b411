// Awslocal shows examples/aws on one machine: it runs moto_server, which
// answers as AWS does, and a fake OpenAI, starts the example, and rotates the
// key under it as a rotator does, by staging labels and with the event that
// Secrets Manager would send:
//
//	go run -C internal/integration/aws ./cmd/awslocal
//
// It ends after a few rotations, with an error if a call of the example failed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/keybearer/keybearer/internal/integration/aws/motoserver"
	"github.com/keybearer/keybearer/internal/openaitest"
)

const region = "eu-west-1"

func main() {
	rotations := flag.Int("rotations", 3, "how often to rotate")
	every := flag.Duration("every", 5*time.Second, "time between two rotations")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *rotations, *every); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "awslocal:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, rotations int, every time.Duration) error {
	server, err := motoserver.Start()
	if err != nil {
		return err
	}
	defer server.Kill()
	service := openaitest.New(nil)
	defer service.Close()
	op, err := newOperator(ctx, server.URL, service)
	if err != nil {
		return err
	}
	example, err := start(ctx, server.URL, service.URL(), op.source())
	if err != nil {
		return err
	}
	rotateErr := op.rotateUnder(ctx, rotations, every)
	_ = example.Process.Signal(os.Interrupt)
	return errors.Join(rotateErr, example.Wait())
}

// start builds and starts the example, which finds moto by the SDK's own
// environment.
func start(ctx context.Context, aws, openai, source string) (*exec.Cmd, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/keybearer/keybearer").Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	program := filepath.Join(os.TempDir(), fmt.Sprintf("keybearer-example-aws-%d", os.Getpid()))
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./examples/aws")
	build.Dir, build.Stderr = strings.TrimSpace(string(root)), os.Stderr
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("go build: %w", err)
	}
	defer os.Remove(program) // a running program needs no name
	example := exec.CommandContext(ctx, program, "-every", "500ms")
	example.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+aws, "AWS_REGION="+region, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"AWS_CA_BUNDLE=", "OPENAI_BASE_URL="+openai, "OPENAI_KEY_SOURCE="+source)
	example.Stdout, example.Stderr = os.Stdout, os.Stderr
	return example, example.Start()
}
