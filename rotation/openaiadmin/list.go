package openaiadmin

import (
	"context"
	"slices"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/packages/respjson"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// A List beyond this is no list of a project's keys.
const (
	pageSize = 100
	maxPages = 1000
)

// List returns every key of the project, those of users, of other accounts and of
// owners without access included: all that OpenAI calls enabled, expired ones
// too.
//
// Under Options.AccountPerRotation a key that is the only one of an account named
// with AccountPrefix has the account's name, because OpenAI gives the first key
// of an account no name that could be chosen.
func (i *Issuer) List(ctx context.Context) ([]rotation.IssuedKey, error) {
	raw, err := i.list(ctx)
	if err != nil {
		return nil, err
	}
	siblings := map[string]int{}
	for _, k := range raw {
		siblings[k.Owner.ServiceAccount.ID]++
	}
	keys := make([]rotation.IssuedKey, 0, len(raw))
	for _, k := range raw {
		issued, err := i.issued(k, siblings[k.Owner.ServiceAccount.ID])
		if err != nil {
			return nil, err
		}
		keys = append(keys, issued)
	}
	return keys, nil
}

// list reads all pages. The SDK's own pager ends in silence where a page names
// no successor.
func (i *Issuer) list(ctx context.Context) ([]openai.ProjectAPIKey, error) {
	const doing = "list the keys"
	query := openai.AdminOrganizationProjectAPIKeyListParams{
		Limit: param.NewOpt(int64(pageSize)),
		// Without it keys are left out by who is a member of the project.
		OwnerProjectAccess: openai.AdminOrganizationProjectAPIKeyListParamsOwnerProjectAccessAny,
	}
	var all []openai.ProjectAPIKey
	seen := map[string]bool{}
	for range maxPages {
		var more bool
		var last string
		f := i.read(ctx, func(opts ...option.RequestOption) error {
			page, err := i.client.Projects.APIKeys.List(ctx, i.opts.Project, query, opts...)
			if err != nil {
				return err
			}
			if page == nil || !page.JSON.HasMore.Valid() || !page.JSON.Data.Valid() {
				return errUnreadable
			}
			for _, k := range page.Data {
				if !seen[k.ID] { // pages may overlap when keys come and go meanwhile
					seen[k.ID] = true
					all = append(all, k)
				}
				last = k.ID
			}
			more = page.HasMore
			return nil
		})
		if f != nil {
			return nil, i.wrap(doing, f)
		}
		if !more {
			return all, nil
		}
		if last == "" || query.After.Value == last {
			return nil, i.errorf(keyprovider.ErrUnavailable, doing+": the pages do not go on")
		}
		query.After = param.NewOpt(last)
	}
	return nil, i.errorf(keyprovider.ErrUnavailable, doing+": there is no end to the pages")
}

// Inspect returns one key, read anew.
func (i *Issuer) Inspect(ctx context.Context, id string) (rotation.IssuedKey, error) {
	const doing = "inspect the key"
	if !isID(id) {
		return rotation.IssuedKey{}, i.errorf(keyprovider.ErrInvalid, doing+": this is not the id of a key")
	}
	if i.opts.AccountPerRotation {
		return i.find(ctx, id) // whose a key is depends on its siblings
	}
	var k *openai.ProjectAPIKey
	var asOf time.Time
	f := i.read(ctx, func(opts ...option.RequestOption) (err error) {
		k, err = i.client.Projects.APIKeys.Get(ctx, i.opts.Project, id, append(opts, dated(&asOf))...)
		if err == nil && (k == nil || k.ID != id) {
			err = errUnreadable
		}
		return err
	})
	switch {
	case f == nil:
		issued, err := i.issued(*k, 0)
		issued.AsOf = asOf
		return issued, err
	case f.class == keyprovider.ErrNotFound:
		// A caller takes it for the end of the key. Is it not rather the project
		// that is unknown to this admin key?
		return i.find(ctx, id)
	}
	return rotation.IssuedKey{}, i.wrap(doing, f)
}

// find looks a key up in the list.
func (i *Issuer) find(ctx context.Context, id string) (rotation.IssuedKey, error) {
	keys, err := i.List(ctx)
	if err != nil {
		if keyprovider.Class(err) == keyprovider.ErrNotFound {
			err = i.errorf(keyprovider.ErrDenied, "the project is unknown to the admin key, so nothing is known of the key: check Options.Project")
		}
		return rotation.IssuedKey{}, err
	}
	for _, k := range keys {
		if k.ID == id {
			return k, nil
		}
	}
	return rotation.IssuedKey{}, i.errorf(keyprovider.ErrNotFound, "the project has no key %s", id)
}

// issued translates a key. siblings is how many keys its account has, as far as
// that was asked.
func (i *Issuer) issued(k openai.ProjectAPIKey, siblings int) (rotation.IssuedKey, error) {
	issued := rotation.IssuedKey{ID: k.ID, Name: k.Name}
	created, err1 := unixTime(k.CreatedAt, k.JSON.CreatedAt)
	used, err2 := unixTime(k.LastUsedAt, k.JSON.LastUsedAt)
	expires, err3 := unixTime(k.ExpiresAt, k.JSON.ExpiresAt)
	if !k.JSON.ID.Valid() || err1 != nil || err2 != nil || err3 != nil || created.IsZero() || k.JSON.LastUsedAt.Raw() == "" {
		// Above all, a missing last_used_at must not pass for "never used".
		return rotation.IssuedKey{}, i.errorf(keyprovider.ErrUnavailable, "a key in the answer lacks its id, created_at or last_used_at, or has them in another form")
	}
	issued.CreatedAt, issued.LastUsedAt, issued.ExpiresAt = created, used, expires
	if k.Owner.Type != "service_account" {
		return issued, nil
	}
	issued.AccountID = k.Owner.ServiceAccount.ID
	switch {
	case issued.AccountID == i.opts.ServiceAccount:
		issued.Owned = true
	case i.opts.AccountPerRotation && siblings == 1 && ownName(k.Owner.ServiceAccount.Name):
		issued.Owned, issued.Name = true, k.Owner.ServiceAccount.Name
	}
	return issued, nil
}

// unixTime translates a time: null and what is not there are the zero time, 0 is
// the beginning of 1970.
func unixTime(seconds int64, field respjson.Field) (time.Time, error) {
	switch {
	case field.Valid():
		return time.Unix(seconds, 0), nil
	case slices.Contains([]string{"", "null"}, field.Raw()):
		return time.Time{}, nil
	}
	return time.Time{}, errUnreadable
}
