package awsstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/keybearer/keybearer/internal/awsclient/awsfake"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// AWS keeps the versions of a day. Who cannot win makes none, the quota is
// reported as what it is, and passes.
func TestStateQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		r, err := p.SetState(t.Context(), []byte("0"), "")
		p.ok(err)
		for n := 1; n < 100; n++ {
			lost := r
			r, err = p.SetState(t.Context(), fmt.Append(nil, n), r)
			p.ok(err)
			_, err := p.SetState(t.Context(), []byte("lost"), lost)
			p.wantClass(err, rotation.ErrConflict, "")
		}
		if n := p.aws.Versions(secretName + stateSuffix); n != 100 {
			t.Errorf("there are %d versions of 100 documents", n)
		}
		_, err = p.SetState(t.Context(), []byte("100"), r)
		p.wantClass(err, keyprovider.ErrDenied, "quota")
		if doc, _, err := p.State(t.Context()); err != nil || string(doc) != "99" {
			t.Errorf("State = %s, %v", doc, err)
		}
		time.Sleep(24 * time.Hour)
		_, err = p.SetState(t.Context(), []byte("100"), r)
		p.ok(err)
	})
}

// A state that is gone is no state that never was: it would make a rotator
// begin anew.
func TestStateMarkedForDeletion(t *testing.T) {
	p := open(t)
	r, err := p.SetState(t.Context(), []byte("0"), "")
	p.ok(err)
	p.aws.Delete(secretName + stateSuffix)
	_, _, err = p.State(t.Context())
	p.wantClass(err, keyprovider.ErrInvalid, "marked for deletion")
	_, err = p.SetState(t.Context(), []byte("1"), r)
	p.wantClass(err, keyprovider.ErrInvalid, "marked for deletion")
	p.aws.Delete(secretName)
	_, _, err = p.Current(t.Context())
	p.wantClass(err, keyprovider.ErrInvalid, "marked for deletion")
}

// What a person stores there is the state, and can be replaced.
func TestStateByHand(t *testing.T) {
	p := open(t)
	r, err := p.SetState(t.Context(), []byte("0"), "")
	p.ok(err)
	id := p.aws.Set(secretName+stateSuffix, "by hand")
	_, err = p.SetState(t.Context(), []byte("1"), r)
	p.wantClass(err, rotation.ErrConflict, "")
	doc, r, err := p.State(t.Context())
	if err != nil || string(doc) != "by hand" || string(r) != id {
		t.Fatalf("State = %s, %s, %v", doc, r, err)
	}
	next, err := p.SetState(t.Context(), []byte("1"), r)
	p.ok(err)
	if serial(string(next)) < 2 {
		t.Errorf("the version %s is not after those before", next)
	}
}

func TestStateSecretByARN(t *testing.T) {
	server := &awsfake.Server{}
	server.Make(secretName)
	const place = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:states/openai"
	s := newStore(t, server, &Options{StateSecret: place})
	_, err := s.SetState(t.Context(), []byte("0"), "")
	if !errors.Is(err, keyprovider.ErrNotFound) {
		t.Errorf("SetState without the secret that was named by ARN: %v", err)
	}
	server.Make("states/openai")
	if _, err := s.SetState(t.Context(), []byte("0"), ""); err != nil {
		t.Error(err)
	}
}

// elsewhere makes secrets in another account, as credentials of that do.
type elsewhere struct{ Client }

func (elsewhere) CreateSecret(context.Context, *secretsmanager.CreateSecretInput, ...func(*secretsmanager.Options)) (*secretsmanager.CreateSecretOutput, error) {
	return &secretsmanager.CreateSecretOutput{ARN: aws.String("arn:aws:secretsmanager:eu-west-1:999999999999:secret:prod/openai.rotation-AbCdEf")}, nil
}

func TestStateInAnotherAccount(t *testing.T) {
	server := &awsfake.Server{}
	server.Make(secretName)
	s := newStore(t, server, &Options{Client: elsewhere{newClient(server)}})
	_, err := s.SetState(t.Context(), []byte("0"), "")
	if !errors.Is(err, keyprovider.ErrInvalid) || !strings.Contains(err.Error(), "999999999999") {
		t.Errorf("got %v, want ErrInvalid that names what was made", err)
	}
}

func FuzzSerial(f *testing.F) {
	f.Add(stateID(7))
	f.Add("keybearer-0000000007")
	f.Add("keybearer--000000007-x")
	f.Fuzz(func(t *testing.T, id string) {
		n := serial(id)
		if n < 0 || n > 0 && !strings.HasPrefix(id, fmt.Sprintf("keybearer-%010d-", n)) {
			t.Errorf("serial(%q) = %d", id, n)
		}
	})
}

// Whatever the secret holds, the key's value is read as the key, and what was
// beside it stays once.
func FuzzBeside(f *testing.F) {
	f.Add([]byte(`{"api_key":"a","organization":"org-1","key_id":"key_1"}`))
	f.Add([]byte(`{"a":{"b":"<&>"},"a":1}`))
	f.Add([]byte(`null`))
	f.Add([]byte("bare"))
	s := &Store{options: Options{Field: "api_key"}}
	k := newKey(f)
	f.Fuzz(func(t *testing.T, payload []byte) {
		beside := s.beside(payload)
		encoded, err := s.encode(k, beside)
		if err != nil {
			if len(payload) < maxValue/8 {
				t.Error(err)
			}
			return
		}
		stored, err := s.decode(&value{id: "v", payload: func() []byte { return encoded }})
		if err != nil || !stored.Equal(k) || stored.Info().ID != k.Info().ID {
			t.Errorf("%q: read back %v, %v", payload, stored, err)
		}
		if again := s.beside(encoded); !again.equal(beside) {
			t.Errorf("%q: beside the key %s, want %s", payload, again, beside)
		}
	})
}
