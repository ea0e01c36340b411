package awsstore

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/keybearer/keybearer/internal/awsclient/awsfake"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func TestNewRefuses(t *testing.T) {
	canary := keyprovidertest.NewSecret()
	server := &awsfake.Server{}
	server.Make(secretName)
	client := newClient(server)
	for _, tt := range []struct {
		name, place string
		opts        Options
		text        string
	}{
		{"no place", "", Options{}, "no secret is named"},
		{"a key", canary, Options{}, "looks like a key"},
		{"client and region", secretName, Options{Client: client, Region: "eu-west-1"}, "Client excludes"},
		{"two regions", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x-AbCdEf", Options{Region: "us-east-1"}, "not that of the secret's ARN"},
		{"negative timeout", secretName, Options{Timeout: -1}, "negative"},
		{"a key as field", secretName, Options{Field: canary}, "looks like a key"},
		{"a field that describes", secretName, Options{Field: "key_id"}, "describes the key"},
		{"a key as state", secretName, Options{StateSecret: canary}, "looks like a key"},
		{"the secret as state", secretName, Options{Client: client, StateSecret: secretName}, "the secret itself"},
		{"state elsewhere", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x-AbCdEf",
			Options{StateSecret: "arn:aws:secretsmanager:us-east-1:123456789012:secret:y-AbCdEf"}, "another region"},
		{"a region", secretName, Options{Region: "EU"}, "region is malformed"},
		{"an endpoint", secretName, Options{Endpoint: "x"}, "endpoint"},
		{"no region", secretName, Options{}, "no AWS region"},
		{"a client without a region", secretName, Options{Client: secretsmanager.New(secretsmanager.Options{})}, "client has no AWS region"},
	} {
		_, err := New(t.Context(), tt.place, &tt.opts)
		if err == nil || keyprovider.Class(err) != keyprovider.ErrInvalid || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: %v, want ErrInvalid: ...%s...", tt.name, err, tt.text)
		}
		if err != nil && keyprovidertest.Leaks(err.Error(), canary) {
			t.Errorf("%s: %v repeats the key", tt.name, err)
		}
	}
}

func TestNewLooksAtTheSecret(t *testing.T) {
	for _, tt := range []struct {
		name  string
		act   func(*awsfake.Server)
		class error
		text  string
	}{
		{"not there", func(s *awsfake.Server) { s.Forget(secretName) }, keyprovider.ErrNotFound, "no such secret"},
		{"marked for deletion", func(s *awsfake.Server) { s.Delete(secretName) }, keyprovider.ErrInvalid, "marked for deletion"},
		{"of another service", func(s *awsfake.Server) { s.Own(secretName, "rds") }, keyprovider.ErrInvalid, "another service"},
		{"a replica", func(s *awsfake.Server) { s.Replicate(secretName, "us-east-1") }, keyprovider.ErrInvalid, "PrimaryRegion us-east-1"},
		{"rotated by AWS", func(s *awsfake.Server) { s.Rotates(secretName, 1) }, keyprovider.ErrInvalid, "RotationEnabled"},
		{"denied", func(s *awsfake.Server) { s.Fail(400, "AccessDeniedException", "no") }, keyprovider.ErrDenied, "grant secretsmanager:DescribeSecret on the secret"},
		{"KMS", func(s *awsfake.Server) { s.Fail(400, "DecryptionFailure", "no") }, keyprovider.ErrUnavailable, "KMS"},
		{"throttled", func(s *awsfake.Server) { s.Fail(400, "ThrottlingException", "no") }, keyprovider.ErrUnavailable, "rate"},
	} {
		server := &awsfake.Server{}
		server.Make(secretName)
		tt.act(server)
		_, err := New(t.Context(), secretName, &Options{Client: newClient(server)})
		if err == nil || keyprovider.Class(err) != tt.class || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: %v, want %v: ...%s...", tt.name, err, tt.class, tt.text)
		}
	}
}

// The name of a store is the complete ARN, however it was given, and a secret
// that is made anew is another place.
func TestString(t *testing.T) {
	server := &awsfake.Server{}
	arn := server.Make(secretName)
	for _, place := range []string{secretName, arn, arn[:len(arn)-7]} {
		s, err := New(t.Context(), place, &Options{Client: newClient(server)})
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(s); got != "awssm:"+arn || fmt.Sprintf("%#v", s) != got {
			t.Errorf("New(%q) is called %q, want awssm:%s", place, got, arn)
		}
	}
	s := newStore(t, server, nil)
	server.Forget(secretName)
	server.Make(secretName)
	if anew := newStore(t, server, nil); anew.String() == s.String() {
		t.Error("a secret that was made anew has the name of the one before")
	}
	if _, _, err := s.Current(t.Context()); keyprovider.Class(err) != keyprovider.ErrInvalid || !strings.Contains(err.Error(), "has been deleted") {
		t.Errorf("Current of a secret that was deleted and made anew: %v, want ErrInvalid", err)
	}
}

// Without a client New makes its own, and Close closes its connections.
func TestOwnClient(t *testing.T) {
	_, err := New(t.Context(), secretName, &Options{Region: "eu-west-1", Endpoint: "http://127.0.0.1:1", Timeout: 5e9})
	if keyprovider.Class(err) != keyprovider.ErrUnavailable {
		t.Errorf("New where nobody answers: %v, want ErrUnavailable", err)
	}
	s := &Store{}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

var _ Client = (*secretsmanager.Client)(nil)

var _ http.RoundTripper = (*awsfake.Server)(nil)
