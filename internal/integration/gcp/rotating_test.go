package gcp

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/gcpstore"
	"github.com/keybearer/keybearer/rotation/openaiadmin"
	"github.com/keybearer/keybearer/transport"
)

// rotating is the whole of a rotation: OpenAI with its Admin API, the two
// secrets, two replicas of a Rotator, and applications that call all the time.
type rotating struct {
	*stack
	vault    *vault
	account  string
	replicas []*rotation.Rotator

	mu     sync.Mutex
	events []rotation.RotatorEvent
	news   chan struct{} // closed at the next event
}

// newRotating starts two replicas. quietFor is how long the old key must have been
// idle. OpenAI counts uses by the minute, so any takes up to one; none is left to
// the overlap. timeout bounds a call of the stores, 0 as it does in a program:
// less is for faults that hang, and fails calls where other work has the machine.
func newRotating(t *testing.T, alias string, quietFor, timeout time.Duration) *rotating {
	t.Helper()
	v := newVault(t, "", alias)
	r := &rotating{vault: v, news: make(chan struct{}), stack: &stack{store: v.store,
		openai: openaitest.New(nil)}}
	t.Cleanup(r.openai.Close)
	v.SetFault(v.policy(t))
	r.account = r.openai.AddAccount("billing-bot")
	quiet := slog.New(slog.DiscardHandler)
	admin, err := rotation.NewSource(t.Context(), keyprovidertest.Static(r.openai.MintAdmin(openaitest.AdminMintOptions{Name: "rotator"})),
		&rotation.SourceOptions{Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Close() })
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() { stop(); running.Wait() })
	for _, holder := range []string{"replica-a", "replica-b"} {
		issuer, err := openaiadmin.New(admin, &openaiadmin.Options{Project: "proj_keybearer", ServiceAccount: r.account,
			Scopes: []string{openaitest.ScopeModelRequest}, Origin: r.openai.Origin(), Base: r.openai.Transport(), Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		// The day that readers may lag behind is a test of its own.
		s := v.open(gcpstore.Options{MinOverlap: -1, Timeout: timeout})
		t.Cleanup(func() { s.Close() })
		rotator, err := rotation.NewRotator(issuer, s, &rotation.RotatorOptions{
			Schedule: rotation.Every(time.Hour), Overlap: time.Second, Quiet: quietFor,
			TestFor: 30 * time.Second, Lease: time.Second, Holder: holder, Logger: quiet, OnEvent: r.event,
		})
		if err != nil {
			t.Fatal(err)
		}
		r.replicas = append(r.replicas, rotator)
		running.Go(func() { _ = rotator.Run(ctx) })
	}
	return r
}

func (r *rotating) event(e rotation.RotatorEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	close(r.news)
	r.news = make(chan struct{})
}

// until waits for an event of a kind, the nth of all replicas.
func (r *rotating) until(kind rotation.RotatorEventKind, nth int) rotation.RotatorEvent {
	r.tb.Helper()
	deadline := time.After(time.Minute)
	for {
		r.mu.Lock()
		n, news := 0, r.news
		for _, e := range r.events {
			if e.Kind == kind {
				if n++; n == nth {
					r.mu.Unlock()
					return e
				}
			}
		}
		r.mu.Unlock()
		select {
		case <-news:
		case <-deadline:
			for _, e := range r.all() {
				r.tb.Logf("%s %s %s %v", e.Kind, e.Phase, e.Why, e.Err)
			}
			r.tb.Fatalf("event %q did not come %d times within a minute", kind, nth)
		}
	}
}

func (r *rotating) all() []rotation.RotatorEvent {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// begin waits for the first key and has applications use it.
func (r *rotating) begin(t *testing.T) {
	t.Helper()
	r.until(rotation.RotationFinished, 1)
	source := fast
	source.RefreshWait = 20 * time.Second // other work may have the machine
	source.Logger = slog.New(slog.DiscardHandler)
	keys, err := rotation.NewSource(t.Context(), r.vault.reader(), &source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keys.Close() })
	r.keys = keys
	base := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(base.CloseIdleConnections)
	client, err := transport.NewClient(keys, &transport.Options{Base: base, Origins: []string{r.openai.Origin()}})
	if err != nil {
		t.Fatal(err)
	}
	r.load(goOpenAI(r.openai.URL(), client), openAIGo(r.openai.URL(), client))
	r.more(2)
}

// alive are the keys of the account that OpenAI lets in.
func (r *rotating) alive() (ids []string) {
	for _, k := range r.openai.Keys() {
		if !k.Admin && k.RevokedAt.IsZero() {
			ids = append(ids, k.ID)
		}
	}
	return ids
}

// keyOf is the current key.
func (r *rotating) keyOf(t *testing.T) *keyprovider.Key {
	t.Helper()
	s := r.vault.open(gcpstore.Options{})
	defer s.Close()
	k, _, err := s.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// mustBeClean checks what must hold when a rotation has ended: one live key,
// which is the current one, the annotations of others as they were, and no
// secret where none belongs.
func (r *rotating) mustBeClean(t *testing.T) {
	t.Helper()
	k := r.keyOf(t)
	if alive := r.alive(); len(alive) != 1 || alive[0] != k.Info().ID {
		t.Errorf("alive are %q, current is %q", alive, k.Info().ID)
	}
	for _, name := range []string{r.vault.main, r.vault.pending} {
		secret, err := r.vault.admin.GetSecret(t.Context(), &secretmanagerpb.GetSecretRequest{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		if secret.Annotations["owner"] != "somebody else" || secret.Labels["team"] != "a" {
			t.Errorf("%s has become %v", name, secret)
		}
		if keyprovidertest.Leaks(secret.String(), k.Reveal()) {
			t.Errorf("the metadata of %s show the key", name)
		}
	}
	for _, e := range r.all() {
		if e.Kind == rotation.RotationStopped || e.Kind == rotation.RotationFailed || e.Kind == rotation.RotationError {
			t.Errorf("event %+v", e)
		}
	}
}
