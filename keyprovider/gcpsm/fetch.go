package gcpsm

import (
	"context"
	"errors"
	"strconv"
	"sync"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"

	"github.com/keybearer/keybearer/internal/gcpclient"
	"github.com/keybearer/keybearer/keyprovider"
)

// Fetch implements keyprovider.KeyProvider.
func (p *Provider) Fetch(ctx context.Context, last keyprovider.Version) (*keyprovider.Key, error) {
	mark := p.feed.begin()
	a, f := p.read(ctx, gcpclient.Number(string(last)))
	version := keyprovider.Version(strconv.FormatInt(a.Number, 10))
	switch {
	case f == nil:
		p.feed.end(mark, version)
	case f.Class == keyprovider.ErrNotFound:
		p.feed.end(mark, "")
		return nil, p.report(f)
	default:
		return nil, p.report(f)
	}
	key, err := keyprovider.ParseKey(a.Data, p.opts.Field, keyprovider.Info{Version: version})
	if err != nil {
		return nil, p.named(err)
	}
	if p.seen.before(key) && last == key.Version() {
		return nil, keyprovider.ErrNotModified
	}
	return key, nil
}

// seen remembers of the version that came last what it held, to notice a secret
// that was deleted and made anew: its numbers begin again, so a version's
// number alone does not say that the caller has the key. It holds no secret.
type seen struct {
	mu          sync.Mutex
	version     keyprovider.Version
	fingerprint string
	// reused: the version has named two values. Which of them a caller holds
	// cannot be told any more, so each gets the key.
	reused bool
}

// before reports whether the key's version has always held this key.
func (s *seen) before(key *keyprovider.Key) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.version != key.Version():
		s.version, s.fingerprint, s.reused = key.Version(), key.Fingerprint(), false
		return false
	case s.fingerprint != key.Fingerprint():
		s.fingerprint, s.reused = key.Fingerprint(), true
	}
	return !s.reused
}

// read reads the configured version. held is the number that the caller holds,
// 0 for none.
func (p *Provider) read(ctx context.Context, held int64) (gcpclient.Value, *gcpclient.Failed) {
	a, f := p.access(ctx, p.version)
	if p.version != gcpclient.Latest {
		return a, f
	}
	if f == nil {
		a, f = p.confirm(ctx, a, held)
	}
	if f != nil && f.Code == codes.FailedPrecondition && p.opts.NewestEnabled {
		return p.newest(ctx)
	}
	return a, f
}

// confirm guards against an answer to latest that is older than what is known
// to exist: it asks for the highest known version by its number, a read that is
// consistent.
func (p *Provider) confirm(ctx context.Context, a gcpclient.Value, held int64) (gcpclient.Value, *gcpclient.Failed) {
	announced := p.announced.Load()
	known := max(held, announced)
	if a.Number >= known {
		return a, nil
	}
	b, f := p.access(ctx, strconv.FormatInt(known, 10))
	if f == nil || f.Code != codes.NotFound {
		return b, f // a disabled one is the latest all the same
	}
	// The secret was made anew, or the announcement was not true.
	p.announced.CompareAndSwap(announced, 0)
	return a, nil
}

// newest reads the newest version that is enabled.
func (p *Provider) newest(ctx context.Context) (gcpclient.Value, *gcpclient.Failed) {
	var newest int64
	f := p.call(ctx, func(ctx context.Context, client Client) error {
		newest = 0
		versions := client.(Lister).ListSecretVersions(ctx, &secretmanagerpb.ListSecretVersionsRequest{
			Parent: p.secret.Name(), Filter: "state:ENABLED"}, gcpclient.Once())
		for {
			version, err := versions.Next()
			if errors.Is(err, iterator.Done) {
				return nil
			}
			if err != nil {
				return err
			}
			if _, number, ok := gcpclient.ParseVersion(version.GetName()); ok {
				newest = max(newest, gcpclient.Number(number))
			}
		}
	})
	switch {
	case f != nil && f.Code == codes.PermissionDenied:
		f.Reason = "PERMISSION_DENIED: the latest version is disabled or destroyed, and finding the newest enabled one " +
			"needs secretmanager.versions.list (roles/secretmanager.viewer)"
		return gcpclient.Value{}, f
	case f != nil:
		return gcpclient.Value{}, f
	case newest == 0:
		return gcpclient.Value{}, &gcpclient.Failed{Failure: gcpclient.Failure{Code: codes.NotFound, Class: keyprovider.ErrNotFound,
			Reason: "no version of the secret is enabled"}}
	}
	return p.access(ctx, strconv.FormatInt(newest, 10))
}

// access reads one version, by number or alias.
func (p *Provider) access(ctx context.Context, version string) (gcpclient.Value, *gcpclient.Failed) {
	req := &secretmanagerpb.AccessSecretVersionRequest{Name: p.secret.Version(version)}
	var v gcpclient.Value
	f := p.call(ctx, func(ctx context.Context, client Client) error {
		resp, err := client.AccessSecretVersion(ctx, req, gcpclient.Once())
		if err != nil {
			return err
		}
		v, err = gcpclient.Read(resp)
		return err
	})
	if known := p.known.Load(); f == nil && (known == nil || *known != v.Secret) {
		secret := v.Secret // and not what is beside it
		p.known.Store(&secret)
	}
	f.Grant("roles/secretmanager.secretAccessor on the secret")
	return v, f
}
