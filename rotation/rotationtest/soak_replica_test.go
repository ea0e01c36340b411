package rotationtest

import (
	"context"
	"log/slog"
	"time"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/filestore"
	"github.com/keybearer/keybearer/rotation/openaiadmin"
)

// rotator makes a replica.
func (s *soak) rotator(ctx context.Context, crash context.CancelFunc) *rotation.Rotator {
	store, err := filestore.New(s.path, &filestore.Options{Host: "soak"})
	if err != nil {
		s.t.Error(err)
		return nil
	}
	issuer, err := openaiadmin.New(s.admin, &openaiadmin.Options{
		Project: "proj_keybearer", ServiceAccount: s.account, Scopes: []string{openaitest.ScopeModelRequest},
		Base: soakNetwork{s, true}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		s.t.Error(err)
		return nil
	}
	r, err := rotation.NewRotator(issuer, soakStore{store, s, crash, ctx}, &rotation.RotatorOptions{
		Schedule: rotation.Every(soakInterval), Lifetime: 90 * 24 * time.Hour, Overlap: soakOverlap, Quiet: 2 * time.Minute,
		TestFor: 5 * time.Minute, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		s.t.Error(err)
	}
	return r
}

// replica runs rotators one after the other, each until it crashes.
func (s *soak) replica(ctx context.Context) {
	for ctx.Err() == nil {
		life, crash := context.WithCancel(ctx)
		if err := s.rotator(life, crash).Run(life); err != nil {
			s.t.Errorf("Run: %v", err)
		}
		crash()
		select {
		case <-time.After(s.between(time.Second, 2*time.Minute)):
		case <-ctx.Done():
		}
	}
}

// soakAdmin is the source of the admin key.
type soakAdmin struct{ k *keyprovider.Key }

func (s soakAdmin) Key(context.Context) (*keyprovider.Key, error) { return s.k, nil }
func (s soakAdmin) Reject(context.Context, *keyprovider.Key) (*keyprovider.Key, error) {
	return nil, keyprovider.ErrNoReplacement
}
