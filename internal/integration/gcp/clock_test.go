package gcp

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/keybearer/keybearer/internal/integration/gcp/fakesm"
	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider/gcpsm"
)

// clockOff has the program's clock be wrong while the fault lasts: it signs the
// tokens of its service account by it, and takes those that it has to be over,
// or Google does.
func clockOff(by time.Duration) func(*stack) func() {
	return func(s *stack) func() {
		c := &clock{off: by, signed: map[string]time.Duration{}}
		s.SetFault(func(ctx context.Context, _ string, _ any) error { return c.judge(ctx, time.Now()) })
		return func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.off = 0
			if len(c.signed) == 0 {
				s.tb.Error("the program signed no token by the wrong clock")
			}
		}
	}
}

// A clock is the program's as Google finds it in tokens. No test can set the
// clock of a process, so Google's rules are applied to what a token would say:
// by how much its times are off is settled when it is first seen.
type clock struct {
	mu     sync.Mutex
	off    time.Duration
	before string                   // the token from before the fault, which is over
	signed map[string]time.Duration // those since
}

// leeway is for a clock that is ahead by a little.
const leeway = 5 * time.Minute

// judge refuses a call as Google does whose token is not of this hour.
func (c *clock) judge(ctx context.Context, now time.Time) error {
	if !byTLS(ctx) {
		return nil
	}
	token := bearer(ctx)
	issued, ends, err := lifetime(token)
	if err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.before == "" {
		c.before = token
	}
	off, known := c.signed[token]
	if !known && token != c.before {
		off = c.off
		c.signed[token] = off
	}
	if token == c.before || issued.Add(off).After(now.Add(leeway)) || !ends.Add(off).After(now) {
		return status.Error(codes.Unauthenticated, "Request had invalid authentication credentials. "+
			"Expected OAuth 2 access token, login cookie or other valid authentication credential.")
	}
	return nil
}

func bearer(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	token, _ := strings.CutPrefix(strings.Join(md.Get("authorization"), ""), "Bearer ")
	return token
}

// lifetime reads from a service account's own token what it says of its hour.
func lifetime(token string) (issued, ends time.Time, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return issued, ends, fmt.Errorf("a token of %d parts is no service account's own", len(parts))
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return issued, ends, err
	}
	var claims struct{ Iat, Exp int64 }
	if err := json.Unmarshal(data, &claims); err != nil {
		return issued, ends, err
	}
	return time.Unix(claims.Iat, 0), time.Unix(claims.Exp, 0), nil
}

// TestWriterClock has whoever stores the keys do so by a clock that is an hour
// ahead, and then by the right one. The Source compares what was stored with
// what was stored, never with its own clock: a key from the future serves as any
// other. The next one seems to be older; it is set aside, as a replica's old
// answer would be, and serves as soon as the other is refused.
func TestWriterClock(t *testing.T) {
	s := newStack(t, gcpsm.Options{}, fast, fakesm.Options{})
	now := time.Now()
	minted := func(at time.Time) string {
		secret := s.openai.Mint(openaitest.MintOptions{})
		value, err := json.Marshal(map[string]string{"api_key": secret, "created_at": at.Format(time.RFC3339)})
		must(t, err)
		s.add(string(value))
		return secret
	}
	first := s.current(t)
	second := minted(now)
	s.serves("2")
	s.openai.Revoke(first)
	third := minted(now.Add(time.Hour))
	s.serves("3")
	s.openai.Revoke(second)
	s.more(3)
	minted(now.Add(time.Minute))
	for n := 0; !s.keys.Status().StaleRead; n++ {
		if n == 1000 {
			t.Fatalf("the key that seems to be older is not set aside: %+v", s.keys.Status())
		}
		s.more(1)
	}
	if got := s.keys.Status().Version; got != "3" {
		t.Errorf("version %s serves, want the third", got)
	}
	s.finish()
	s.mustNotFail()
	s.openai.Revoke(third)
	if err := s.call(t.Context()); err != nil {
		t.Errorf("the first call after the revocation: %v", err)
	}
	if got := s.keys.Status().Version; got != "4" {
		t.Errorf("version %s serves, want the fourth", got)
	}
}
