package rotationtest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// Obligation 3: a new key is as it was asked for, and its Info says so.
func checkIssue(tb testing.TB, h IssuerHarness) {
	p := h.open(tb)
	name := p.name()
	k, err := p.issue(p.Context(), name)
	p.must("Issue", err)
	info := k.Info()
	if info.ID == "" || info.ServiceAccountID == "" || info.CreatedAt.IsZero() || info.StatedExpiry.IsZero() {
		p.Errorf("the Info of a new key lacks something: %+v", info)
	}
	if time.Since(info.CreatedAt).Abs() > slack {
		p.Errorf("a new key was created at %v", info.CreatedAt)
	}
	got := p.mustInspect(info.ID)
	p.mustExpire(got, lifetime)
	if got.Name != name || got.AccountID != info.ServiceAccountID || !got.Owned || !got.LastUsedAt.IsZero() {
		p.Errorf("the service tells of the new key %+v; want the name %q, the account %q, owned and never used", got, name, info.ServiceAccountID)
	}
	if d := got.ExpiresAt.Sub(info.StatedExpiry).Abs(); d > time.Second {
		p.Errorf("the Info of a new key says that it ends at %v, the service says %v", info.StatedExpiry, got.ExpiresAt)
	}
	if d := got.CreatedAt.Sub(info.CreatedAt).Abs(); d > time.Second {
		p.Errorf("the Info of a new key says that it was created at %v, the service says %v", info.CreatedAt, got.CreatedAt)
	}
}

// Obligation 3: each call makes one key, of any name.
func checkIssueEach(tb testing.TB, h IssuerHarness) {
	p := h.open(tb)
	before := p.mustList()
	name := p.name()
	ids := make(map[string]bool)
	for range 3 {
		k, err := p.issue(p.Context(), name)
		p.must("Issue", err)
		ids[k.Info().ID] = true
	}
	if found := p.named(name); len(ids) != 3 || len(found) != 3 {
		p.Errorf("3 calls of Issue with one name made %d ids and %d keys", len(ids), len(found))
	}
	if added := len(p.mustList()) - len(before); added != 3 {
		p.Errorf("3 calls of Issue made %d keys", added)
	}
}

// Obligation 4: List has our keys, those of others, and disabled ones.
func checkList(tb testing.TB, h IssuerHarness) {
	p := h.open(tb)
	want := make(map[string]bool) // owned?
	for range 2 {
		want[p.mustIssue().Info().ID] = true
	}
	if p.place.Disable != nil {
		k := p.mustIssue()
		p.place.Disable(k.Info().ID)
		want[k.Info().ID] = true
	}
	if p.place.Foreign != nil {
		want[p.place.Foreign()] = false
	}
	list := p.mustList()
	for id, owned := range want {
		k, ok := list[id]
		if !ok || k.Owned != owned {
			p.Errorf("List tells of %s: %v %+v; want it, with Owned %v", id, ok, k, owned)
			continue
		}
		p.mustSame("Inspect, compared with List", p.mustInspect(id), k)
	}
}

// Obligation 4: List is complete where the service pages.
func checkListPages(tb testing.TB, h IssuerHarness) {
	p := h.open(tb)
	p.Need(p.place.PageSize > 0, "the service does not page (IssuerPlace.PageSize)")
	ids := p.pages()
	list := p.mustList()
	for _, id := range ids {
		if _, ok := list[id]; !ok {
			p.Errorf("List of more than a page lacks %s", id)
		}
		p.mustInspect(id)
	}
}

// pages issues more keys than two pages have.
func (p *issuerProbe) pages() (ids []string) {
	p.Helper()
	for range 2*p.place.PageSize + 1 {
		ids = append(ids, p.mustIssue().Info().ID)
	}
	return ids
}

// Obligation 4: a list that breaks off is no list.
func checkListBroken(tb testing.TB, h IssuerHarness) {
	p := h.open(tb)
	p.Need(p.place.PageSize > 0 && p.place.BreakList != nil, "the harness cannot break a list (IssuerPlace.PageSize, BreakList)")
	p.pages()
	restore := p.place.BreakList()
	if keys, err := p.list(p.Context()); err == nil {
		p.Errorf("a list that breaks off passes for one of %d keys", len(keys))
	}
	restore()
	p.mustList()
}

