package openaiadmin

import (
	"context"
	"strings"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/param"

	"github.com/keybearer/keybearer/keyprovider"
)

// CredentialExpiry returns when the admin key ends: as OpenAI says, or where the
// admin key may not ask that, or cannot be told among others, as its store says.
// It is the zero time if neither does, or if the key does not end.
//
// OpenAI is asked for the key of the id that the store gives, or else for the
// only one whose redacted value fits.
func (i *Issuer) CredentialExpiry(ctx context.Context) (time.Time, error) {
	const doing = "read the admin key's expiry"
	k, err := i.admin(ctx)
	if err != nil {
		return time.Time{}, i.wrap(doing, classify(ctx, nil, err))
	}
	info := k.Info()
	stated := info.ExpiresAt
	if stated.IsZero() {
		stated = info.StatedExpiry
	}
	var found *openai.AdminAPIKey
	var f *failure
	if isID(info.ID) {
		found, f = i.adminKey(ctx, info.ID)
	} else {
		found, f = i.findAdminKey(ctx, k)
	}
	switch {
	case f != nil && f.status != 0 && f.class != keyprovider.ErrUnavailable:
		return stated, nil // not allowed, or not there
	case f != nil:
		return time.Time{}, i.wrap(doing, f)
	case found == nil:
		return stated, nil
	}
	ends, err := unixTime(found.ExpiresAt, found.JSON.ExpiresAt)
	if err != nil {
		return time.Time{}, i.errorf(keyprovider.ErrUnavailable, doing+": the answer cannot be read")
	}
	return ends, nil
}

func (i *Issuer) adminKey(ctx context.Context, id string) (k *openai.AdminAPIKey, f *failure) {
	f = i.read(ctx, func(opts ...option.RequestOption) (err error) {
		k, err = i.client.AdminAPIKeys.Get(ctx, id, opts...)
		if err == nil && (k == nil || k.ID != id) {
			err = errUnreadable
		}
		return err
	})
	return k, f
}

// findAdminKey returns the only admin key that may be k, or nil.
func (i *Issuer) findAdminKey(ctx context.Context, k *keyprovider.Key) (found *openai.AdminAPIKey, f *failure) {
	query := openai.AdminOrganizationAdminAPIKeyListParams{Limit: param.NewOpt(int64(pageSize))}
	for range maxPages {
		var page []openai.AdminAPIKey
		var more bool
		f = i.read(ctx, func(opts ...option.RequestOption) error {
			answer, err := i.client.AdminAPIKeys.List(ctx, query, opts...)
			if err == nil && (answer == nil || !answer.JSON.HasMore.Valid()) {
				err = errUnreadable
			}
			if err == nil {
				page, more = answer.Data, answer.HasMore
			}
			return err
		})
		if f != nil {
			return nil, f
		}
		for _, candidate := range page {
			if fits(candidate.RedactedValue, k.Reveal()) {
				if found != nil {
					return nil, nil
				}
				found = &candidate
			}
		}
		if !more || len(page) == 0 || page[len(page)-1].ID == query.After.Value {
			return found, nil
		}
		query.After = param.NewOpt(page[len(page)-1].ID)
	}
	return nil, nil
}

// fits reports whether a redacted value, such as "sk-admin...abc", may be that of
// a secret.
func fits(redacted, secret string) bool {
	head, tail, ok := strings.Cut(redacted, "...")
	if !ok {
		head, tail, ok = strings.Cut(redacted, "***")
		tail = strings.TrimLeft(tail, "*")
	}
	return ok && len(tail) >= 3 && len(head)+len(tail) < len(secret) && strings.HasPrefix(secret, head) && strings.HasSuffix(secret, tail)
}
