package keyprovidertest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
)

// Rule 1: a nil error comes with a key, the one that is stored.
func checkKey(tb testing.TB, h Harness) {
	p := h.open(tb)
	for range 3 {
		p.mustFetch(p.store())
	}
}

// Rule 2: ErrNotModified is no answer to a caller that holds nothing.
func checkUnconditional(tb testing.TB, h Harness) {
	p := h.open(tb)
	secret := p.store()
	key := p.mustFetch(secret)
	_, _ = p.fetch(p.Context(), key.Version())
	for range 2 {
		if _, err := p.fetch(p.Context(), ""); errors.Is(err, keyprovider.ErrNotModified) {
			p.Error("Fetch answered ErrNotModified to a caller that holds no version")
		}
	}
}

// Rule 2: ErrNotModified says that the caller holds this very key.
func checkNotModified(tb testing.TB, h Harness) {
	p := h.open(tb)
	first := p.store()
	key := p.mustFetch(first)
	switch again, err := p.fetch(p.Context(), key.Version()); {
	case errors.Is(err, keyprovider.ErrNotModified):
	case err != nil:
		p.Errorf("Fetch of the version that is held: %v", err)
	case !again.Equal(key) || again.Version() != key.Version():
		p.Error("Fetch of the version that is held brought another key")
	}
	p.mustNotice("a version that never was", "keyprovidertest-no-such-version", first)
	if p.place.Leased {
		return
	}
	second := p.store()
	p.mustNotice("changed", key.Version(), second)
	p.mustNotice("changed, asked again", key.Version(), second)
	held := p.mustFetch(second).Version()
	p.set(first, []byte(first))
	p.mustNotice("rolled back", held, first)
}

// Rule 2: ErrNotModified says that the Info is unchanged, too.
func checkNotModifiedInfo(tb testing.TB, h Harness) {
	p := h.open(tb)
	p.Need(!p.place.Raw, "the provider does not read descriptions (Place.Raw)")
	p.Need(!p.place.Leased, "the provider may answer with what it holds (Place.Leased)")
	secret := NewSecret()
	describe := func(id, expires string) {
		p.set(secret, fmt.Appendf(nil, `{"api_key": %q, "key_id": %q, "expires_at": %q}`, secret, id, expires))
	}
	const year = "2130-01-01T00:00:00Z"
	describe("key_1", year)
	key := p.mustFetch(secret)
	if key.Info().ID != "key_1" || key.Info().StatedExpiry.IsZero() {
		p.Fatalf("the key's Info lacks what the stored object says of it: %+v", key.Info())
	}
	notice := func(what, id string) {
		got, err := p.fetch(p.Context(), key.Version())
		if err != nil || got.Info().ID != id || got.Info().StatedExpiry.Equal(key.Info().StatedExpiry) != (what == "id") {
			p.Errorf("the stored %s changed beside the same secret: Fetch answered %v, or the Info that was", what, err)
		}
	}
	describe("key_2", year)
	notice("id", "key_2")
	describe("key_1", "2131-01-01T00:00:00Z")
	notice("expiry", "key_1")
	p.set(secret, []byte(secret))
	notice("description as a whole", "")
}

// Rule 2: a secret that is deleted and stored anew may get an old version.
func checkRecreated(tb testing.TB, h Harness) {
	p := h.open(tb)
	p.Need(p.place.Delete != nil, "the harness cannot delete (Place.Delete)")
	p.Need(!p.place.Leased, "the provider may answer with what it holds (Place.Leased)")
	key := p.mustFetch(p.store())
	p.place.Delete()
	p.mustNotice("deleted and recreated", key.Version(), p.store())
}

// Rule 3: without a version, Fetch reads unconditionally.
func checkReadsAnew(tb testing.TB, h Harness) {
	p := h.open(tb)
	for range 3 {
		secret := p.store()
		p.mustFetch(secret)
		p.mustFetch(secret)
	}
}

// Rule 4: what Fetch answers is what the store holds, not what it held.
func checkNoCache(tb testing.TB, h Harness) {
	p := h.open(tb)
	p.Need(!p.place.Leased, "the provider may answer with what it holds (Place.Leased)")
	held := p.mustFetch(p.store()).Version()
	for range 3 {
		secret := p.store()
		p.mustNotice("changed", held, secret)
		held = p.mustFetch(secret).Version()
	}
}

// Rule 4: a failure is reported though a key was fetched before, and is over
// when it is over.
func checkNoFailureCache(tb testing.TB, h Harness) {
	p := h.open(tb)
	p.Need(p.place.Fail != nil, "the harness cannot make the store fail (Place.Fail)")
	secret := p.store()
	for _, class := range classes {
		p.mustFetch(secret)
		restore := p.place.Fail(class)
		if restore == nil {
			continue
		}
		if _, err := p.fetch(p.Context(), ""); err == nil {
			p.Errorf("the store fails (%v), and Fetch answers with a key that it kept", class)
		}
		restore()
	}
	p.mustFetch(secret)
}
