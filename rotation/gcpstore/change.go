package gcpstore

import (
	"context"
	"time"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/keybearer/keybearer/internal/gcpclient"
	"github.com/keybearer/keybearer/keyprovider"
)

// A change is tried again when somebody changed something else of the secret,
// or when the read before it was old. It is not worth much patience: who called
// reads anew and decides anew.
const (
	maxChanges  = 6
	changePause = 20 * time.Millisecond
)

// change reads a secret, lets edit change one field of it, and writes that if
// the secret still is as it was read. edit may be called several times; its
// error ends the change.
func (s *Store) change(ctx context.Context, of *place, what field, edit func(*secretmanagerpb.Secret) error) error {
	for attempt := range maxChanges {
		if attempt > 0 && !gcpclient.Wait(ctx, changePause<<attempt) {
			break
		}
		secret, err := s.existing(ctx, of)
		if err != nil {
			return err
		}
		if err := edit(secret); err != nil {
			return err
		}
		done, f := s.update(ctx, of, secret, what)
		if f != nil {
			return s.report(f)
		}
		if done {
			return nil
		}
	}
	if ctx.Err() != nil {
		return s.ended(ctx)
	}
	return s.conflict("the secret "+of.ID+" is being changed by others, or reads of it lag behind", nil)
}

// existing reads a secret that must exist. The second one is created where that
// is wanted.
func (s *Store) existing(ctx context.Context, of *place) (*secretmanagerpb.Secret, error) {
	secret, f := s.metadata(ctx, of)
	switch {
	case f != nil:
		return nil, s.report(f)
	case secret != nil:
		return secret, nil
	case of == s.pending && s.opts.CreatePending:
		return s.create(ctx)
	}
	return nil, s.absent(of)
}

// absent is the error for a secret that does not exist and will not be created.
func (s *Store) absent(of *place) error {
	if of == s.pending {
		return s.problem(keyprovider.ErrNotFound, "there is no second secret "+of.ID+
			", which stages keys and keeps the state: create it, or set Options.CreatePending")
	}
	return s.problem(keyprovider.ErrNotFound, "there is no secret "+of.ID+": create it")
}

// create makes the second secret, stored where and encrypted as the main one
// is.
func (s *Store) create(ctx context.Context) (*secretmanagerpb.Secret, error) {
	model, f := s.metadata(ctx, s.main)
	if f != nil {
		return nil, s.report(f)
	}
	if model == nil {
		return nil, s.absent(s.main)
	}
	req := &secretmanagerpb.CreateSecretRequest{Parent: s.pending.Parent(), SecretId: s.pending.ID, Secret: &secretmanagerpb.Secret{
		Replication:               proto.CloneOf(model.GetReplication()),
		CustomerManagedEncryption: proto.CloneOf(model.GetCustomerManagedEncryption()),
	}}
	var made *secretmanagerpb.Secret
	f = s.write(ctx, func(ctx context.Context, client Client) error {
		var err error
		made, err = client.CreateSecret(ctx, req, gcpclient.Once())
		return err
	})
	switch {
	case f == nil && made.GetEtag() != "":
		return made, nil
	case f == nil || f.Code == codes.AlreadyExists:
		// Somebody else made it; or its etag is to be read.
		secret, f := s.metadata(ctx, s.pending)
		if f != nil {
			return nil, s.report(f)
		}
		if secret == nil {
			return nil, s.problem(keyprovider.ErrUnavailable, "the second secret was created a moment ago and cannot be read yet")
		}
		return secret, nil
	case f.Code == codes.PermissionDenied && f.Reason == gcpclient.LacksRole:
		f.Reason = "PERMISSION_DENIED: creating the second secret " + s.pending.ID +
			" needs secretmanager.secrets.create in the project: grant it, or create the secret by hand"
	}
	return nil, s.report(f)
}
