package awsstore

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/keybearer/keybearer/internal/awsclient/awsfake"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

// place is a store and the service behind it.
type place struct {
	*testing.T
	aws *awsfake.Server
	*Store
}

func open(t *testing.T) *place {
	server := &awsfake.Server{}
	server.Make(secretName)
	return &place{t, server, newStore(t, server, nil)}
}

var keys atomic.Int64

func newKey(tb testing.TB) *keyprovider.Key {
	tb.Helper()
	k, err := keyprovider.NewKey(keyprovidertest.NewSecret(), keyprovider.Info{ID: fmt.Sprintf("key_%d", keys.Add(1)), RotationID: "d/1"})
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func (p *place) newKey() *keyprovider.Key { return newKey(p.T) }

func (p *place) ok(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// promoteNew stages and promotes a key.
func (p *place) promoteNew() *keyprovider.Key {
	p.Helper()
	k := p.newKey()
	p.ok(p.Stage(p.Context(), k))
	staged, err := p.Staged(p.Context())
	p.ok(err)
	p.ok(p.Promote(p.Context(), staged, p.revision()))
	return staged
}

func (p *place) revision() rotation.Revision {
	p.Helper()
	_, r, err := p.Current(p.Context())
	if err != nil && !errors.Is(err, keyprovider.ErrNotFound) {
		p.Fatal(err)
	}
	return r
}

func (p *place) value(label string) string {
	return p.aws.Value(secretName, p.aws.Labels(secretName)[label])
}

func (p *place) wantClass(err, class error, text string) {
	p.Helper()
	if !errors.Is(err, class) || !strings.Contains(err.Error(), text) {
		p.Errorf("got %v, want %v: ...%s...", err, class, text)
	}
}

// A rollback moves the label back to the former version, and makes none.
func TestRollbackMovesTheLabel(t *testing.T) {
	p := open(t)
	first := p.promoteNew()
	version := p.aws.Labels(secretName)[awsfake.Current]
	p.promoteNew()
	puts := p.aws.Puts()
	back, err := p.Former(t.Context(), first.Fingerprint())
	p.ok(err)
	p.ok(p.Promote(t.Context(), back, p.revision()))
	if got := p.aws.Labels(secretName)[awsfake.Current]; got != version || p.aws.Puts() != puts {
		t.Errorf("AWSCURRENT is on %s after %d writes, want it back on %s after none", got, p.aws.Puts()-puts, version)
	}
}

// What else is in the secret stays, in the form of the present version.
func TestOtherFieldsStay(t *testing.T) {
	p := open(t)
	first := p.newKey()
	p.aws.Set(secretName, `{"api_key":"`+first.Reveal()+`","organization":"org-1","created_at":"2026-01-01T00:00:00Z","nested":{"a":[1,2]}}`)
	k := p.newKey()
	p.ok(p.Stage(t.Context(), k))
	if v := p.value(awsfake.Pending); !strings.Contains(v, `"organization":"org-1"`) || !strings.Contains(v, `"nested":{"a":[1,2]}`) || strings.Contains(v, "2026-01-01") {
		t.Errorf("staged with the wrong fields beside the key: %s", strings.ReplaceAll(v, k.Reveal(), "…"))
	}
	p.aws.Set(secretName, `{"api_key":"`+first.Reveal()+`","organization":"org-2"}`)
	staged, err := p.Staged(t.Context())
	p.ok(err)
	p.ok(p.Promote(t.Context(), staged, p.revision()))
	current, _, err := p.Current(t.Context())
	p.ok(err)
	if v := p.value(awsfake.Current); !current.Equal(k) || current.Info().ID != k.Info().ID || !strings.Contains(v, `"organization":"org-2"`) || strings.Contains(v, "nested") {
		t.Errorf("promoted without what was changed after Stage: %s", strings.ReplaceAll(v, k.Reveal(), "…"))
	}
	p.aws.Set(secretName, strings.Replace(p.value(awsfake.Current), "org-2", "org-3", 1))
	back, err := p.Former(t.Context(), first.Fingerprint()) // by KEYBEARER_FORMER: AWSPREVIOUS holds the new key
	p.ok(err)
	p.ok(p.Promote(t.Context(), back, p.revision()))
	if v := p.value(awsfake.Current); !strings.Contains(v, first.Reveal()) || !strings.Contains(v, "org-3") || strings.Contains(v, "key_id") {
		t.Error("the rollback does not hold the former key beside the present fields")
	}
}

func TestPendingOfOthers(t *testing.T) {
	p := open(t)
	p.promoteNew()
	p.ok(p.Unstage(t.Context(), p.mustStaged().Fingerprint()))
	token := p.aws.Rotate(secretName) // what a failed rotation by AWS leaves: an empty version
	_, err := p.Staged(t.Context())
	p.wantClass(err, keyprovider.ErrNotFound, "no value")
	k := p.newKey()
	p.ok(p.Stage(t.Context(), k))
	p.ok(p.Unstage(t.Context(), k.Fingerprint()))
	if got := p.aws.Labels(secretName)[awsfake.Pending]; got != "" {
		t.Errorf("AWSPENDING is on %s, the empty version is %s", got, token)
	}
	theirs := p.aws.Store(secretName, p.newKey().Reveal(), awsfake.Pending)
	p.wantClass(p.Stage(t.Context(), k), keyprovider.ErrInvalid, theirs)
	if got := p.aws.Labels(secretName)[awsfake.Pending]; got != theirs {
		t.Error("Stage took the label from another rotation")
	}
}

func (p *place) mustStaged() *keyprovider.Key {
	p.Helper()
	k, err := p.Staged(p.Context())
	p.ok(err)
	return k
}

// The same key is one version, also after its label was taken away.
func TestStageAgain(t *testing.T) {
	p := open(t)
	p.promoteNew()
	k := p.newKey()
	p.ok(p.Stage(t.Context(), k))
	puts := p.aws.Puts()
	p.ok(p.Unstage(t.Context(), k.Fingerprint()))
	p.ok(p.Stage(t.Context(), k))
	if !p.mustStaged().Equal(k) || p.aws.Puts() != puts {
		t.Errorf("%d versions more, want the same one staged", p.aws.Puts()-puts)
	}
}

func TestLambdaOption(t *testing.T) {
	p := open(t)
	old := p.promoteNew()
	p.promoteNew()
	p.aws.Rotates(secretName, 30*24*time.Hour)
	_, _, err := p.Current(t.Context())
	p.wantClass(err, keyprovider.ErrInvalid, "RotationEnabled")
	p.wantClass(p.Stage(t.Context(), p.newKey()), keyprovider.ErrInvalid, "RotationEnabled")
	s := newStore(t, p.aws, &Options{Lambda: true})
	_, from, err := s.Current(t.Context())
	p.ok(err)
	back, err := s.Former(t.Context(), old.Fingerprint())
	p.ok(err)
	p.ok(s.Promote(t.Context(), back, from))
	p.wantClass(s.Stage(t.Context(), p.newKey()), keyprovider.ErrInvalid, "Options.Lambda")
}

// Somebody stores the first value while the first key is being staged: nobody's
// value is replaced unseen.
func TestFirstKeyBesideAPerson(t *testing.T) {
	p := open(t)
	from := p.revision()
	k := p.newKey()
	p.ok(p.Stage(t.Context(), k))
	theirs := p.newKey()
	p.aws.Set(secretName, theirs.Reveal())
	p.wantClass(p.Promote(t.Context(), p.mustStaged(), from), rotation.ErrConflict, "")
	if current, _, err := p.Current(t.Context()); err != nil || !current.Equal(theirs) {
		t.Errorf("Current = %v, %v, want the person's key", current, err)
	}
}

func TestPromoteWhatIsNotThere(t *testing.T) {
	p := open(t)
	a := p.promoteNew()
	from := p.revision()
	p.wantClass(p.Promote(t.Context(), nil, from), keyprovider.ErrInvalid, "no key")
	p.wantClass(p.Promote(t.Context(), p.newKey(), from), keyprovider.ErrNotFound, "not one that Staged")
	other, err := keyprovider.NewKey(keyprovidertest.NewSecret(), keyprovider.Info{Version: a.Version()})
	p.ok(err)
	p.wantClass(p.Promote(t.Context(), other, from), keyprovider.ErrInvalid, "holds another key")
	gone, err := keyprovider.NewKey(keyprovidertest.NewSecret(), keyprovider.Info{Version: keyprovider.Version(strings.Repeat("0", 36))})
	p.ok(err)
	p.wantClass(p.Promote(t.Context(), gone, from), keyprovider.ErrNotFound, "")
}

// AWS lags: what this store has replaced is not taken for the present.
func TestLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		p.promoteNew()
		r1, err := p.SetState(t.Context(), []byte(`{"n":1}`), "")
		p.ok(err)
		k := p.newKey()
		p.ok(p.Stage(t.Context(), k))
		from, staged := p.revision(), p.mustStaged()
		settle := p.aws.Lag()
		p.ok(p.Promote(t.Context(), staged, from))
		r2, err := p.SetState(t.Context(), []byte(`{"n":2}`), r1)
		p.ok(err)
		_, _, err = p.Current(t.Context())
		p.wantClass(err, keyprovider.ErrUnavailable, "replaced a moment ago")
		_, _, err = p.State(t.Context())
		p.wantClass(err, keyprovider.ErrUnavailable, "replaced a moment ago")
		go func() {
			time.Sleep(10 * time.Millisecond)
			settle()
		}()
		current, _, err := p.Current(t.Context())
		if err != nil || !current.Equal(k) {
			t.Errorf("Current when AWS has settled = %v, %v", current, err)
		}
		if _, r, err := p.State(t.Context()); err != nil || r != r2 {
			t.Errorf("State = %s, %v, want %s", r, err, r2)
		}

		// A minute later whatever is read is believed: somebody has put it back.
		p.aws.Move(secretName+stateSuffix, awsfake.Current, string(r1))
		time.Sleep(window)
		if _, r, err := p.State(t.Context()); err != nil || r != r1 {
			t.Errorf("State after a minute = %s, %v, want %s", r, err, r1)
		}
	})
}

