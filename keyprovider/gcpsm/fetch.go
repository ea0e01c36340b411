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
	switch {
	case f == nil:
		p.feed.end(mark, a.version)
	case f.Class == keyprovider.ErrNotFound:
		p.feed.end(mark, "")
		return nil, p.report(f)
	default:
		return nil, p.report(f)
	}
	key, err := keyprovider.ParseKey(a.data, p.opts.Field, keyprovider.Info{Version: a.version})
	if err != nil {
		return nil, p.named(err)
	}
	if p.seen.before(key) && last == key.Version() {
		return nil, keyprovider.ErrNotModified
	}
	return key, nil
}

// named puts the provider's name on an error of ParseKey, which cannot know it.
func (p *Provider) named(err error) error {
	if e, ok := errors.AsType[*keyprovider.Error](err); ok && e.Provider == "" {
		return &keyprovider.Error{Provider: p.String(), Class: e.Class, Err: e.Err}
	}
	return err
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

// answer is a payload and the version that the service says it is.
type answer struct {
	data    []byte
	version keyprovider.Version
	number  int64
}

// read reads the configured version. held is the number that the caller holds,
// 0 for none.
func (p *Provider) read(ctx context.Context, held int64) (answer, *failed) {
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
func (p *Provider) confirm(ctx context.Context, a answer, held int64) (answer, *failed) {
	announced := p.announced.Load()
	known := max(held, announced)
	if a.number >= known {
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
func (p *Provider) newest(ctx context.Context) (answer, *failed) {
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
		return answer{}, f
	case f != nil:
		return answer{}, f
	case newest == 0:
		return answer{}, &failed{Failure: gcpclient.Failure{Code: codes.NotFound, Class: keyprovider.ErrNotFound,
			Reason: "no version of the secret is enabled"}}
	}
	return p.access(ctx, strconv.FormatInt(newest, 10))
}

// access reads one version, by number or alias.
func (p *Provider) access(ctx context.Context, version string) (answer, *failed) {
	req := &secretmanagerpb.AccessSecretVersionRequest{Name: p.secret.Version(version)}
	var a answer
	f := p.call(ctx, func(ctx context.Context, client Client) error {
		resp, err := client.AccessSecretVersion(ctx, req, gcpclient.Once())
		if err != nil {
			return err
		}
		a, err = p.check(resp)
		return err
	})
	if f != nil && f.Code == codes.PermissionDenied {
		f.grant("roles/secretmanager.secretAccessor on the secret")
	}
	return a, f
}

// check takes from an answer what it is good for.
func (p *Provider) check(resp *secretmanagerpb.AccessSecretVersionResponse) (answer, error) {
	secret, version, ok := gcpclient.ParseVersion(resp.GetName())
	number := gcpclient.Number(version)
	if !ok || number == 0 || resp.GetPayload() == nil {
		return answer{}, errNameless
	}
	if !gcpclient.Intact(resp.Payload) {
		return answer{}, errCorrupt
	}
	if known := p.known.Load(); known == nil || *known != secret {
		p.known.Store(&secret)
	}
	return answer{data: resp.Payload.Data, version: keyprovider.Version(version), number: number}, nil
}
