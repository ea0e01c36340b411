package vaultlogin

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"
)

// A Session keeps a token at hand: it logs in when one is needed first, renews
// the token at two thirds of its time, and logs in again where renewal ends.
// All of that happens within calls of Grant; there is no goroutine, and nothing
// to stop. It is safe for concurrent use: one call logs in or renews at a time,
// and failures are spaced, so that neither many callers nor a server that
// refuses everything make a storm of logins.
type Session struct {
	// The tokens are behind a closure, where no dumper looks.
	state func() *session
}

// Config says where a session's token comes from. At most one of Method and
// TokenFile is set.
type Config struct {
	// Client talks to the server. If Borrowed, it is used as it is, with the
	// token that its owner puts on it, unless there is a Method or TokenFile.
	Client   *api.Client
	Borrowed bool

	// Method logs in.
	Method api.AuthMethod

	// TokenFile is read at each Grant, because somebody else renews what it
	// holds.
	TokenFile string

	// Exact is for a client that writes. Each request is sent once: a write
	// whose answer was lost would otherwise be repeated behind the caller's back,
	// and its repetition refused. A standby that lags behind what the session
	// has seen answers 412 instead of with the past, where it can tell. The
	// Client's address and namespace are those that it has now.
	Exact bool

	// ForwardToActive asks standbys to let the active node answer reads too. A
	// server that does not allow that in its configuration refuses everything.
	// It goes with Exact.
	ForwardToActive bool
}

type session struct {
	Config
	base      *api.Client // only ever copied
	given     string      // the token of VAULT_TOKEN
	closeIdle func()
	turn      chan struct{} // holds one token: whoever has it may log in or renew

	mu      sync.Mutex
	current *Grant
	serial  uint64
	failure error
	logins  pace // failed logins, or lookups of a token that was given
	vain    pace // logins that did not help against a refusal
}

const (
	minLoginPause, maxLoginPause = time.Second, 30 * time.Second
	minVainPause, maxVainPause   = time.Minute, 30 * time.Minute

	// spareTime bounds an early renewal or login, behind which a caller waits
	// whose token would do as well.
	spareTime = 3 * time.Second

	// lookupTime bounds the question how long a token lasts, behind which the
	// first key waits.
	lookupTime = time.Second
)

// New returns a session. It does not call the server.
func New(cfg Config) (*Session, error) {
	st := &session{
		Config:    cfg,
		base:      cfg.Client,
		closeIdle: func() {},
		turn:      make(chan struct{}, 1),
		logins:    pace{min: minLoginPause, max: maxLoginPause},
		vain:      pace{min: minVainPause, max: maxVainPause},
	}
	if !cfg.Borrowed {
		st.closeIdle = cfg.Client.CloneConfig().HttpClient.CloseIdleConnections
	}
	replaces := cfg.Method != nil || cfg.TokenFile != ""
	if cfg.Borrowed && (replaces || cfg.Exact) {
		clone, err := cfg.Client.CloneWithHeaders()
		if err != nil {
			return nil, invalid("the client cannot be cloned: look at the VAULT_* environment", err)
		}
		st.base, st.Borrowed = clone, !replaces
	}
	if cfg.Exact {
		st.exact()
	}
	if replaces {
		st.base.ClearToken()
	} else if !st.Borrowed {
		st.given = st.base.Token()
	}
	return &Session{state: func() *session { return st }}, nil
}

// exact changes the client as Config.Exact says.
func (st *session) exact() {
	st.base.SetMaxRetries(0)
	st.base.SetReadYourWrites(true)
	if st.ForwardToActive {
		st.base.AddHeader(api.HeaderForward, "active-node")
	}
}

// Format implements fmt.Formatter: a session holds tokens.
func (s *Session) Format(f fmt.State, _ rune) { io.WriteString(f, "vaultlogin.Session") }

// Grant returns a client with a token that is good for now. An error of a login
// that failed a moment ago is returned again without another attempt.
func (s *Session) Grant(ctx context.Context) (*Grant, error) {
	st := s.state()
	switch {
	case st.Borrowed && st.Exact:
		return &Grant{Client: withToken(st.base, st.Client.Token())}, nil
	case st.Borrowed:
		return &Grant{Client: st.Client}, nil
	case st.TokenFile != "":
		return st.fromFile()
	case st.Method == nil && st.given == "":
		return st.anonymous(), nil
	}
	g := st.held()
	if g.Alive(now()) && !g.due(now()) {
		return g, nil
	}
	if g.Alive(now()) { // somebody else's turn is no reason to wait
		select {
		case st.turn <- struct{}{}:
		default:
			return g, nil
		}
	} else {
		select {
		case st.turn <- struct{}{}:
		case <-ctx.Done():
			return nil, Fail(ctx, "waiting for a login", ctx.Err())
		}
	}
	defer func() { <-st.turn }()
	return st.refresh(ctx)
}

// Refused tells the session that the server refused a call under g (HTTP 403),
// which may mean that the token is dead or that the policy does not allow the
// call: the answer is the same. It returns another token to try, once, if there
// is one. Logins that do not help are made at growing intervals, because each
// leaves a token behind in the server.
func (s *Session) Refused(ctx context.Context, g *Grant) (other *Grant, ok bool) {
	st := s.state()
	if st.Borrowed {
		return nil, false
	}
	if st.TokenFile != "" {
		other, err := st.fromFile()
		return other, err == nil && other.Serial != g.Serial
	}
	if st.Method == nil {
		return nil, false
	}
	select {
	case st.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, false
	}
	defer func() { <-st.turn }()
	if held := st.held(); held != nil && held.Serial != g.Serial {
		return held, true
	}
	if !st.vainReady() {
		return nil, false
	}
	other, err := st.login(ctx)
	return other, err == nil
}

// Proved tells the session that a call under its token went well.
func (s *Session) Proved() {
	st := s.state()
	st.mu.Lock()
	defer st.mu.Unlock()
	st.vain.reset()
}

// CloseIdle closes the idle connections of a client that is not borrowed.
func (s *Session) CloseIdle() {
	s.state().closeIdle()
}

// Revoke revokes the token if the session logged in for it, and with it every
// lease that was taken under it.
func (s *Session) Revoke(ctx context.Context) error {
	st := s.state()
	g := st.held()
	if st.Method == nil || !g.Alive(now()) {
		return nil
	}
	err := g.Client.Auth().Token().RevokeSelfWithContext(ctx, "")
	return Fail(ctx, "revoking the token", err)
}

func (st *session) held() *Grant {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.current
}

func (st *session) vainReady() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	ready := st.vain.ready(now())
	if ready {
		st.vain.count(now())
	}
	return ready
}

// set makes a token the current one.
func (st *session) set(g *Grant, isNew bool) *Grant {
	st.mu.Lock()
	defer st.mu.Unlock()
	if isNew {
		st.serial++
		g.Serial = st.serial
	}
	st.current = g
	return g
}
