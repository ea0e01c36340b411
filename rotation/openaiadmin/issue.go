package openaiadmin

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/packages/respjson"

	"github.com/keybearer/keybearer/keyprovider"
)

// errUnreadable is an answer without what it must have.
var errUnreadable = errors.New("openaiadmin: the answer lacks a field")

// Lifetimes that OpenAI takes.
const (
	minLifetime = time.Second
	maxLifetime = 365 * 24 * time.Hour
)

// MaxLifetime returns the longest life of a key that Issue takes: 365 days. See
// [rotation.LifetimeLimiter].
func (i *Issuer) MaxLifetime() time.Duration { return maxLifetime }

// Issue makes a new key of the service account that carries this name and the
// scopes of the Options, and ends after lifetime, which is cut to whole seconds
// and must be between a second and 365 days.
//
// OpenAI's request is not idempotent and is sent once. After an error of class
// ErrUnavailable there may be a key of this name, which List shows.
func (i *Issuer) Issue(ctx context.Context, name string, lifetime time.Duration) (*keyprovider.Key, error) {
	const doing = "issue a key"
	lifetime = lifetime.Truncate(time.Second)
	switch {
	case !isName(name):
		return nil, i.errorf(keyprovider.ErrInvalid, doing+": the name must be printable ASCII of at most 200 characters, and no key")
	case lifetime < minLifetime || lifetime > maxLifetime:
		return nil, i.errorf(keyprovider.ErrInvalid, doing+": the lifetime must be between a second and 365 days")
	}
	if i.opts.AccountPerRotation && i.noKeyDelete.Load() {
		return i.issueWithAccount(ctx, name, lifetime)
	}
	body := openai.AdminOrganizationProjectServiceAccountAPIKeyNewParams{
		Name: param.NewOpt(name), ExpiresInSeconds: param.NewOpt(int64(lifetime / time.Second)),
		Scopes: i.scopes(),
	}
	var made *openai.AdminOrganizationProjectServiceAccountAPIKeyNewResponse
	f := i.write(ctx, func(opts ...option.RequestOption) (err error) {
		made, err = i.client.Projects.ServiceAccounts.APIKeys.New(ctx, i.opts.Project, i.opts.ServiceAccount, body, opts...)
		if err == nil && made == nil {
			err = errUnreadable
		}
		return err
	})
	switch {
	case f.isUnknownRoute() && i.opts.AccountPerRotation:
		return i.issueWithAccount(ctx, name, lifetime)
	case f.isUnknownRoute():
		return nil, i.errorf(keyprovider.ErrInvalid, doing+": this deployment has no further keys for a service account: Options.AccountPerRotation makes an account for each key")
	case f != nil && f.class == keyprovider.ErrNotFound:
		return nil, i.errorf(keyprovider.ErrNotFound, doing+": there is no such project or service account: check Options.Project and Options.ServiceAccount")
	case f != nil:
		return nil, i.wrap(doing, f)
	}
	k, why := i.minted(mint{
		account: i.opts.ServiceAccount, id: made.ID, value: made.Value, created: made.CreatedAt,
		expires: expiry{made.ExpiresAt, made.JSON.ExpiresAt},
	}, lifetime)
	if why == "" && made.Name != name {
		why = "it carries another name"
	}
	if why != "" {
		return nil, i.abandonKey(ctx, made.ID, why)
	}
	return k, nil
}

// scopes returns what is sent: nil, which is left out, or a list that is not
// empty.
func (i *Issuer) scopes() []string {
	if i.opts.AllPermissions || len(i.opts.Scopes) == 0 {
		return nil
	}
	return i.opts.Scopes
}

// A mint is what an answer tells of a new key.
type mint struct {
	account, id, value string
	created            int64
	expires            expiry
}

type expiry struct {
	seconds int64
	field   respjson.Field
}

// slack is how far a key's end may lie from what was asked: the answer's times
// are whole seconds, and not taken at one moment.
const slack = time.Minute

// minted returns the key of an answer, or why it is not the one that was asked
// for.
func (i *Issuer) minted(m mint, lifetime time.Duration) (_ *keyprovider.Key, why string) {
	created := time.Unix(m.created, 0)
	ends := time.Unix(m.expires.seconds, 0)
	switch {
	case !isID(m.id):
		return nil, "its answer has no id"
	case m.created <= 0:
		return nil, "its answer has no created_at"
	case !m.expires.field.Valid() || m.expires.seconds <= 0:
		return nil, "it does not expire: the deployment ignores expires_in_seconds"
	case ends.Sub(created) > lifetime+slack || !ends.After(created):
		return nil, "it ends at another time than asked for"
	}
	k, err := keyprovider.NewKey(m.value, keyprovider.Info{ID: m.id, ServiceAccountID: m.account, CreatedAt: created, StatedExpiry: ends})
	if err != nil {
		return nil, "its answer has no usable value"
	}
	return k, ""
}

// abandonKey revokes a key that is not what was asked for, and says what became
// of it.
func (i *Issuer) abandonKey(ctx context.Context, id, why string) error {
	if !isID(id) {
		return i.errorf(keyprovider.ErrUnavailable, "the new key is not used, because %s; find it by its name and delete it", why)
	}
	if f := i.deleteKey(ctx, id); f != nil {
		return i.errorf(keyprovider.ErrUnavailable, "the new key is not used, because %s, and could not be revoked: delete %s", why, id)
	}
	return i.errorf(keyprovider.ErrInvalid, "the new key was revoked again, because %s", why)
}

// deleteKey ends one key.
func (i *Issuer) deleteKey(ctx context.Context, id string) *failure {
	return i.write(ctx, func(opts ...option.RequestOption) error {
		gone, err := i.client.Projects.APIKeys.Delete(ctx, i.opts.Project, id, opts...)
		if err == nil && (gone == nil || !gone.Deleted || gone.ID != id) {
			return errUnreadable
		}
		return err
	})
}

// ownName reports whether a name is one for an account of the Issuer's making.
func ownName(name string) bool { return strings.HasPrefix(name, AccountPrefix) }
