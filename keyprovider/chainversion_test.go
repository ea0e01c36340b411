package keyprovider_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// TestChainLast: last reaches only the member that gave it.
func TestChainLast(t *testing.T) {
	tests := []struct{ last, to0, to1, to10 keyprovider.Version }{
		{"", "", "", ""},
		{"0/7", "7", "", ""},
		{"1/7", "", "7", ""},
		{"10/7", "", "", "7"},
		{"1/0/7", "", "0/7", ""},
		{"1/", "", "", ""},
		{"7", "", "", ""},
		{"/7", "", "", ""},
		{"01/7", "", "", ""},
		{"-1/7", "", "", ""},
	}
	for _, tt := range tests {
		var fakes []*keyprovidertest.Fake
		var members []keyprovider.KeyProvider
		for range 11 {
			f := keyprovidertest.NewFake("")
			fakes, members = append(fakes, f), append(members, f)
		}
		wantClass(t, keyprovider.Chain(members...), tt.last, keyprovider.ErrNotFound)
		for i, f := range fakes {
			want := map[int]keyprovider.Version{0: tt.to0, 1: tt.to1, 10: tt.to10}[i]
			if got := f.Calls()[0].Last; got != want {
				t.Errorf("last %q: member %d is told %q, want %q", tt.last, i, got, want)
			}
		}
	}
}

// TestChainVersions: two members with the same version never answer for each
// other; a derived version stays a derived one; chains nest.
func TestChainVersions(t *testing.T) {
	s0, s1 := keyprovidertest.NewSecret(), keyprovidertest.NewSecret()
	a, b := keyprovidertest.NewFake(s0), keyprovidertest.NewFake(s1)
	inner := keyprovider.Chain(b)
	c := keyprovider.Chain(a, inner)
	wantKey(t, c, "", s0, "0/1")
	a.Delete()
	wantKey(t, c, "0/1", s1, "1/0/1")
	if _, err := c.Fetch(t.Context(), "1/0/1"); !errors.Is(err, keyprovider.ErrNotModified) {
		t.Errorf("Fetch: %v, want ErrNotModified", err)
	}
	if got := b.Calls()[len(b.Calls())-1].Last; got != "1" {
		t.Errorf("the inner chain's member is told %q, want 1", got)
	}

	b.SetKey(s0, keyprovider.Info{ID: "key_1"})
	k, err := c.Fetch(t.Context(), "1/0/1")
	if err != nil {
		t.Fatal(err)
	}
	if want := keyprovider.Version("1/0/fp-" + k.Fingerprint()); k.Version() != want || k.Info().Version != "" {
		t.Errorf("Version = %q and %q, want %q and none", k.Version(), k.Info().Version, want)
	}
	if k.Info().ID != "key_1" || k.Reveal() != s0 {
		t.Errorf("the chain changes the key to %v", k)
	}
	wantHidden(t, k, s0)
}

// FuzzChainVersion: whatever a member's version is, the chain gives it back to
// that member, and to no other.
func FuzzChainVersion(f *testing.F) {
	for _, v := range []string{"", "7", "0/7", "1/", "/", "10/7", "\x00", "\xff", "fp-x", strings.Repeat("9/", 40)} {
		f.Add(v, v)
	}
	secret := keyprovidertest.NewSecret()
	f.Fuzz(func(t *testing.T, version, last string) {
		var told [12]keyprovider.Version
		var members []keyprovider.KeyProvider
		for i := range told {
			members = append(members, keyprovider.Func(func(_ context.Context, last keyprovider.Version) (*keyprovider.Key, error) {
				told[i] = last
				if i < 11 {
					return nil, keyprovider.ErrNotFound
				}
				return keyprovider.NewKey(secret, keyprovider.Info{Version: keyprovider.Version(version)})
			}))
		}
		c := keyprovider.Chain(members...)
		k, err := c.Fetch(t.Context(), keyprovider.Version(last))
		if err != nil {
			t.Skip() // the version repeats the secret
		}
		n := 0
		for i, v := range told {
			if v != "" {
				n++
				if want := fmt.Sprintf("%d/%s", i, v); want != last {
					t.Errorf("of last %q member %d is told %q", last, i, v)
				}
			}
		}
		if n > 1 {
			t.Errorf("last %q is told to %d members", last, n)
		}
		clear(told[:])
		if _, err := c.Fetch(t.Context(), k.Version()); err != nil {
			t.Fatal(err)
		}
		for i, v := range told {
			switch {
			case i < 11 && v != "":
				t.Errorf("member %d is told %q, the version of member 11", i, v)
			case i == 11 && version != "" && v != keyprovider.Version(version):
				t.Errorf("the member is told %q of its version %q", v, version)
			}
		}
	})
}
