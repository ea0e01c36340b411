package awslambda

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/keybearer/keybearer/internal/awsclient/awsfake"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/rotationtest"
)

const (
	secretName = "prod/openai"
	interval   = 30 * 24 * time.Hour
	account    = "svc_1"
)

var steps = []string{"createSecret", "setSecret", "testSecret", "finishSecret"}

// world is a secret, a service, a function between them, and AWS, which calls
// the function. It is for one bubble of synctest.
type world struct {
	*testing.T
	aws     *awsfake.Server
	service *rotationtest.Service
	gate    *gate
	handler *Handler
	foreign string // the id of the key that a person made
	log     bytes.Buffer
}

func newWorld(t *testing.T, opts Options) *world {
	w := &world{T: t, aws: &awsfake.Server{}, service: rotationtest.NewService(), gate: &gate{}}
	key := w.service.NewKey("svc_person", "by hand", 0)
	w.foreign = key.Info().ID
	w.aws.Set(secretName, `{"api_key":"`+key.Reveal()+`","organization":"org-1","url":"https://x.test/?a=1&b=<2>"}`)
	w.aws.Rotates(secretName, interval)
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	opts.Client = secretsmanager.New(secretsmanager.Options{
		Region: awsfake.Region, HTTPClient: &http.Client{Transport: &gatedTransport{w.gate, w.aws}}, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	h, err := New(t.Context(), &gatedIssuer{w.gate, w.service.Issuer(account)}, &opts)
	if err != nil {
		t.Fatal(err)
	}
	w.handler = h
	return w
}

// invoke calls the function once, as AWS does, and lets the consumers call
// before and after.
func (w *world) invoke(step, token string) error {
	w.consume()
	err := w.handler.Handle(w.Context(), events.SecretsManagerSecretRotationEvent{
		Step: step, SecretID: secretName, ClientRequestToken: token, RotationToken: "rotation-token-canary"})
	w.gate.revive()
	w.consume()
	return err
}

// rotate does what AWS does for a rotation: all steps, and all anew after a
// failure, a few times. repeat: each step twice.
func (w *world) rotate(repeat bool) error {
	token := w.aws.Rotate(secretName)
	var err error
	for range 5 {
		if err = w.attempt(token, repeat); err == nil {
			return nil
		}
		time.Sleep(time.Minute) // AWS waits before it tries again
	}
	return err
}

func (w *world) attempt(token string, repeat bool) error {
	for _, step := range steps {
		for range map[bool]int{false: 1, true: 2}[repeat] {
			if err := w.invoke(step, token); err != nil {
				return err
			}
		}
	}
	return nil
}

// consume makes a call of an application, which must not fail.
func (w *world) consume() {
	w.Helper()
	if err := w.service.Call(w.current()); err != nil {
		w.Fatalf("an application fails: %v", err)
	}
}

func (w *world) current() *keyprovider.Key {
	w.Helper()
	id := w.aws.Labels(secretName)[awsfake.Current]
	k, err := keyprovider.ParseKey([]byte(w.aws.Value(secretName, id)), "", keyprovider.Info{Version: keyprovider.Version(id)})
	if err != nil {
		w.Fatal(err)
	}
	return k
}

// settled checks what must hold when a rotation is over.
func (w *world) settled(token string) {
	w.Helper()
	labels := w.aws.Labels(secretName)
	if labels[awsfake.Current] != token {
		w.Errorf("AWSCURRENT is not on the version of the rotation")
	}
	if at := labels[awsfake.Pending]; at != "" {
		w.Errorf("AWSPENDING is left on a version")
	}
	if k := w.current(); k.Info().RotationID != token || k.Info().ID == "" {
		w.Errorf("the value does not describe its key: %+v", k.Info())
	}
	if !strings.Contains(w.aws.Value(secretName, token), `"organization":"org-1"`) || !strings.Contains(w.aws.Value(secretName, token), `?a=1&b=<2>`) {
		w.Error("the other fields of the secret are lost")
	}
}

// ours returns the live keys that the function has made.
func (w *world) ours() (ids []string) {
	for _, k := range w.service.Keys() {
		if k.AccountID == account && time.Now().Before(k.ExpiresAt) {
			ids = append(ids, k.ID)
		}
	}
	return ids
}

// secrecy checks that nothing that was written shows a secret.
func (w *world) secrecy(texts ...string) {
	w.Helper()
	secrets := []string{"rotation-token-canary", w.current().Reveal()}
	for _, text := range append(texts, w.log.String()) {
		if keyprovidertest.Leaks(text, secrets...) {
			w.Errorf("shows a secret: %s", text)
		}
	}
}

// gate stands before every call to AWS and to the issuer, counts them, and
// fails one.
type gate struct {
	mu   sync.Mutex
	n    int
	at   int // the call to fail, from 1; 0: none
	mode mode
	dead bool
	hold map[int]chan struct{} // calls that wait
}

type mode string

const (
	before      mode = "fails before it takes effect"
	after       mode = "takes effect, its answer is lost"
	crashBefore mode = "is not reached: the function ends"
	crashAfter  mode = "takes effect, and the function ends"
)

var errGate = errors.New("connection reset")

// pass carries out a call, or fails it.
func (g *gate) pass(ctx context.Context, call func() error) error {
	g.mu.Lock()
	g.n++
	hit, hold, dead := g.n == g.at, g.hold[g.n], g.dead
	g.dead = dead || hit && (g.mode == crashBefore || g.mode == crashAfter)
	g.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if dead || hit && (g.mode == before || g.mode == crashBefore) {
		return errGate
	}
	err := call()
	if hit {
		return errGate
	}
	return err
}

func (g *gate) revive() { g.mu.Lock(); g.dead = false; g.mu.Unlock() }

type gatedTransport struct {
	gate *gate
	next http.RoundTripper
}

func (g *gatedTransport) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	err = g.gate.pass(r.Context(), func() error { resp, err = g.next.RoundTrip(r); return err })
	if err != nil {
		return nil, err
	}
	return resp, nil
}

type gatedIssuer struct {
	gate *gate
	rotation.Issuer
}

func lost(err error) error {
	if errors.Is(err, errGate) {
		return &keyprovider.Error{Provider: "issuer", Class: keyprovider.ErrUnavailable, Err: err}
	}
	return err
}

func (g *gatedIssuer) Issue(ctx context.Context, name string, lifetime time.Duration) (k *keyprovider.Key, err error) {
	err = g.gate.pass(ctx, func() error { k, err = g.Issuer.Issue(ctx, name, lifetime); return err })
	return k, lost(err)
}

func (g *gatedIssuer) List(ctx context.Context) (keys []rotation.IssuedKey, err error) {
	err = g.gate.pass(ctx, func() error { keys, err = g.Issuer.List(ctx); return err })
	return keys, lost(err)
}

func (g *gatedIssuer) Inspect(ctx context.Context, id string) (k rotation.IssuedKey, err error) {
	err = g.gate.pass(ctx, func() error { k, err = g.Issuer.Inspect(ctx, id); return err })
	return k, lost(err)
}

func (g *gatedIssuer) Revoke(ctx context.Context, id string) error {
	return lost(g.gate.pass(ctx, func() error { return g.Issuer.Revoke(ctx, id) }))
}

func (g *gatedIssuer) Probe(ctx context.Context, k *keyprovider.Key) error {
	return lost(g.gate.pass(ctx, func() error { return g.Issuer.Probe(ctx, k) }))
}

// bubble runs f in virtual time.
func bubble(t *testing.T, opts Options, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newWorld(t, opts)) })
}