// Labels that lag behind what another process has done are no conflict.
func TestLagOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		p.promoteNew()
		settle := p.aws.Lag()
		other := newStore(t, p.aws, nil)
		k := p.newKey()
		go func() {
			time.Sleep(5 * time.Millisecond)
			settle()
		}()
		synctest.Wait()
		id := p.aws.Store(secretName, "other", awsfake.Current) // which other cannot see yet
		labels := p.aws.Labels(secretName)
		from := pair(id, labels[awsfake.Previous])
		version := p.aws.Store(secretName, k.Reveal())
		staged, err := keyprovider.NewKey(k.Reveal(), keyprovider.Info{Version: keyprovider.Version(version)})
		p.ok(err)
		p.ok(other.Promote(t.Context(), staged, from))
	})
}

// A promotion whose answer is lost is not repeated by the SDK: the second one
// would be refused, which says that somebody else was first.
func TestPromoteIsSentOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		p.promoteNew()
		k := p.newKey()
		p.ok(p.Stage(t.Context(), k))
		patient := secretsmanager.New(secretsmanager.Options{
			Region: awsfake.Region, HTTPClient: &http.Client{Transport: p.aws}, Credentials: aws.AnonymousCredentials{}})
		s := newStore(t, p.aws, &Options{Client: patient})
		from, staged := p.revision(), p.mustStaged()
		p.aws.Calls()
		p.aws.Lose(awsfake.Only("UpdateSecretVersionStage"))
		err := s.Promote(t.Context(), staged, from)
		p.aws.Lose(nil)
		p.wantClass(err, keyprovider.ErrUnavailable, "")
		moves := 0
		for _, call := range p.aws.Calls() {
			if call == "UpdateSecretVersionStage" {
				moves++
			}
		}
		if current, _, err := p.Current(t.Context()); moves != 1 || err != nil || !current.Equal(k) {
			t.Errorf("sent %d times, then Current = %v, %v", moves, current, err)
		}
	})
}
