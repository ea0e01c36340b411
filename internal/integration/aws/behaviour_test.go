package aws

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/awssm"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

func mustFetch(tb testing.TB, p keyprovider.KeyProvider, last keyprovider.Version) *keyprovider.Key {
	tb.Helper()
	key, err := p.Fetch(tb.Context(), last)
	if err != nil {
		tb.Fatalf("Fetch: %v", err)
	}
	return key
}

func TestStages(t *testing.T) {
	endpoint := sharedMoto(t)
	s := newStore(t, endpoint)
	current, pending := keyprovidertest.NewSecret(), keyprovidertest.NewSecret()
	s.set([]byte(current))
	first := s.latest
	byLabel := s.provide(endpoint, awssm.Options{})
	byARN, err := awssm.New(t.Context(), s.arn, &awssm.Options{Endpoint: endpoint})
	if err != nil {
		t.Fatal(err)
	}
	defer byARN.Close()

	second := s.stage(pending)
	for name, tt := range map[string]struct {
		p    *awssm.Provider
		want string
	}{
		"current": {byLabel, current}, "by ARN": {byARN, current},
		"pending": {s.provide(endpoint, awssm.Options{Stage: "AWSPENDING"}), pending},
		"pinned":  {s.provide(endpoint, awssm.Options{VersionID: second}), pending},
	} {
		key := mustFetch(t, tt.p, "")
		if key.Reveal() != tt.want || time.Since(key.Info().CreatedAt).Abs() > time.Hour {
			t.Errorf("%s: got %v created %v, want another", name, key, key.Info().CreatedAt)
		}
		if _, err := tt.p.Fetch(t.Context(), key.Version()); err != keyprovider.ErrNotModified {
			t.Errorf("%s: got %v, want ErrNotModified", name, err)
		}
	}
	_, err = s.provide(endpoint, awssm.Options{Stage: "nobody"}).Fetch(t.Context(), "")
	if !errors.Is(err, keyprovider.ErrNotFound) {
		t.Errorf("a stage that no version bears: got %v, want ErrNotFound", err)
	}
	_, err = s.provide(endpoint, awssm.Options{VersionID: strings.Repeat("0", 36)}).Fetch(t.Context(), "")
	if !errors.Is(err, keyprovider.ErrNotFound) {
		t.Errorf("a version that never was: got %v, want ErrNotFound", err)
	}

	s.promote(first, second)
	if got := mustFetch(t, byLabel, keyprovider.Version(first)); got.Reveal() != pending {
		t.Error("a promoted version is not seen")
	}
	s.promote(second, first)
	if got := mustFetch(t, byLabel, keyprovider.Version(second)); got.Reveal() != current || got.Version() != keyprovider.Version(first) {
		t.Error("a rollback is not seen")
	}
}

func TestDestroyedAndRecreated(t *testing.T) {
	endpoint := sharedMoto(t)
	s := newStore(t, endpoint)
	s.set([]byte(keyprovidertest.NewSecret()))
	p := s.provide(endpoint, awssm.Options{})
	last := mustFetch(t, p, "").Version()
	s.destroy()
	for _, held := range []keyprovider.Version{"", last} {
		if _, err := p.Fetch(t.Context(), held); !errors.Is(err, keyprovider.ErrNotFound) {
			t.Errorf("destroyed: got %v, want ErrNotFound", err)
		}
	}
	secret := keyprovidertest.NewSecret()
	s.set([]byte(secret))
	if mustFetch(t, p, last).Reveal() != secret {
		t.Error("the recreated secret's key is not seen")
	}
}

// A role that may only read polls by reading, after one try, and says so once.
func TestOnlyGetSecretValueIsGranted(t *testing.T) {
	endpoint := sharedMoto(t)
	s, front := newStore(t, endpoint), newProxy(t, endpoint)
	front.set(deniesDescribe)
	s.set([]byte(keyprovidertest.NewSecret()))
	var log bytes.Buffer
	p := s.provide(front.URL, awssm.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	last := mustFetch(t, p, "").Version()
	for range 5 {
		if _, err := p.Fetch(t.Context(), last); err != keyprovider.ErrNotModified {
			t.Errorf("got %v, want ErrNotModified", err)
		}
	}
	if calls, _ := front.took(); calls["DescribeSecret"] != 1 || calls["GetSecretValue"] != 6 {
		t.Errorf("calls %v, want one DescribeSecret", calls)
	}
	if strings.Count(log.String(), "\n") != 1 {
		t.Errorf("log %q, want one line", &log)
	}
}

// A label that is rolled back is followed at once after a refusal, though the
// older version looks like a late read.
func TestRollbackAfterRefusal(t *testing.T) {
	endpoint := sharedMoto(t)
	s := newStore(t, endpoint)
	good, bad := keyprovidertest.NewSecret(), keyprovidertest.NewSecret()
	s.set([]byte(good))
	first := s.latest
	source, err := rotation.NewSource(t.Context(), s.provide(endpoint, awssm.Options{}), &rotation.SourceOptions{
		PollInterval: 50 * time.Millisecond, MinRefresh: 10 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	key, err := source.Key(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	source.Accept(key)
	changed := source.Changed()
	second := s.stage(bad)
	s.promote(first, second)
	<-changed
	refused, err := source.Key(t.Context())
	if err != nil || refused.Reveal() != bad {
		t.Fatalf("got %v, %v; want the second key", refused, err)
	}
	s.promote(second, first)
	replacement, err := source.Reject(t.Context(), refused)
	if err != nil || replacement.Reveal() != good {
		t.Errorf("got %v, %v; want the first key back", replacement, err)
	}
}

// The SDK corrects its clock by the service's, so that a wrong clock costs one
// more attempt.
func TestClockSkew(t *testing.T) {
	endpoint := sharedMoto(t)
	s, front := newStore(t, endpoint), newProxy(t, endpoint)
	secret := keyprovidertest.NewSecret()
	s.set([]byte(secret))
	front.set(skewed)
	p := s.provide(front.URL, awssm.Options{})
	for range 3 {
		if mustFetch(t, p, "").Reveal() != secret {
			t.Error("got another key")
		}
	}
	if _, calls := front.took(); calls != 4 {
		t.Errorf("%d calls for three fetches, want one more", calls)
	}
}
