package main

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/rotation"
)

// checkDemo looks for the facts of the story in its output.
func checkDemo(t *testing.T, out string) {
	t.Helper()
	for _, want := range []string{
		"key 1 serves",
		"swaps key 1 for key 2",
		"revokes key 1",
		"key 2 was refused",
		"swaps key 2 for key 3",
		"key 4 is not accepted yet: key 3 stands in",
		"tries key 4 again",
		"key 4 is accepted",
		"revokes key 3",
		"└─ POST",
		"http.response.status_code=401",
		"http.request.resend_count=1",
		"No call failed, and no key shows",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the output lacks %q", want)
		}
	}
	sums := regexp.MustCompile(`(\d+) calls answered, (\d+) of them streamed; (\d+) repeated with another key; (\d+) failed`).FindStringSubmatch(out)
	if sums == nil {
		t.Fatalf("the output lacks the sums:\n%s", out)
	}
	number := func(i int) int { n, _ := strconv.Atoi(sums[i]); return n }
	if number(1) < 20 || number(2) < 1 || number(3) < 2 || number(4) != 0 {
		t.Errorf("got %q, want calls of both kinds, some repeated, none failed", sums[0])
	}
	rows := regexp.MustCompile(`(?m)^  (key \d) +(\d+) +(\d+)  (revoked|in use)$`).FindAllStringSubmatch(out, -1)
	var states []string
	refused := 0
	for _, row := range rows {
		states = append(states, row[1]+" "+row[4])
		n, _ := strconv.Atoi(row[3])
		refused += n
		if row[2] == "0" {
			t.Errorf("%s was never accepted", row[1])
		}
	}
	if got, want := strings.Join(states, ", "), "key 1 revoked, key 2 revoked, key 3 revoked, key 4 in use"; got != want {
		t.Errorf("keys: got %q, want %q", got, want)
	}
	if refused != number(3) {
		t.Errorf("%d attempts were refused and %d repeated", refused, number(3))
	}
	if t.Failed() {
		t.Logf("the output:\n%s", out)
	}
}

// TestDemoFailsWithACall is the deliberate failure: the operator revokes a key
// and forgets to provide another.
func TestDemoFailsWithACall(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := demo(t.Context(), &out, false, []chapter{{"forgotten", func(ctx context.Context, o *operator) error {
		o.revoke(o.current())
		return o.until(ctx, func(rotation.SourceStatus) bool { return o.app.failed.Load() > 0 })
	}}})
	if err == nil || !strings.Contains(err.Error(), "calls failed") {
		t.Errorf("got the error %v, want one about failed calls", err)
	}
	if got := out.String(); !strings.Contains(got, "FAILED") || !strings.Contains(got, "401") || strings.Contains(got, "No call failed") {
		t.Errorf("got %q, want the failures in it", got)
	}
}

func TestDemoFailsWithARotation(t *testing.T) {
	t.Parallel()
	want := errors.New("the operator is ill")
	var out bytes.Buffer
	err := demo(t.Context(), &out, true, []chapter{{"ill", func(context.Context, *operator) error { return want }}})
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
	if !strings.Contains(out.String(), "\x1b[1mill\x1b[0m") {
		t.Errorf("got %q, want colours for a terminal", out.String())
	}
}

func TestDemoFailsWithAKeyInItsOutput(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		show func(o *operator, secret string)
		held bool
	}{
		{"in a line", func(o *operator, secret string) { o.line.say("operator", "uses %s", secret) }, true},
		{"a part of it", func(o *operator, secret string) { o.line.say("operator", "uses ...%s", secret[len(secret)-14:]) }, true},
		{"in the log", func(o *operator, secret string) { o.guard.silent().Write([]byte(secret)) }, false},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			var secret string
			err := demo(t.Context(), &out, false, []chapter{{"careless", func(_ context.Context, o *operator) error {
				secret = o.current().secret
				tc.show(o, secret)
				return nil
			}}})
			if err == nil || !strings.Contains(err.Error(), "a key showed") {
				t.Errorf("got %v, want an error about the key that showed", err)
			}
			if strings.Contains(out.String(), secret[len(secret)-14:]) {
				t.Error("the key passed the guard")
			}
			if got := strings.Contains(out.String(), "was held back"); got != tc.held {
				t.Errorf("a line was held back: got %t, want %t", got, tc.held)
			}
		})
	}
}

func TestDemoEndsWhenInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	err := demo(ctx, &out, false, []chapter{{"interrupted", func(ctx context.Context, o *operator) error {
		if _, err := o.writeNew(openaitest.MintOptions{}); err != nil {
			return err
		}
		cancel()
		return o.inUse(ctx)
	}}})
	if !errors.Is(err, context.Canceled) || strings.Contains(out.String(), "FAILED") {
		t.Errorf("got %v and %q, want the interruption alone", err, out.String())
	}
}
