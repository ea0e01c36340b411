package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	_ "github.com/keybearer/keybearer/keyprovider/all" // every scheme; a program that knows its store imports that one alone
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/openaiadmin"
)

// live carries out a command against OpenAI and a real store.
func live(ctx context.Context, out *screen, s *settings) (err error) {
	opts, err := s.rotator()
	if err != nil {
		return err
	}
	store, closer, err := openStore(ctx, s.store, s.host)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll(closer)) }()
	issuer, closer, err := openIssuer(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll(closer)) }()
	opts.Logger = slog.New(slog.DiscardHandler) // the screen tells the same events
	opts.OnEvent = out.event
	rotator, err := rotation.NewRotator(issuer, store, opts)
	if err != nil {
		return ofFlags(err)
	}
	o := &operator{rotator: rotator, out: out, poll: s.poll}
	return o.carryOut(ctx, s)
}

// openIssuer opens the way to OpenAI's Admin API. The admin key comes from
// wherever the URI says, and is watched there like any other key.
func openIssuer(ctx context.Context, s *settings) (rotation.Issuer, io.Closer, error) {
	if !s.needsIssuer() {
		return absent{}, nil, nil
	}
	provider, err := keyprovider.Open(ctx, s.admin)
	if err != nil {
		return nil, nil, err
	}
	first, cancel := context.WithTimeout(ctx, 15*time.Second) // a store that is down is asked again until then
	defer cancel()
	admin, err := rotation.NewSource(first, provider, &rotation.SourceOptions{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, nil, err
	}
	issuer, err := openaiadmin.New(admin, &openaiadmin.Options{
		Project: s.project, ServiceAccount: s.account, Scopes: s.scopeList(), AllPermissions: s.allPermissions, Origin: s.origin,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		admin.Close()
		return nil, nil, ofFlags(err)
	}
	return issuer, admin, nil
}

// absent is the Issuer of a command that needs none, and so no admin key.
type absent struct{}

var errAbsent = &keyprovider.Error{Provider: "rotate", Class: keyprovider.ErrDenied,
	Err: keyprovider.Reason("this command has no admin key", nil)}

func (absent) Issue(context.Context, string, time.Duration) (*keyprovider.Key, error) {
	return nil, errAbsent
}
func (absent) List(context.Context) ([]rotation.IssuedKey, error) { return nil, errAbsent }
func (absent) Inspect(context.Context, string) (rotation.IssuedKey, error) {
	return rotation.IssuedKey{}, errAbsent
}
func (absent) Restrict(context.Context, string, rotation.Restriction) error { return errAbsent }
func (absent) Revoke(context.Context, string) error                         { return errAbsent }
func (absent) Probe(context.Context, *keyprovider.Key) error                { return errAbsent }

func closeAll(closers ...io.Closer) error {
	var errs []error
	for _, c := range closers {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}