// Obligation 5: Inspect reads anew.
func checkInspect(tb testing.TB, h IssuerHarness) {
	p := h.open(tb)
	k, other := p.mustIssue(), p.mustIssue()
	before := p.mustInspect(k.Info().ID)
	p.mustSame("Inspect, compared with List", before, p.mustList()[k.Info().ID])
	p.must("Restrict", p.restrict(p.Context(), k.Info().ID, rotation.Restriction{Lifetime: lifetime / 3}))
	p.mustExpire(p.mustInspect(k.Info().ID), lifetime/3)
	p.mustExpire(p.mustInspect(other.Info().ID), lifetime)
}

// Obligation 5: what is not there is ErrNotFound.
func checkInspectNone(tb testing.TB, h IssuerHarness) {
	p := h.open(tb)
	k := p.mustIssue()
	for _, id := range []string{"key_no_such_key", "", "../" + k.Info().ID, k.Info().ID + "x"} {
		if _, err := p.inspect(p.Context(), id); !errors.Is(err, keyprovider.ErrNotFound) && !errors.Is(err, keyprovider.ErrInvalid) {
			p.Errorf("Inspect(%q): %v, want ErrNotFound", id, err)
		}
	}
	_, err := p.inspect(p.Context(), "key_no_such_key")
	p.mustBe("Inspect of a key that is not there", err, keyprovider.ErrNotFound)
}

// Obligation 6: a lifetime counts from now, for this key.
func checkRestrictLifetime(tb testing.TB, h IssuerHarness) {
	p := h.open(tb)
	k, other := p.mustIssue(), p.mustIssue()
	before := p.mustInspect(other.Info().ID)
	p.must("Restrict", p.restrict(p.Context(), k.Info().ID, rotation.Restriction{Lifetime: lifetime / 2}))
	p.mustExpire(p.mustInspect(k.Info().ID), lifetime/2)
	p.mustSame("a key beside one that was restricted", p.mustInspect(other.Info().ID), before)
	p.mustBe("Restrict to a negative lifetime",
		p.restrict(p.Context(), k.Info().ID, rotation.Restriction{Lifetime: -time.Hour}), keyprovider.ErrInvalid)
	p.mustExpire(p.mustInspect(k.Info().ID), lifetime/2)
	p.mustLive(k)
	p.mustBe("Restrict of a key that is not there",
		p.restrict(p.Context(), "key_no_such_key", rotation.Restriction{Lifetime: time.Hour}), keyprovider.ErrNotFound)
}

// Obligation 6: scopes are replaced.
func checkRestrictScopes(tb testing.TB, h IssuerHarness) {
	p := h.open(tb)
	p.Need(len(p.place.Scopes) > 0 && p.place.ScopesOf != nil, "the harness does not know scopes (IssuerPlace.Scopes, ScopesOf)")
	k := p.mustIssue()
	id := k.Info().ID
	p.must("Restrict", p.restrict(p.Context(), id, rotation.Restriction{Scopes: p.place.Scopes}))
	p.mustScope(id, p.place.Scopes)
	p.mustExpire(p.mustInspect(id), lifetime)
	p.must("Restrict to a lifetime", p.restrict(p.Context(), id, rotation.Restriction{Lifetime: lifetime / 2}))
	p.mustScope(id, p.place.Scopes)
	p.must("Restrict to an empty list", p.restrict(p.Context(), id, rotation.Restriction{Scopes: []string{}, Lifetime: lifetime / 3}))
	p.mustScope(id, p.place.Scopes)
}

func (p *issuerProbe) mustScope(id string, want []string) {
	p.Helper()
	got := slices.Sorted(slices.Values(p.place.ScopesOf(id)))
	if !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		p.Errorf("the key has the scopes %q, want %q", got, want)
	}
}

// Obligation 6: a Restriction that is empty restricts nothing.
func checkRestrictNothing(tb testing.TB, h IssuerHarness) {
	p := h.open(tb)
	k := p.mustIssue()
	id := k.Info().ID
	before := p.mustInspect(id)
	var scopes []string
	if p.place.ScopesOf != nil {
		scopes = p.place.ScopesOf(id)
	}
	p.must("Restrict to nothing", p.restrict(p.Context(), id, rotation.Restriction{}))
	p.mustSame("a key that was restricted to nothing", p.mustInspect(id), before)
	if p.place.ScopesOf != nil {
		p.mustScope(id, scopes)
	}
}
