package openaiadmin

import (
	"context"
	"net/http"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// Revoke ends the key of this id, if it is Owned.
//
// Where the deployment refuses to delete a key of a service account, the key is
// made to expire within a second instead: its siblings live on. An account that
// the Issuer made for the key is deleted with it, and only if it owns exactly
// that key.
func (i *Issuer) Revoke(ctx context.Context, id string) error {
	const doing = "revoke the key"
	k, err := i.Inspect(ctx, id)
	switch {
	case err != nil:
		return err
	case !k.Owned:
		return i.errorf(keyprovider.ErrDenied, doing+": %s does not belong to this issuer's service account", id)
	case k.AccountID != i.opts.ServiceAccount:
		return i.revokeAccount(ctx, k)
	}
	f := i.deleteKey(ctx, id)
	switch {
	case f == nil:
		return nil
	case f.class == keyprovider.ErrNotFound:
		_, err := i.Inspect(ctx, id) // is it the key, or the project?
		if err == nil {
			err = i.wrap(doing, &failure{class: keyprovider.ErrUnavailable, text: "the service shows the key, and does not find it"})
		}
		return err
	case f.status == http.StatusBadRequest:
		// Documented until October 2026: "an error if the key belonged to a
		// service account". Nothing else in a DELETE can be malformed.
		i.noKeyDelete.Store(true)
		return i.expire(ctx, k)
	}
	return i.wrap(doing, f)
}

// revokeAccount ends a key with the account that was made for it. That it owns
// no other key was found by Inspect just before.
func (i *Issuer) revokeAccount(ctx context.Context, k rotation.IssuedKey) error {
	f := i.deleteAccount(ctx, k.AccountID)
	if f != nil && f.class == keyprovider.ErrNotFound {
		_, err := i.Inspect(ctx, k.ID)
		if err == nil {
			err = i.wrap("revoke the key", &failure{class: keyprovider.ErrUnavailable, text: "the service shows the key, and does not find its account"})
		}
		return err
	}
	return i.wrap("revoke the key with its service account", f)
}

// expire ends a key by its expiry.
func (i *Issuer) expire(ctx context.Context, k rotation.IssuedKey) error {
	i.log.WarnContext(ctx, "openaiadmin: the deployment deletes no key of a service account: the key is made to expire", "key", k.ID)
	f := i.update(ctx, k.ID, openai.AdminOrganizationProjectAPIKeyUpdateParams{ExpiresInSeconds: int64(minLifetime / time.Second)})
	if f != nil && f.class == keyprovider.ErrInvalid && !k.ExpiresAt.IsZero() && !time.Now().Before(k.ExpiresAt) {
		return nil // it is over: an expired key cannot be updated
	}
	return i.wrap("end the key by its expiry, as the deployment refuses to delete it", f)
}

// Restrict narrows one key that is Owned; ErrDenied for another. A lifetime never
// moves the key's end to a later time; it is rounded up to whole seconds.
func (i *Issuer) Restrict(ctx context.Context, id string, to rotation.Restriction) error {
	const doing = "restrict the key"
	switch {
	case !isID(id):
		return i.errorf(keyprovider.ErrInvalid, doing+": this is not the id of a key")
	case to.Lifetime < 0 || to.Lifetime > maxLifetime:
		return i.errorf(keyprovider.ErrInvalid, doing+": the lifetime must be between 0 and 365 days")
	case !areScopes(to.Scopes):
		return i.errorf(keyprovider.ErrInvalid, doing+": an entry is no scope, such as api.model.request")
	case to.Lifetime == 0 && len(to.Scopes) == 0:
		return nil
	}
	k, err := i.Inspect(ctx, id)
	switch {
	case err != nil:
		return err
	case !k.Owned:
		return i.errorf(keyprovider.ErrDenied, doing+": %s does not belong to this issuer's service account", id)
	}
	var body openai.AdminOrganizationProjectAPIKeyUpdateParams
	if len(to.Scopes) > 0 {
		body.Scopes = to.Scopes
	}
	if to.Lifetime > 0 && (k.ExpiresAt.IsZero() || time.Now().Add(to.Lifetime).Before(k.ExpiresAt)) {
		body.ExpiresInSeconds = int64((to.Lifetime + time.Second - 1) / time.Second)
	}
	if len(body.Scopes) == 0 && body.ExpiresInSeconds == 0 {
		return nil
	}
	return i.wrap(doing, i.update(ctx, id, body))
}

// update changes a key. The body's scopes are nil or not empty: an empty list
// would take every restriction away.
func (i *Issuer) update(ctx context.Context, id string, body openai.AdminOrganizationProjectAPIKeyUpdateParams) *failure {
	return i.write(ctx, func(opts ...option.RequestOption) error {
		k, err := i.client.Projects.APIKeys.Update(ctx, i.opts.Project, id, body, opts...)
		if err == nil && (k == nil || k.ID != id || body.ExpiresInSeconds > 0 && !k.JSON.ExpiresAt.Valid()) {
			return errUnreadable
		}
		return err
	})
}
