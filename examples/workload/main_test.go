package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/keybearer/keybearer/keyprovider"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The local run calls through the renewal of a token, and no call fails.
func TestLocal(t *testing.T) {
	var out bytes.Buffer
	a := &app{every: 100 * time.Millisecond, calls: 70, out: &lockedWriter{w: &out}}
	if err := a.local(t.Context()); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if got := strings.Count(text, "call answered"); got != a.calls || strings.Contains(text, "failed") {
		t.Errorf("%d of %d calls were answered:\n%s", got, a.calls, text)
	}
	if got := strings.Count(text, "--- OpenAI exchanged"); got < 2 || got > 4 {
		t.Errorf("%d exchanges in 7 seconds of tokens that live for 6:\n%s", got, text)
	}
}

// Without an identity the program says what is missing.
func TestProduction(t *testing.T) {
	t.Setenv("OPENAI_IDENTITY_TOKEN_FILE", "")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := (&app{}).production(ctx, "workload:?identity_provider_id=wip_1&service_account_id=svc_1")
	if !errors.Is(err, keyprovider.ErrInvalid) || !strings.Contains(err.Error(), "OPENAI_IDENTITY_TOKEN_FILE") {
		t.Errorf("production: %v, want ErrInvalid that names the variable", err)
	}
}
