package aws

import (
	"bytes"
	"context"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/awssm"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/awsstore"
	"github.com/keybearer/keybearer/rotation/openaiadmin"
)

// rotating is a key under rotation, from OpenAI's Admin API by way of a secret
// to callers of OpenAI.
type rotating struct {
	testing.TB
	*store
	front   *proxy // what rotators reach the service by
	openai  *openaitest.Server
	account string
	issuer  rotation.Issuer
	control *rotation.Rotator // takes no steps

	mu      sync.Mutex
	log     bytes.Buffer
	secrets []string
}

func newRotating(t *testing.T) *rotating {
	t.Helper()
	t.Setenv("AWS_MAX_ATTEMPTS", "1") // its pauses would hide what the rotator does
	endpoint := sharedMoto(t)
	r := &rotating{TB: t, store: newStore(t, endpoint), front: newProxy(t, endpoint),
		openai: openaitest.New(&openaitest.Options{Admin: openaitest.AdminBehaviour{NewKeyDelay: 20 * time.Millisecond}})}
	t.Cleanup(r.openai.Close)
	r.front.serial()
	r.create(nil, nil)
	r.account = r.openai.AddAccount("bot")
	adminKey := r.openai.MintAdmin(openaitest.AdminMintOptions{Name: "rotator"})
	r.secrets = append(r.secrets, adminKey)
	admin, err := rotation.NewSource(t.Context(), keyprovidertest.Static(adminKey), &rotation.SourceOptions{Logger: slog.New(slog.DiscardHandler)})
	r.ok(err)
	t.Cleanup(func() { admin.Close() })
	issuer, err := openaiadmin.New(admin, &openaiadmin.Options{
		Project: "proj_keybearer", ServiceAccount: r.account, Scopes: []string{openaitest.ScopeModelRequest},
		Origin: r.openai.Origin(), Base: r.openai.Transport(), Timeout: time.Second, Logger: r.logger(),
	})
	r.ok(err)
	r.issuer = exact{issuer, r}
	control := newProxy(t, endpoint)
	control.behind = r.front.behind // one at a time with the others
	r.control = r.rotator(control.URL, "control")
	return r
}

// Write is where all log lines go.
func (r *rotating) Write(line []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(line)
}

func (r *rotating) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(r, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// options are those of each rotator. What is an hour and more elsewhere is 60 ms
// here.
func (r *rotating) options(holder string) *rotation.RotatorOptions {
	return &rotation.RotatorOptions{
		Schedule: rotation.Every(time.Hour), // what is due before that is asked for
		Overlap:  60 * time.Millisecond, Quiet: 60 * time.Millisecond, TestFor: 30 * time.Second,
		Lease: 200 * time.Millisecond, CallTimeout: 3 * time.Second, Holder: holder, Logger: r.logger(),
	}
}

// rotator makes one, as a process that starts does.
func (r *rotating) rotator(endpoint, holder string) *rotation.Rotator {
	r.Helper()
	rotator, err := rotation.NewRotator(r.issuer, r.open(endpoint, awsstore.Options{Timeout: time.Second}), r.options(holder))
	r.ok(err)
	return rotator
}

// exact is the issuer, with the last use of a key to the microsecond. The Admin
// API tells whole seconds, which hides a call where one waits for 60 ms. For the
// same reason it does not count requests, which the API does by the minute.
type exact struct {
	rotation.Issuer
	r *rotating
}

func (e exact) Inspect(ctx context.Context, id string) (rotation.IssuedKey, error) {
	k, err := e.Issuer.Inspect(ctx, id)
	for _, known := range e.r.openai.Keys() {
		if known.ID == id {
			k.LastUsedAt = known.LastUsedAt
		}
	}
	return k, err
}

func (e exact) Issue(ctx context.Context, name string, lifetime time.Duration) (*keyprovider.Key, error) {
	k, err := e.Issuer.Issue(ctx, name, lifetime)
	if err == nil {
		e.r.mu.Lock()
		e.r.secrets = append(e.r.secrets, k.Reveal())
		e.r.mu.Unlock()
	}
	return k, err
}

// number is how many rotations there were, and whether the last has ended.
func (r *rotating) number() (n int, ended bool) {
	status, err := r.control.Status(r.ctx())
	if err != nil {
		return 0, false
	}
	_, text, _ := strings.Cut(status.Rotation, "/")
	n, _ = strconv.Atoi(text)
	return n, status.Phase == rotation.PhaseIdle && status.Request == ""
}

// finish takes the steps of one rotator until nothing is left to do.
func (r *rotating) finish() {
	r.Helper()
	rotator := r.rotator(r.front.URL, "last")
	r.eventually("the end of the rotation", func() bool {
		p, err := rotator.Step(r.ctx())
		_, ended := r.number()
		return err == nil && ended && p.Did == ""
	})
}

func (r *rotating) eventually(what string, done func() bool) {
	r.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); {
		if time.Now().After(deadline) {
			r.mu.Lock()
			defer r.mu.Unlock()
			lines := strings.Split(r.log.String(), "\n")
			r.Fatalf("not within a minute: %s; the log ends with\n%s", what, strings.Join(lines[max(0, len(lines)-12):], "\n"))
		}
		time.Sleep(2 * time.Millisecond) // a rotation that others drive has nothing to wait on
	}
}

