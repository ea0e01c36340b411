package main

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// secrets collects every key that a service bore.
type secrets struct {
	mu   sync.Mutex
	list []string
}

func (s *secrets) add(k *keyprovider.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if secret := k.Reveal(); !slices.Contains(s.list, secret) {
		s.list = append(s.list, secret)
	}
}

// quickly are the options of a demonstration that nobody watches.
func quickly(keys *secrets) demoOptions {
	return demoOptions{spread: 100 * time.Millisecond, overlap: 2 * time.Second, quiet: time.Second, poll: 700 * time.Millisecond, seen: keys.add}
}

func TestDemo(t *testing.T) {
	t.Parallel()
	for _, terminal := range []bool{false, true} {
		t.Run("terminal="+strconv.FormatBool(terminal), func(t *testing.T) {
			t.Parallel()
			var keys secrets
			var out strings.Builder
			if err := demo(t.Context(), newScreen(&out, terminal, noStamp), quickly(&keys)); err != nil {
				t.Errorf("got %v, want nothing", err)
			}
			checkDemo(t, out.String(), terminal)
			if len(keys.list) != 3 {
				t.Errorf("services bore %d keys, want 3", len(keys.list))
			}
			if keyprovidertest.Leaks(out.String(), keys.list...) {
				t.Error("a key shows in the output")
			}
			if t.Failed() {
				t.Logf("the output:\n%s", out.String())
			}
		})
	}
}

func checkDemo(t *testing.T, out string, terminal bool) {
	t.Helper()
	if got := strings.Contains(out, "\x1b"); got != terminal {
		t.Errorf("control sequences: got %t, want %t", got, terminal)
	}
	if terminal {
		out = seen(out)
	} else if !strings.Contains(out, "draining: the overlap") {
		t.Error("the output does not say what the rotation waits for")
	}
	for _, want := range []string{
		"/1/1 (fingerprint", "/2/1 is what readers get from now on", "/1/1 is revoked", "web       takes up the key", "batch     takes up the key",
		"records what was asked for: emergency", "/3/1 is what readers get from now on", "/2/1 is revoked", "No call failed, and one key is live.",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the output lacks %q", want)
		}
	}
	rows := regexp.MustCompile(`(?m)^  keybearer/\S+/(\d/\d) +(\d+) accepted +\d+ refused  (revoked|live)$`).FindAllStringSubmatch(out, -1)
	var states []string
	for _, row := range rows {
		states = append(states, row[1]+" "+row[3])
		if row[2] == "0" {
			t.Errorf("key %s was never accepted", row[1])
		}
	}
	if got, want := strings.Join(states, ", "), "1/1 revoked, 2/1 revoked, 3/1 live"; got != want {
		t.Errorf("keys: got %q, want %q", got, want)
	}
	sums := regexp.MustCompile(`(\d+) calls answered, 0 failed; \S+ at most`).FindStringSubmatch(out)
	if sums == nil {
		t.Fatal("the output lacks the sums")
	}
	if n, _ := strconv.Atoi(sums[1]); n < 20 {
		t.Errorf("%d calls were answered, want some dozens", n)
	}
}

// TestSums: what was not as promised is an error.
func TestSums(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		change func(*world)
		want   string
	}{
		{"as promised", func(*world) {}, ""},
		{"a failed call", func(w *world) { w.services[0].failed.Add(2) }, "2 calls failed"},
		{"an orphan", func(w *world) { w.srv.Mint(openaitest.MintOptions{Name: "keybearer/d/2/1"}) }, "2 keys are live"},
		{"no key left", func(w *world) {
			secret := w.srv.Mint(openaitest.MintOptions{})
			w.srv.Revoke(secret)
			w.srv.Revoke(w.dir) // where this test keeps the first one's secret
		}, "0 keys are live"},
		{"a slow rotation", func(w *world) { w.score.longest = time.Minute }, "a rotation took 1m0s"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			srv := openaitest.NewUnstarted(nil)
			defer srv.Close()
			w := &world{srv: srv, out: newScreen(&out, false, noStamp), services: []*service{{name: "web"}}}
			w.dir = srv.Mint(openaitest.MintOptions{Name: "keybearer/d/1/1"})
			w.services[0].answered.Add(1)
			srv.MintAdmin(openaitest.AdminMintOptions{})
			tc.change(w)
			err := w.score.sum(w)
			switch {
			case tc.want == "" && (err != nil || !strings.Contains(out.String(), "No call failed")):
				t.Errorf("got %v and %q, want no error", err, out.String())
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(out.String(), "No call failed")):
				t.Errorf("got %v and %q, want %q", err, out.String(), tc.want)
			}
		})
	}
}
