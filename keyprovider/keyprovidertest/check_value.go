package keyprovidertest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
)

// classCheck: a failure of the store is reported as what it is.
func classCheck(class error) func(testing.TB, Harness) {
	return func(tb testing.TB, h Harness) {
		p := h.open(tb)
		p.Need(p.place.Fail != nil, "the harness cannot make the store fail (Place.Fail)")
		secret := p.store()
		held := p.mustFetch(secret).Version()
		restore := p.place.Fail(class)
		p.Need(restore != nil, "the store knows no such failure (Place.Fail returned nil)")
		_, err := p.fetch(p.Context(), "")
		p.mustBe(class, err)
		if _, err := p.fetch(p.Context(), held); !p.place.Leased {
			p.mustBe(class, err)
		}
		restore()
		p.mustFetch(secret)
	}
}

// mustBe fails the test unless a Fetch failed with class.
func (p *probe) mustBe(class, err error) {
	p.Helper()
	if !errors.Is(err, class) {
		p.Errorf("Fetch: %v, want an error of class %q", err, class)
	}
}

// checkDeleted: a place that is empty, or is empty again, is ErrNotFound.
func checkDeleted(tb testing.TB, h Harness) {
	p := h.open(tb)
	p.Need(p.place.Delete != nil, "the harness cannot delete (Place.Delete)")
	key := p.mustFetch(p.store())
	p.place.Delete()
	_, err := p.fetch(p.Context(), "")
	p.mustBe(keyprovider.ErrNotFound, err)
	if _, err := p.fetch(p.Context(), key.Version()); !p.place.Leased {
		p.mustBe(keyprovider.ErrNotFound, err)
	}
	p.mustFetch(p.store())
}

// stored is what a place holds, made of a secret.
type stored struct {
	name   string
	parsed bool // means something to keyprovider.ParseKey alone
	make   func(secret string) string
}

var accepted = []stored{
	{"a bare key", false, func(s string) string { return s }},
	{"a key and a line break", true, func(s string) string { return s + "\n" }},
	{"a key and a DOS line break", true, func(s string) string { return s + "\r\n" }},
	{"a JSON object", true, func(s string) string { return fmt.Sprintf(`{"api_key":%q}`, s) }},
	{"a JSON object over several lines", true, func(s string) string {
		return fmt.Sprintf("{\n  \"unknown\": [1],\n  \"api_key\": %q\n}\n", s)
	}},
	{"a key of 8 KiB", false, func(s string) string { return s + strings.Repeat("k", keyprovider.MaxKeyLen-len(s)) }},
}

var refused = []stored{
	{"two line breaks", true, func(s string) string { return s + "\n\n" }},
	{"a line break within", false, func(s string) string { return s + "\n" + s }},
	{"a carriage return within", false, func(s string) string { return s + "\r" + s }},
	{"a space at the end", false, func(s string) string { return s + " " }},
	{"a tab within", false, func(s string) string { return s + "\t" + s }},
	{"a NUL", false, func(s string) string { return s + "\x00" }},
	{"binary", false, func(s string) string { return "\x01\x02\x7f" + s }},
	{"invalid UTF-8", false, func(s string) string { return s + "\xff\xfe" }},
	{"not ASCII", false, func(s string) string { return s + "é" }},
	{"a byte order mark", false, func(s string) string { return "\ufeff" + s }},
	{"a key of more than 8 KiB", false, func(s string) string { return s + strings.Repeat("k", keyprovider.MaxKeyLen) }},
	{"64 KiB", false, func(s string) string { return s + strings.Repeat("k", 64<<10-len(s)) }},
	{"cut JSON", true, func(s string) string { return fmt.Sprintf(`{"api_key":%q`, s) }},
	{"JSON without the field", true, func(s string) string { return fmt.Sprintf(`{"other":%q}`, s) }},
	{"JSON with another type", true, func(s string) string { return fmt.Sprintf(`{"api_key":[%q]}`, s) }},
	{"a JSON array", true, func(s string) string { return fmt.Sprintf(`[%q]`, s) }},
}

// checkAccepted: each form of a stored key is read as that key.
func checkAccepted(tb testing.TB, h Harness) {
	p := h.open(tb)
	for _, v := range accepted {
		secret := NewSecret()
		value := []byte(v.make(secret))
		if !p.holds(v, value) {
			continue
		}
		p.set(secret, value)
		key, err := p.fetch(p.Context(), "")
		switch {
		case err != nil:
			p.Errorf("%s: Fetch: %v", v.name, err)
		case key.Reveal() != secret && !bytes.Equal([]byte(key.Reveal()), value):
			p.Errorf("%s: Fetch brought another secret", v.name)
		case key.Reveal() != secret && v.parsed:
			p.Errorf("%s: Fetch brought the value as it is stored, not the key in it: read it with keyprovider.ParseKey", v.name)
		}
	}
}

// checkRefused: what is not a key is ErrInvalid, and the next key is taken as
// if nothing had been.
func checkRefused(tb testing.TB, h Harness) {
	p := h.open(tb)
	for _, v := range refused {
		secret := NewSecret()
		value := []byte(v.make(secret))
		if !p.holds(v, value) {
			continue
		}
		p.set(secret, value)
		if _, err := p.fetch(p.Context(), ""); !errors.Is(err, keyprovider.ErrInvalid) {
			p.Errorf("%s: Fetch: %v, want ErrInvalid", v.name, err)
		}
	}
	// An empty value is as good as none to some stores.
	if empty := (stored{}); p.holds(empty, nil) {
		p.place.Set(nil)
		if _, err := p.fetch(p.Context(), ""); err == nil {
			p.Error("an empty value: Fetch brought a key")
		}
	}
	p.mustFetch(p.store())
}

// holds reports whether a value can be tried.
func (p *probe) holds(v stored, value []byte) bool {
	return (!p.place.Raw || !v.parsed) && (p.place.Holds == nil || p.place.Holds(value))
}

// checkVersionChanges: another secret has another version, which is no secret.
func checkVersionChanges(tb testing.TB, h Harness) {
	p := h.open(tb)
	seen := make(map[keyprovider.Version]bool)
	for range 4 {
		secret := p.store()
		version := p.mustFetch(secret).Version()
		switch {
		case version == "":
			p.Error("the key has no version")
		case seen[version]:
			p.Error("the version stayed, and the secret did not")
		case Leaks(string(version), secret):
			p.Error("the version shows the key")
		}
		seen[version] = true
	}
}

// checkVersionStays: reading does not change the version; nor does storing the
// same secret again, unless the store counts that as a version of its own.
func checkVersionStays(tb testing.TB, h Harness) {
	p := h.open(tb)
	secret := p.store()
	first := p.mustFetch(secret)
	for _, what := range []string{"read again", "stored again"} {
		if what == "stored again" {
			if first.Info().Version != "" {
				break
			}
			p.set(secret, []byte(secret))
		}
		key := p.mustFetch(secret)
		if got, want := key.Version(), first.Version(); got != want {
			p.Errorf("the same secret, %s, has version %q, and had %q", what, got, want)
		}
	}
}