// live are the keys of the account that OpenAI lets in.
func (r *rotating) live() (live []openaitest.Key) {
	for _, k := range r.openai.Keys() {
		if k.ServiceAccountID == r.account && k.RevokedAt.IsZero() {
			live = append(live, k)
		}
	}
	return live
}

// inspect checks what must be true after any rotation: the key that the secret
// names is the only one that lives, the labels are right, and no key is in the
// state or in a log line.
func (r *rotating) inspect() {
	r.Helper()
	s := r.open(r.front.URL, awsstore.Options{})
	current, _, err := s.Current(r.ctx())
	r.ok(err)
	if live := r.live(); len(live) != 1 || live[0].ID != current.Info().ID {
		r.Errorf("keys alive at the end = %+v, want that of the secret, %s", live, current.Info().ID)
	}
	if at := r.labels()["AWSPENDING"]; at != "" {
		r.Errorf("AWSPENDING is left on %s", at)
	}
	status, err := r.control.Status(r.ctx())
	r.ok(err)
	if len(status.Orphans) > 0 || len(status.Reported) > 0 || status.Current == nil || status.Current.Fingerprint != current.Fingerprint() {
		r.Errorf("status = %+v, want no orphan, nothing reported, and the current key %s", status, current.Fingerprint())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if keyprovidertest.Leaks(r.log.String(), r.secrets...) {
		r.Error("the log shows a key")
	}
	r.inspectState()
}

// inspectState looks for keys in every version of the state that there is.
func (r *rotating) inspectState() {
	r.Helper()
	name := r.name + ".rotation"
	list, err := r.client.ListSecretVersionIds(r.ctx(), &secretsmanager.ListSecretVersionIdsInput{SecretId: &name, IncludeDeprecated: aws.Bool(true)})
	r.ok(err)
	for _, v := range list.Versions {
		out, err := r.client.GetSecretValue(r.ctx(), &secretsmanager.GetSecretValueInput{SecretId: &name, VersionId: v.VersionId})
		r.ok(err)
		if keyprovidertest.Leaks(*out.SecretString, r.secrets...) {
			r.Errorf("version %s of the state holds a secret", *v.VersionId)
		}
	}
	if len(list.Versions) == 0 {
		r.Error("there is no version of the state")
	}
}

// readers puts callers of OpenAI on the secret.
func (r *rotating) readers(t *testing.T) *stack {
	s := newStack(t, r.openai, r.provide(sharedMoto(t), awssm.Options{}), rotation.SourceOptions{PollInterval: 20 * time.Millisecond, MinRefresh: 5 * time.Millisecond})
	s.gap = 5 * time.Millisecond // two processors do all the rest, too
	s.load(2)
	return s
}

// One rotation from an empty secret on, the next under load, and what they cost.
func TestRotator(t *testing.T) {
	r := newRotating(t)
	r.finish() // there is no key yet: the first one is minted
	s := r.readers(t)
	first := r.live()[0]
	r.front.took()
	r.ok(r.control.Rotate(t.Context()))
	r.finish()
	s.settle()
	r.inspect()
	if second := r.live()[0]; second.ID == first.ID || !strings.HasPrefix(second.Name, "keybearer/") {
		t.Errorf("after the rotation %+v serves, before it %+v", second, first)
	}
	calls, all := r.front.took()
	t.Logf("a rotation makes %d calls of AWS: %v", all, calls)
	if puts := calls["PutSecretValue"]; puts > 20 {
		t.Errorf("a rotation makes %d versions, and the service keeps about 100 of a day", puts)
	}

	// What somebody else puts there is not touched, and nothing is revoked.
	r.setCurrent([]byte(r.openai.Mint(openaitest.MintOptions{ServiceAccountID: r.account, Name: "by hand"})))
	r.ok(r.control.Rotate(t.Context()))
	rotator := r.rotator(r.front.URL, "second")
	r.eventually("the rotator stops", func() bool {
		p, _ := rotator.Step(t.Context())
		return p.Phase == rotation.PhaseStopped
	})
	if live := r.live(); len(live) != 2 {
		t.Errorf("keys alive = %+v, want both", live)
	}
	s.end()
	if s.failed.Load() != 0 || s.calls.Load() == 0 {
		t.Errorf("%d of %d calls failed", s.failed.Load(), s.calls.Load())
	}
}
