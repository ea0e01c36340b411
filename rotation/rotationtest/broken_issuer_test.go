package rotationtest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

type (
	issued      = rotation.IssuedKey
	restriction = rotation.Restriction
)

// brokenIssuer is an issuer with some of its methods replaced.
type brokenIssuer struct {
	*ServiceIssuer
	issue    func(context.Context, string, time.Duration) (*key, error)
	list     func(context.Context) ([]issued, error)
	inspect  func(context.Context, string) (issued, error)
	restrict func(context.Context, string, restriction) error
	revoke   func(context.Context, string) error
	probe    func(context.Context, *key) error
	usage    func(context.Context, string, time.Time) (int64, error)
	expiry   func(context.Context) (time.Time, error)
	Remark   string // exported, for what prints it
}

func (b *brokenIssuer) Issue(ctx context.Context, name string, d time.Duration) (*key, error) {
	if b.issue != nil {
		return b.issue(ctx, name, d)
	}
	return b.ServiceIssuer.Issue(ctx, name, d)
}

func (b *brokenIssuer) List(ctx context.Context) ([]issued, error) {
	if b.list != nil {
		return b.list(ctx)
	}
	return b.ServiceIssuer.List(ctx)
}

func (b *brokenIssuer) Inspect(ctx context.Context, id string) (issued, error) {
	if b.inspect != nil {
		return b.inspect(ctx, id)
	}
	return b.ServiceIssuer.Inspect(ctx, id)
}

func (b *brokenIssuer) Restrict(ctx context.Context, id string, to restriction) error {
	if b.restrict != nil {
		return b.restrict(ctx, id, to)
	}
	return b.ServiceIssuer.Restrict(ctx, id, to)
}

func (b *brokenIssuer) Revoke(ctx context.Context, id string) error {
	if b.revoke != nil {
		return b.revoke(ctx, id)
	}
	return b.ServiceIssuer.Revoke(ctx, id)
}

func (b *brokenIssuer) Probe(ctx context.Context, k *key) error {
	if b.probe != nil {
		return b.probe(ctx, k)
	}
	return b.ServiceIssuer.Probe(ctx, k)
}

func (b *brokenIssuer) Usage(ctx context.Context, id string, since time.Time) (int64, error) {
	if b.usage != nil {
		return b.usage(ctx, id, since)
	}
	return b.ServiceIssuer.Usage(ctx, id, since)
}

func (b *brokenIssuer) CredentialExpiry(ctx context.Context) (time.Time, error) {
	if b.expiry != nil {
		return b.expiry(ctx)
	}
	return b.ServiceIssuer.CredentialExpiry(ctx)
}

// issuerDefect breaks one obligation; the check that has to notice it is named.
type issuerDefect struct {
	name, caught string
	brk          func(b *brokenIssuer, i *ServiceIssuer)
}

// pageSize is that of the fake service, which pages in name only.
const pageSize = 3

// scopes returns what a broken issuer has set, by id.
func (b *brokenIssuer) scopes() map[string][]string { return scopesOf[b.service] }

var scopesOf = make(map[*Service]map[string][]string)

// Each broken issuer is caught by the check that is there for it.
func TestBrokenIssuers(t *testing.T) {
	caught := make(map[string]bool)
	for _, tt := range issuerDefects {
		caught[tt.caught] = true
		t.Run(tt.name, func(t *testing.T) {
			n := slices.IndexFunc(issuerChecks, func(c issuerCheck) bool { return c.name == tt.caught })
			if n < 0 {
				t.Fatalf("there is no check %q", tt.caught)
			}
			h := IssuerHarness{Patience: impatience, New: func(testing.TB) *IssuerPlace {
				s := NewService()
				i := s.Issuer("svc_1")
				scopesOf[s] = make(map[string][]string)
				b := &brokenIssuer{ServiceIssuer: i}
				tt.brk(b, i)
				place := servicePlace(s, i, b)
				place.PageSize = pageSize
				place.BreakList = func() (restore func()) {
					i.Fail(keyprovider.ErrUnavailable)
					return func() { i.Fail(nil) }
				}
				place.Scopes = []string{"api.model.request"}
				place.ScopesOf = func(id string) []string { return scopesOf[s][id] }
				return place
			}}
			caughtBy(t, tt.caught, func(tb testing.TB) { issuerChecks[n].run(tb, h) })
		})
	}
	for _, c := range issuerChecks {
		if !caught[c.name] {
			t.Errorf("no broken issuer shows that %q catches anything", c.name)
		}
	}
}
