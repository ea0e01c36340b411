package gcpstore

import (
	"bytes"
	"context"
	"strconv"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"

	"github.com/keybearer/keybearer/internal/gcpclient"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// version is a version of a secret. The zero value stands for none.
type version struct {
	number int64
	data   []byte
	// gone: it is disabled or destroyed. It keeps its number.
	gone bool
}

func (v version) exists() bool { return v.number > 0 }

// key is what the version holds.
func (s *Store) key(v version) (*keyprovider.Key, error) {
	k, err := keyprovider.ParseKey(v.data, s.opts.Field, keyprovider.Info{Version: keyprovider.Version(strconv.FormatInt(v.number, 10))})
	if err != nil {
		return nil, s.named(err)
	}
	return k, nil
}

// revision names the version and what it holds: numbers begin again when a
// secret is deleted and made anew.
func (s *Store) revision(v version) rotation.Revision {
	if !v.exists() {
		return ""
	}
	revision := strconv.FormatInt(v.number, 10)
	if v.gone {
		return rotation.Revision(revision)
	}
	if k, err := s.key(v); err == nil {
		return rotation.Revision(revision + "-" + k.Fingerprint())
	}
	return rotation.Revision(revision + "-unreadable")
}

// at reads a version by its number. That is the one read that Google calls
// strongly consistent.
func (s *Store) at(ctx context.Context, of *place, number int64) (version, *gcpclient.Failed) {
	v, f := s.access(ctx, of, strconv.FormatInt(number, 10))
	switch {
	case f == nil:
		return v, nil
	case f.Code == codes.NotFound:
		return version{}, nil
	case f.Code == codes.FailedPrecondition:
		return version{number: number, gone: true}, nil
	}
	return version{}, f
}

// newest is the version that was created last, in whatever state: what readers
// of the latest get, or will when the service has converged. Where latest lags
// behind, the numbers that follow are asked for, which do not: one call finds
// that there is none.
func (s *Store) newest(ctx context.Context, of *place) (version, *gcpclient.Failed) {
	v, f := s.latest(ctx, of)
	if f != nil {
		return version{}, f
	}
	if seen := of.seen.Load(); seen > v.number {
		known, f := s.at(ctx, of, seen)
		if f != nil {
			return version{}, f
		}
		if known.exists() {
			v = known
		} else {
			of.seen.CompareAndSwap(seen, 0) // the secret was made anew
		}
	}
	for {
		next, f := s.at(ctx, of, v.number+1)
		if f != nil {
			return version{}, f
		}
		if !next.exists() {
			of.saw(v.number)
			return v, nil
		}
		v = next
	}
}

// latest is what the service calls the latest version, which may lag behind.
func (s *Store) latest(ctx context.Context, of *place) (version, *gcpclient.Failed) {
	v, f := s.access(ctx, of, gcpclient.Latest)
	switch {
	case f == nil:
		return v, nil
	case f.Code == codes.NotFound:
		return version{}, nil
	case f.Code != codes.FailedPrecondition:
		return version{}, f
	}
	// This error does not say which version it is.
	v, _, f = s.describe(ctx, of, gcpclient.Latest)
	v.gone = true
	return v, f
}

// describe reads of a version what is not secret: its number, none where there
// is no such version, and whether it is enabled.
func (s *Store) describe(ctx context.Context, of *place, name string) (v version, enabled bool, f *gcpclient.Failed) {
	f = s.read(ctx, func(ctx context.Context, client Client) error {
		resp, err := client.GetSecretVersion(ctx, &secretmanagerpb.GetSecretVersionRequest{Name: of.Version(name)}, gcpclient.Once())
		if err != nil {
			return err
		}
		number, ok := numberOf(resp.GetName())
		if !ok {
			return gcpclient.ErrNameless
		}
		v, enabled = version{number: number}, resp.GetState() == secretmanagerpb.SecretVersion_ENABLED
		return nil
	})
	if f != nil && f.Code == codes.NotFound {
		return version{}, false, nil
	}
	grant(f, "secretmanager.versions.get (roles/secretmanager.viewer)", of)
	return v, enabled, f
}

// access reads a version by its number or by latest.
func (s *Store) access(ctx context.Context, of *place, name string) (version, *gcpclient.Failed) {
	var v version
	f := s.read(ctx, func(ctx context.Context, client Client) error {
		resp, err := client.AccessSecretVersion(ctx, &secretmanagerpb.AccessSecretVersionRequest{Name: of.Version(name)}, gcpclient.Once())
		if err != nil {
			return err
		}
		value, err := gcpclient.Read(resp)
		v = version{number: value.Number, data: value.Data}
		return err
	})
	grant(f, "roles/secretmanager.secretAccessor", of)
	return v, f
}

func numberOf(name string) (int64, bool) {
	_, v, ok := gcpclient.ParseVersion(name)
	number := gcpclient.Number(v)
	return number, ok && number > 0
}

// add adds a version after the one that was the newest, and returns its number,
// which is higher by more than one if somebody was faster. A lost answer is
// made up for by reading what follows.
func (s *Store) add(ctx context.Context, to *place, data []byte, after int64) (int64, *gcpclient.Failed) {
	sum := gcpclient.Checksum(data)
	req := &secretmanagerpb.AddSecretVersionRequest{Parent: to.Name(), Payload: &secretmanagerpb.SecretPayload{Data: data, DataCrc32C: &sum}}
	var number int64
	f := s.write(ctx, func(ctx context.Context, client Client) error {
		resp, err := client.AddSecretVersion(ctx, req, gcpclient.Once())
		if err != nil {
			return err
		}
		var ok bool
		if number, ok = numberOf(resp.GetName()); !ok {
			return gcpclient.ErrNameless
		}
		return nil
	})
	if f != nil && f.Lost() && ctx.Err() == nil {
		number = s.landed(ctx, to, data, after)
	}
	if number > 0 {
		to.saw(number)
		return number, nil
	}
	grant(f, "roles/secretmanager.secretVersionAdder", to)
	missing(f, to)
	return 0, f
}

// landed returns the number of the version after another that holds data, 0 if
// there is none or if that cannot be known.
func (s *Store) landed(ctx context.Context, of *place, data []byte, after int64) int64 {
	for {
		v, f := s.at(ctx, of, after+1)
		if f != nil || !v.exists() {
			return 0
		}
		if !v.gone && bytes.Equal(v.data, data) {
			return v.number
		}
		after = v.number
	}
}

// destroy destroys a version of the second secret. One that is gone already is
// no failure.
func (s *Store) destroy(ctx context.Context, number int64) *gcpclient.Failed {
	name := s.pending.Version(strconv.FormatInt(number, 10))
	f := s.write(ctx, func(ctx context.Context, client Client) error {
		_, err := client.DestroySecretVersion(ctx, &secretmanagerpb.DestroySecretVersionRequest{Name: name}, gcpclient.Once())
		return err
	})
	if f != nil && (f.Code == codes.NotFound || f.Code == codes.FailedPrecondition) {
		return nil
	}
	grant(f, "roles/secretmanager.secretVersionManager", s.pending)
	return f
}
