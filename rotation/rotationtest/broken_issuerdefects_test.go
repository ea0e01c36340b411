package rotationtest

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

var issuerDefects = []issuerDefect{
	{"issues with a done context", "Issuer1/context done before", func(b *brokenIssuer, i *ServiceIssuer) {
		b.issue = func(ctx context.Context, name string, d time.Duration) (*key, error) {
			k, err := i.Issue(context.WithoutCancel(ctx), name, d)
			if ctx.Err() != nil {
				return nil, failure("broken", keyprovider.ErrUnavailable, ctx.Err())
			}
			return k, err
		}
	}},
	{"deaf meanwhile", "Issuer1/context done meanwhile", func(b *brokenIssuer, i *ServiceIssuer) {
		b.list = func(ctx context.Context) ([]issued, error) { return i.List(context.WithoutCancel(ctx)) }
	}},
	{"one at a time", "Issuer1/concurrent", func(b *brokenIssuer, i *ServiceIssuer) {
		var busy atomic.Int32
		b.probe = func(ctx context.Context, k *key) error {
			defer busy.Add(-1)
			if busy.Add(1) > 1 {
				return because("broken", keyprovider.ErrUnavailable, "busy")
			}
			time.Sleep(5 * time.Millisecond) // a service takes its time
			return i.Probe(ctx, k)
		}
	}},
	{"calls a refusal an outage", "Issuer1/denied", func(b *brokenIssuer, i *ServiceIssuer) {
		b.restrict = func(ctx context.Context, id string, to restriction) error {
			err := i.Restrict(ctx, id, to)
			if errors.Is(err, keyprovider.ErrDenied) {
				err = because("broken", keyprovider.ErrUnavailable, "later")
			}
			return err
		}
	}},
	{"takes an outage for gone", "Issuer1/unavailable", func(b *brokenIssuer, i *ServiceIssuer) {
		b.inspect = func(ctx context.Context, id string) (issued, error) {
			k, err := i.Inspect(ctx, id)
			if err != nil {
				err = because("broken", keyprovider.ErrNotFound, "gone")
			}
			return k, err
		}
	}},
	{"asks again by itself", "Issuer2/lost answer of Issue", func(b *brokenIssuer, i *ServiceIssuer) {
		b.issue = func(ctx context.Context, name string, d time.Duration) (*key, error) {
			k, err := i.Issue(ctx, name, d)
			if errors.Is(err, keyprovider.ErrUnavailable) {
				k, err = i.Issue(ctx, name, d)
			}
			return k, err
		}
	}},
	{"calls a lost Revoke denied", "Issuer2/lost answer of Revoke", func(b *brokenIssuer, i *ServiceIssuer) {
		b.revoke = func(ctx context.Context, id string) error { return denyUnavailable(i.Revoke(ctx, id)) }
	}},
	{"calls a lost Restrict denied", "Issuer2/lost answer of Restrict", func(b *brokenIssuer, i *ServiceIssuer) {
		b.restrict = func(ctx context.Context, id string, to restriction) error {
			return denyUnavailable(i.Restrict(ctx, id, to))
		}
	}},
	{"forgets the lifetime", "Issuer3/issues", func(b *brokenIssuer, i *ServiceIssuer) {
		b.issue = func(ctx context.Context, name string, _ time.Duration) (*key, error) {
			return i.Issue(ctx, name, 1000*lifetime)
		}
	}},
	{"embellishes the name", "Issuer3/issues", func(b *brokenIssuer, i *ServiceIssuer) {
		b.issue = func(ctx context.Context, name string, d time.Duration) (*key, error) {
			return i.Issue(ctx, name+" (keybearer)", d)
		}
	}},
	{"one key a name", "Issuer3/one key a call", func(b *brokenIssuer, i *ServiceIssuer) {
		made := make(map[string]*key)
		b.issue = func(ctx context.Context, name string, d time.Duration) (k *key, err error) {
			if made[name] == nil {
				made[name], err = i.Issue(ctx, name, d)
			}
			return made[name], err
		}
	}},
	{"lists its own", "Issuer4/lists all", func(b *brokenIssuer, i *ServiceIssuer) {
		b.list = func(ctx context.Context) ([]issued, error) {
			keys, err := i.List(ctx)
			return slices.DeleteFunc(keys, func(k issued) bool { return !k.Owned }), err
		}
	}},
	{"lists a page", "Issuer4/lists more than a page", func(b *brokenIssuer, i *ServiceIssuer) {
		b.list = func(ctx context.Context) ([]issued, error) {
			keys, err := i.List(ctx)
			return keys[:min(pageSize, len(keys))], err
		}
	}},
	{"a part for the whole", "Issuer4/all or an error", func(b *brokenIssuer, i *ServiceIssuer) {
		b.list = func(ctx context.Context) ([]issued, error) {
			keys, err := i.List(ctx)
			if err != nil {
				return []issued{{ID: "key_1"}}, nil
			}
			return keys, nil
		}
	}},
	{"caches", "Issuer5/inspects", func(b *brokenIssuer, i *ServiceIssuer) {
		seen := make(map[string]issued)
		b.inspect = func(ctx context.Context, id string) (issued, error) {
			if k, ok := seen[id]; ok {
				return k, nil
			}
			k, err := i.Inspect(ctx, id)
			seen[id] = k
			return k, err
		}
	}},
	{"an empty key for none", "Issuer5/none", func(b *brokenIssuer, i *ServiceIssuer) {
		b.inspect = func(ctx context.Context, id string) (issued, error) {
			k, err := i.Inspect(ctx, id)
			if errors.Is(err, keyprovider.ErrNotFound) {
				return issued{ID: id}, nil
			}
			return k, err
		}
	}},
	{"takes negative for none", "Issuer6/lifetime", func(b *brokenIssuer, i *ServiceIssuer) {
		b.restrict = func(ctx context.Context, id string, to restriction) error {
			to.Lifetime = max(0, to.Lifetime)
			return i.Restrict(ctx, id, to)
		}
	}},
	{"sends empty scopes", "Issuer6/scopes", func(b *brokenIssuer, i *ServiceIssuer) {
		b.restrict = func(ctx context.Context, id string, to restriction) error {
			b.scopes()[id] = to.Scopes
			return i.Restrict(ctx, id, to)
		}
	}},
	{"takes no lifetime for some", "Issuer6/what is empty stays", func(b *brokenIssuer, i *ServiceIssuer) {
		b.restrict = func(ctx context.Context, id string, to restriction) error {
			if to.Lifetime == 0 {
				to.Lifetime = time.Hour
			}
			return i.Restrict(ctx, id, to)
		}
	}},
	{"revokes by name", "Issuer7/exactly this key", func(b *brokenIssuer, i *ServiceIssuer) {
		b.revoke = func(ctx context.Context, id string) error {
			k, err := i.Inspect(ctx, id)
			if err != nil {
				return err
			}
			keys, err := i.List(ctx)
			for _, other := range keys {
				if other.Name == k.Name {
					err = errors.Join(err, i.Revoke(ctx, other.ID))
				}
			}
			return err
		}
	}},
	{"revokes anybody's", "Issuer7/not owned", func(b *brokenIssuer, i *ServiceIssuer) {
		b.revoke = func(ctx context.Context, id string) error {
			k, err := i.Inspect(ctx, id)
			if err != nil {
				return err
			}
			return i.service.Issuer(k.AccountID).Revoke(ctx, id)
		}
	}},
	{"gone is well", "Issuer7/gone", func(b *brokenIssuer, i *ServiceIssuer) {
		b.revoke = func(ctx context.Context, id string) error {
			if err := i.Revoke(ctx, id); !errors.Is(err, keyprovider.ErrNotFound) {
				return err
			}
			return nil
		}
	}},
	{"knows a key by its id", "Issuer8/alive", func(b *brokenIssuer, i *ServiceIssuer) {
		b.probe = func(ctx context.Context, k *key) error {
			if k.Info().ID == "" {
				return because("broken", keyprovider.ErrDenied, "who?")
			}
			return i.Probe(ctx, k)
		}
	}},
	{"takes all for alive", "Issuer8/dead", func(b *brokenIssuer, i *ServiceIssuer) {
		b.probe = func(ctx context.Context, k *key) error { return ctx.Err() }
	}},
	{"takes doubt for death", "Issuer8/in doubt", func(b *brokenIssuer, i *ServiceIssuer) {
		b.probe = func(ctx context.Context, k *key) error { return denyUnavailable(i.Probe(ctx, k)) }
	}},
	{"forgets use", "Used/tells", func(b *brokenIssuer, i *ServiceIssuer) {
		b.inspect = func(ctx context.Context, id string) (issued, error) {
			k, err := i.Inspect(ctx, id)
			k.LastUsedAt = time.Time{}
			return k, err
		}
	}},
	{"counts all keys", "UsageReader/counts", func(b *brokenIssuer, i *ServiceIssuer) {
		b.usage = func(ctx context.Context, _ string, since time.Time) (n int64, err error) {
			for _, k := range i.service.Keys() {
				used, failed := i.Usage(ctx, k.ID, since)
				n, err = n+used, failed
			}
			return n, err
		}
	}},
	{"ends a while from now", "CredentialExpirer/steady", func(b *brokenIssuer, i *ServiceIssuer) {
		b.expiry = func(context.Context) (time.Time, error) { return time.Now().Add(time.Hour), nil }
	}},
	{"keeps the key in a field", "Secrecy/output", func(b *brokenIssuer, i *ServiceIssuer) {
		b.issue = func(ctx context.Context, name string, d time.Duration) (*key, error) {
			k, err := i.Issue(ctx, name, d)
			if err == nil {
				b.Remark = k.Reveal()
			}
			return k, err
		}
	}},
	{"logs the key", "Secrecy/log", func(b *brokenIssuer, i *ServiceIssuer) {
		b.probe = func(ctx context.Context, k *key) error {
			slog.Debug("probed", "key", k.Reveal())
			return i.Probe(ctx, k)
		}
	}},
	{"leaves goroutines", "Goroutines/none left", func(b *brokenIssuer, i *ServiceIssuer) {
		b.list = func(ctx context.Context) ([]issued, error) {
			go time.Sleep(3 * impatience) // longer than anybody waits
			return i.List(ctx)
		}
	}},
}
