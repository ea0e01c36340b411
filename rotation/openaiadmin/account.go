package openaiadmin

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/param"

	"github.com/keybearer/keybearer/keyprovider"
)

// firstLifetime is how long the key lives that an account is born with: it may
// do everything until it is restricted, and a crash may come before that.
const firstLifetime = 10 * time.Minute

// issueWithAccount makes an account for one key. OpenAI gives it a key without
// restriction and with a fixed name; both ends are then set by one update, whose
// parts are saved together.
func (i *Issuer) issueWithAccount(ctx context.Context, name string, lifetime time.Duration) (*keyprovider.Key, error) {
	const doing = "issue a key with an account of its own"
	if !ownName(name) {
		return nil, i.errorf(keyprovider.ErrInvalid, doing+": the name must begin with %s", AccountPrefix)
	}
	first := min(firstLifetime, (lifetime / 2).Truncate(time.Second))
	if first < minLifetime {
		return nil, i.errorf(keyprovider.ErrInvalid, doing+": the lifetime must be two seconds or more")
	}
	var made *openai.AdminOrganizationProjectServiceAccountNewResponse
	f := i.write(ctx, func(opts ...option.RequestOption) (err error) {
		body := openai.AdminOrganizationProjectServiceAccountNewParams{Name: name, ExpiresInSeconds: param.NewOpt(int64(first / time.Second))}
		made, err = i.client.Projects.ServiceAccounts.New(ctx, i.opts.Project, body, opts...)
		if err == nil && made == nil {
			err = errUnreadable
		}
		return err
	})
	if f != nil {
		return nil, i.wrap(doing, f)
	}
	k, why := i.minted(mint{
		account: made.ID, id: made.APIKey.ID, value: made.APIKey.Value, created: made.APIKey.CreatedAt,
		expires: expiry{made.APIKey.ExpiresAt, made.APIKey.JSON.ExpiresAt},
	}, first)
	if why == "" && made.Name != name {
		why = "it carries another name"
	}
	if why == "" {
		k, why = i.restrictFirst(ctx, k, lifetime)
	}
	if why != "" {
		return nil, i.abandonAccount(ctx, made.ID, why)
	}
	i.log.InfoContext(ctx, "openaiadmin: a key has a service account of its own", "account", made.ID, "key", k.Info().ID)
	return k, nil
}

// restrictFirst gives the key of a new account its scopes and its end, and reads
// it again. OpenAI does not show scopes. It does save both in one, so that the
// new end proves the new scopes; a list of scopes, if there is one, must agree.
func (i *Issuer) restrictFirst(ctx context.Context, k *keyprovider.Key, lifetime time.Duration) (_ *keyprovider.Key, why string) {
	info := k.Info()
	before := info.StatedExpiry
	body := openai.AdminOrganizationProjectAPIKeyUpdateParams{ExpiresInSeconds: int64(lifetime / time.Second), Scopes: i.scopes()}
	if f := i.update(ctx, info.ID, body); f != nil {
		return nil, "it could not be restricted (" + f.text + ")"
	}
	var now *openai.ProjectAPIKey
	f := i.read(ctx, func(opts ...option.RequestOption) (err error) {
		now, err = i.client.Projects.APIKeys.Get(ctx, i.opts.Project, info.ID, opts...)
		if err == nil && (now == nil || now.ID != info.ID || now.Owner.ServiceAccount.ID != info.ServiceAccountID) {
			err = errUnreadable
		}
		return err
	})
	if f != nil {
		return nil, "its restrictions could not be read again (" + f.text + ")"
	}
	ends := time.Unix(now.ExpiresAt, 0)
	switch asked := info.CreatedAt.Add(lifetime); {
	case !now.JSON.ExpiresAt.Valid() || !ends.After(before) || ends.Before(asked.Add(-slack)) || ends.After(asked.Add(slack)):
		return nil, "the update that restricts it was not saved"
	case !sameScopes(now.JSON.ExtraFields["scopes"].Raw(), i.scopes()):
		return nil, "it has other scopes than asked for"
	}
	info.StatedExpiry = ends
	restricted, err := keyprovider.NewKey(k.Reveal(), info)
	if err != nil {
		return nil, "its answer has no usable value"
	}
	return restricted, ""
}

// sameScopes compares the scopes that an answer shows, if it does, with those
// that were asked for.
func sameScopes(raw string, want []string) bool {
	if raw == "" {
		return true
	}
	var got []string
	if json.Unmarshal([]byte(raw), &got) != nil {
		return false
	}
	return slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want)))
}

// abandonAccount deletes an account that was made for nothing, and says what
// became of it.
func (i *Issuer) abandonAccount(ctx context.Context, id, why string) error {
	if !isID(id) || id == i.opts.ServiceAccount {
		return i.errorf(keyprovider.ErrUnavailable, "the new key is not used, because %s; find its service account by the name and delete it", why)
	}
	if f := i.deleteAccount(ctx, id); f != nil {
		return i.errorf(keyprovider.ErrUnavailable, "the new key is not used, because %s, and its service account could not be deleted: delete %s", why, id)
	}
	return i.errorf(keyprovider.ErrInvalid, "the new key was revoked again with its service account, because %s", why)
}

func (i *Issuer) deleteAccount(ctx context.Context, id string) *failure {
	return i.write(ctx, func(opts ...option.RequestOption) error {
		gone, err := i.client.Projects.ServiceAccounts.Delete(ctx, i.opts.Project, id, opts...)
		if err == nil && (gone == nil || !gone.Deleted || gone.ID != id) {
			return errUnreadable
		}
		return err
	})
}
