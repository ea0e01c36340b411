package gcpstore

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/keybearer/keybearer/internal/gcpclient"
)

// place is one of the two secrets, and what is known of it that a read which
// lags behind must not undo.
type place struct {
	gcpclient.Secret

	// seen is the highest number of a version that is known to exist.
	seen atomic.Int64

	mu sync.Mutex
	// written is the secret as our last update of it was answered.
	written *secretmanagerpb.Secret
	// replaced are the etags that our last updates replaced: what still has
	// one of them is old.
	replaced []string
}

// maxReplaced is far more than a Rotator writes until a read has caught up, and
// bounds what a lag of hours costs.
const maxReplaced = 64

func (p *place) saw(number int64) {
	for {
		seen := p.seen.Load()
		if number <= seen || p.seen.CompareAndSwap(seen, number) {
			return
		}
	}
}

// fresh returns the secret that a read has brought or, where that is known to
// be old, the one that we wrote over it. It is the caller's to change.
func (p *place) fresh(got *secretmanagerpb.Secret) *secretmanagerpb.Secret {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.written != nil && slices.Contains(p.replaced, got.GetEtag()) {
		return proto.CloneOf(p.written)
	}
	return got
}

func (p *place) wrote(over string, now *secretmanagerpb.Secret) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.written = proto.CloneOf(now)
	p.replaced = append(p.replaced, over)
	if extra := len(p.replaced) - maxReplaced; extra > 0 {
		p.replaced = slices.Delete(p.replaced, 0, extra)
	}
}

// metadata reads a secret without its versions: nil if there is none.
func (s *Store) metadata(ctx context.Context, of *place) (*secretmanagerpb.Secret, *gcpclient.Failed) {
	var secret *secretmanagerpb.Secret
	f := s.read(ctx, func(ctx context.Context, client Client) error {
		var err error
		secret, err = client.GetSecret(ctx, &secretmanagerpb.GetSecretRequest{Name: of.Name()}, gcpclient.Once())
		if err == nil && secret.GetEtag() == "" {
			return errEtagless // an update without one would be no compare-and-set
		}
		return err
	})
	switch {
	case f == nil:
		return of.fresh(secret), nil
	case f.Code == codes.NotFound:
		return nil, nil
	}
	grant(f, "secretmanager.secrets.get (roles/secretmanager.viewer)", of)
	return nil, f
}

// field is a part of a secret that the Store updates, each by itself.
type field string

const (
	annotations field = "annotations"
	aliases     field = "version_aliases"
)

// update writes one field of a secret if it still is as it was read, which its
// etag tells. It reports false if it is not.
func (s *Store) update(ctx context.Context, of *place, read *secretmanagerpb.Secret, what field) (bool, *gcpclient.Failed) {
	change := &secretmanagerpb.Secret{Name: of.Name(), Etag: read.GetEtag()}
	if what == annotations {
		change.Annotations = read.GetAnnotations()
	} else {
		change.VersionAliases = read.GetVersionAliases()
	}
	req := &secretmanagerpb.UpdateSecretRequest{Secret: change, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{string(what)}}}
	var now *secretmanagerpb.Secret
	f := s.write(ctx, func(ctx context.Context, client Client) error {
		var err error
		now, err = client.UpdateSecret(ctx, req, gcpclient.Once())
		return err
	})
	if f != nil && f.Lost() && ctx.Err() == nil && s.has(ctx, of, change, what) {
		return true, nil
	}
	switch {
	case f == nil:
		of.wrote(read.GetEtag(), now)
		return true, nil
	case f.Code == codes.FailedPrecondition || f.Code == codes.Aborted:
		return false, nil
	case f.Code == codes.InvalidArgument:
		f.Reason = "INVALID_ARGUMENT: the service does not take these " + string(what) + ": a secret has room for 16 KiB of annotations and 50 aliases"
	}
	grant(f, "secretmanager.secrets.update", of)
	missing(f, of)
	return false, f
}

// has reports whether a field of the secret is what a change made of it. Each
// change of annotations has something that no other one has.
func (s *Store) has(ctx context.Context, of *place, change *secretmanagerpb.Secret, what field) bool {
	now, f := s.metadata(ctx, of)
	if f != nil || now == nil {
		return false
	}
	if what == annotations {
		return maps.Equal(now.GetAnnotations(), change.GetAnnotations())
	}
	return maps.Equal(now.GetVersionAliases(), change.GetVersionAliases())
}
