package keyprovider_test

import (
	"context"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/keybearer/keybearer/keyprovider"
)

func TestFunc(t *testing.T) {
	key, _ := newKey(t, keyprovider.Info{})
	var gotLast keyprovider.Version
	f := keyprovider.Func(func(_ context.Context, last keyprovider.Version) (*keyprovider.Key, error) {
		gotLast = last
		return key, nil
	})
	if got, err := f.Fetch(t.Context(), "7"); got != key || err != nil || gotLast != "7" {
		t.Errorf("Fetch = %v, %v with last %q", got, err, gotLast)
	}
	if got := keyprovider.Name(f); got != "func" {
		t.Errorf("Name = %q", got)
	}
	_, err := keyprovider.Func(nil).Fetch(t.Context(), "")
	wantInvalid(t, err)
}

type named string

func (named) Fetch(context.Context, keyprovider.Version) (*keyprovider.Key, error) { return nil, nil }
func (n named) String() string                                                     { return string(n) }

type nameless struct{}

func (nameless) Fetch(context.Context, keyprovider.Version) (*keyprovider.Key, error) {
	return nil, nil
}

func TestName(t *testing.T) {
	tests := []struct {
		name string
		p    keyprovider.KeyProvider
		want string
	}{
		{"its own", named("awssm:prod/openai"), "awssm:prod/openai"},
		{"its type", nameless{}, "keyprovider_test.nameless"},
		{"nil", nil, "<nil>"},
		{"cut", named(strings.Repeat("x", 300)), strings.Repeat("x", 256)},
		{"cut between characters", named(strings.Repeat("x", 255) + "é"), strings.Repeat("x", 255)},
	}
	for _, tt := range tests {
		got := keyprovider.Name(tt.p)
		if got != tt.want || !utf8.ValidString(got) {
			t.Errorf("%s: Name = %q, want %q", tt.name, got, tt.want)
		}
	}
}
