package main

import (
	"errors"
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/rotationtest"
)

// TestOptionsAreFlags: what the library refuses is the command line's fault, and
// is told by the names of the flags.
func TestOptionsAreFlags(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	cases := []struct {
		flag, want string
	}{
		{"-project=p p", "-project is not the id of a project"},
		{"-account=my bot", "-account is not the id of a service account"},
		{"-scopes=everything", "-scopes has an entry that is no scope"},
		{"-origin=ftp://x", "-origin does not begin with https://"},
		{"-origin=https://x/v1", "-origin has more than scheme, host and port"},
		{"-lifetime=1h", "-lifetime is 1h0m0s, less than three times the 720h0m0s between two rotations"},
		{"-lifetime=-1h", "-lifetime is negative"},
		{"-overlap=900h", "-overlap is 900h0m0s"},
		{"-lease=2h", "-lease is more than an hour"},
	}
	for _, tc := range cases {
		got := s.rotate(exitUsage, "run -once", tc.flag)
		if !strings.Contains(got, tc.want) {
			t.Errorf("%s: got %q, want %q in it", tc.flag, got, tc.want)
		}
		if strings.Contains(got, "Options") || strings.Contains(got, "Overlap") || strings.Contains(got, "Lifetime") {
			t.Errorf("%s: got %q, want no name of the library's", tc.flag, got)
		}
	}
	contains(t, s.rotate(exitUsage, "now", "-all-permissions"), "-scopes and -all-permissions exclude each other")
	contains(t, s.rotate(exitUsage, "now", "-scopes="), "missing: -scopes")
	if live := s.live(); live != "" {
		t.Errorf("got the keys %q, want none", live)
	}
}

// TestScopesWithSpaces: a list is written as a person writes it.
func TestScopesWithSpaces(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.rotate(exitOK, "run -once", "-scopes=api.model.request, api.responses.write ,")
	s.checkLive("1/1")
}

// TestNamesOfOptions: each name that is translated is one of the library's.
func TestNamesOfOptions(t *testing.T) {
	t.Parallel()
	store := rotationtest.NewMemory("x")
	issuer := rotationtest.NewService().Issuer("svc_1")
	for _, opts := range []*rotation.RotatorOptions{
		{Schedule: rotation.Every(-1)}, {Lifetime: -1}, {Overlap: 999 * time.Hour}, {Lease: 2 * time.Hour}, {Domain: strings.Repeat("d", 300)},
	} {
		_, err := rotation.NewRotator(issuer, store, opts)
		if err == nil {
			t.Fatalf("%+v: got no error", opts)
		}
		u := (*usageError)(nil)
		if !errors.As(ofFlags(err), &u) || !strings.HasPrefix(u.text, "-") {
			t.Errorf("got %q, want it to begin with the flag's name", ofFlags(err))
		}
	}
	other := &keyprovider.Error{Class: keyprovider.ErrUnavailable, Err: keyprovider.Reason("Lifetime", nil)}
	if got := ofFlags(other); got != error(other) {
		t.Errorf("got %v, want what is no one's fault unchanged", got)
	}
}

// TestQuotedFlag: a value that looks like the message around it is not repeated.
func TestQuotedFlag(t *testing.T) {
	t.Parallel()
	s := &settings{}
	s.define()
	for _, value := range []string{`x" for flag -abcdef: y`, `often`, ` -abcdef`} {
		err := s.flags.Parse([]string{"-every", value})
		if got, want := flagError(err, s.flags), "the value of -every is not understood"; got != want {
			t.Errorf("%q: got %q, want %q", value, got, want)
		}
	}
	for _, args := range [][]string{{"---x"}, {"-=x"}, {"-Abc"}} {
		if got, want := flagError(s.flags.Parse(args), s.flags), "there is a flag that does not exist"; got != want {
			t.Errorf("%q: got %q, want %q", args, got, want)
		}
	}
	if got, want := flagError(errors.New("novel"), &flag.FlagSet{}), "there is a flag that does not exist"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
