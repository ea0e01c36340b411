package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/file"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/filestore"
	"github.com/keybearer/keybearer/rotation/openaiadmin"
)

// demoOptions shorten the demonstration for a test, and let it look. The zero
// value is what a person sees.
type demoOptions struct {
	spread  time.Duration // until OpenAI accepts a new key [1s]
	overlap time.Duration // [3s]
	quiet   time.Duration // [2s]
	poll    time.Duration // of the service that does not watch [4s]

	seen func(*keyprovider.Key) // is told of every key that serves
}

func (o *demoOptions) fill() {
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{{&o.spread, time.Second}, {&o.overlap, 3 * time.Second}, {&o.quiet, 2 * time.Second}, {&o.poll, 4 * time.Second}} {
		if *d.value == 0 {
			*d.value = d.fallback
		}
	}
}

// A world is what the demonstration takes place in: a fake OpenAI, and a
// directory that is the secret store.
type world struct {
	opts     demoOptions
	out      *screen
	srv      *openaitest.Server
	dir      string
	account  string
	services []*service
	score    score
}

// project is the one that the fake knows.
const project = "proj_keybearer"

// demo rotates a key under load, by hand and in an emergency, with two replicas
// of the rotator at work. The error says what was not as promised.
func demo(ctx context.Context, out *screen, opts demoOptions) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute) // it takes a third of one
	defer cancel()
	opts.fill()
	dir, err := os.MkdirTemp("", "keybearer-rotate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	srv := openaitest.New(&openaitest.Options{
		Admin: openaitest.AdminBehaviour{NewKeyDelay: opts.spread},
		Answer: func(_, question string) string {
			time.Sleep(30 * time.Millisecond) // a model takes its time
			return "This is the answer to " + question
		},
	})
	defer srv.Close()
	w := &world{opts: opts, out: out, srv: srv, dir: dir, account: srv.AddAccount("demo-bot")}
	err = w.play(ctx)
	return errors.Join(err, w.score.sum(w))
}

// play is the story.
func (w *world) play(ctx context.Context) error {
	out := w.out
	out.title("keybearer rotate: a key is replaced while everybody uses it")
	out.say("service", "a fake OpenAI with its Admin API listens on %s; the secret store is a file", w.srv.Origin())
	if err := w.writeAdminKey(); err != nil {
		return err
	}
	a, closeA, err := w.replica(ctx, "replica A")
	if err != nil {
		return err
	}
	defer closeA()
	b, closeB, err := w.replica(ctx, "replica B")
	if err != nil {
		return err
	}
	defer closeB()

	out.title("1. The first key: the store is empty")
	if err := a.drive(ctx, func(s rotation.RotatorStatus) bool {
		return s.Phase == rotation.PhaseIdle && s.Current != nil
	}); err != nil {
		return err
	}
	stop, err := w.serve(ctx)
	if err != nil {
		return err
	}
	defer stop()

	out.title("2. A rotation under load, with two replicas at work")
	if err := w.both(ctx, a, b, b.rotator.Rotate); err != nil {
		return err
	}
	out.title("3. An emergency: the key may have leaked, and is revoked though it is in use")
	if err := w.both(ctx, a, b, a.rotator.ReplaceThenRevoke); err != nil {
		return err
	}
	return nil
}

// both has two replicas carry out what was asked for, and waits for its end.
func (w *world) both(ctx context.Context, a, b *operator, request func(context.Context) error) error {
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- b.rotator.Run(running) }()
	err := a.ask(ctx, false, request, "rotated")
	stop()
	return errors.Join(err, <-ended)
}

// replica is one process that rotates: all that live.go does, with the fake for
// OpenAI and short times.
func (w *world) replica(ctx context.Context, name string) (*operator, func(), error) {
	quiet := slog.New(slog.DiscardHandler)
	provider, err := keyprovider.Open(ctx, "file://"+filepath.ToSlash(w.adminPath()))
	if err != nil {
		return nil, nil, err
	}
	admin, err := rotation.NewSource(ctx, provider, &rotation.SourceOptions{Logger: quiet})
	if err != nil {
		return nil, nil, err
	}
	store, err := filestore.New(w.keyPath(), nil)
	if err != nil {
		admin.Close()
		return nil, nil, err
	}
	issuer, err := openaiadmin.New(admin, &openaiadmin.Options{
		Project: project, ServiceAccount: w.account, Scopes: []string{openaitest.ScopeModelRequest},
		Origin: w.srv.Origin(), Base: w.srv.Transport(), Logger: quiet,
	})
	if err != nil {
		admin.Close()
		return nil, nil, err
	}
	// OpenAI counts usage by the minute, which is too coarse for a rotation that
	// takes seconds: so the Issuer is shown without that.
	rotator, err := rotation.NewRotator(struct{ rotation.Issuer }{issuer}, store, &rotation.RotatorOptions{
		Schedule: rotation.Every(time.Hour), Overlap: w.opts.overlap, EmergencyOverlap: w.opts.overlap / 2,
		Quiet: w.opts.quiet, TestFor: 10 * time.Second, Lease: time.Second,
		Holder: name[:7] + "-" + name[8:], Logger: quiet,
		OnEvent: func(e rotation.RotatorEvent) {
			w.score.event(e)
			w.out.eventOf(name, e)
		},
	})
	if err != nil {
		admin.Close()
		return nil, nil, err
	}
	return &operator{rotator: rotator, out: w.out, poll: 100 * time.Millisecond}, func() { admin.Close() }, nil
}

// serve starts two services: one that watches the file, and one that looks now
// and then.
func (w *world) serve(ctx context.Context) (stop func(), err error) {
	var stops []func()
	stop = func() {
		for _, s := range stops {
			s()
		}
	}
	for _, s := range []struct {
		name string
		poll time.Duration
	}{{"web", 0}, {"batch", w.opts.poll}} {
		provider, err := file.New(w.keyPath(), nil)
		if err != nil {
			stop()
			return nil, err
		}
		svc, err := newService(ctx, s.name, w.srv, provider, s.poll, w.out, w.opts.seen)
		if err != nil {
			stop()
			return nil, err
		}
		w.services = append(w.services, svc)
		end := svc.start(ctx)
		stops = append(stops, func() { end(); svc.keys.Close() })
	}
	w.out.say("services", "web watches the file, batch looks every %s; %d goroutines each call without pause", w.opts.poll, callers)
	return stop, nil
}

// writeAdminKey puts the key of the Admin API where the replicas look for it.
func (w *world) writeAdminKey() error {
	secret := w.srv.MintAdmin(openaitest.AdminMintOptions{Name: "rotator"})
	if err := os.WriteFile(w.adminPath(), []byte(secret+"\n"), 0o600); err != nil {
		return fmt.Errorf("write the admin key: %w", err)
	}
	return nil
}

func (w *world) adminPath() string { return filepath.Join(w.dir, "admin.key") }
func (w *world) keyPath() string   { return filepath.Join(w.dir, "openai.key") }
