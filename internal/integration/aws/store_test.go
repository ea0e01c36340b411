package aws

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"testing"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/keybearer/keybearer/keyprovider/awssm"
)

const region = "eu-west-1"

// store is one secret as its administrator sees it.
type store struct {
	testing.TB
	client *secretsmanager.Client
	name   string
	arn    string
	latest string // the version that was stored last
	marked bool   // for deletion
}

func httpClient(tb testing.TB) *http.Client {
	t := &http.Transport{}
	tb.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t}
}

func newStore(tb testing.TB, endpoint string) *store {
	return &store{TB: tb, name: "test/" + rand.Text(), client: secretsmanager.New(secretsmanager.Options{
		Region: region, BaseEndpoint: aws.String(endpoint), HTTPClient: httpClient(tb),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})}
}

// ctx is not the test's own: cleaning up must still work.
func (s *store) ctx() context.Context { return context.WithoutCancel(s.Context()) }

func (s *store) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// set makes value current, whatever there was before.
func (s *store) set(value []byte) {
	s.Helper()
	text, binary := aws.String(string(value)), []byte(nil)
	if !utf8.Valid(value) {
		text, binary = nil, value
	}
	if s.arn == "" {
		s.create(text, binary)
		return
	}
	if s.marked {
		_, err := s.client.RestoreSecret(s.ctx(), &secretsmanager.RestoreSecretInput{SecretId: &s.arn})
		s.ok(err)
		s.marked = false
	}
	out, err := s.client.PutSecretValue(s.ctx(), &secretsmanager.PutSecretValueInput{SecretId: &s.arn, SecretString: text, SecretBinary: binary})
	s.ok(err)
	s.latest = *out.VersionId
}

func (s *store) create(text *string, binary []byte) {
	s.Helper()
	out, err := s.client.CreateSecret(s.ctx(), &secretsmanager.CreateSecretInput{Name: &s.name, SecretString: text, SecretBinary: binary})
	s.ok(err)
	s.arn, s.latest = *out.ARN, aws.ToString(out.VersionId)
}

// stage stores a pending version, and returns its id.
func (s *store) stage(value string) string {
	s.Helper()
	out, err := s.client.PutSecretValue(s.ctx(), &secretsmanager.PutSecretValueInput{SecretId: &s.arn, SecretString: &value, VersionStages: []string{"AWSPENDING"}})
	s.ok(err)
	return *out.VersionId
}

// promote moves AWSCURRENT from one version to another, as the last step of a
// rotation does.
func (s *store) promote(from, to string) {
	s.Helper()
	_, err := s.client.UpdateSecretVersionStage(s.ctx(), &secretsmanager.UpdateSecretVersionStageInput{
		SecretId: &s.arn, VersionStage: aws.String("AWSCURRENT"), MoveToVersionId: &to, RemoveFromVersionId: &from,
	})
	s.ok(err)
	s.latest = to
}

// delete marks the secret for deletion.
func (s *store) delete() {
	s.Helper()
	_, err := s.client.DeleteSecret(s.ctx(), &secretsmanager.DeleteSecretInput{SecretId: &s.arn})
	s.ok(err)
	s.marked = true
}

// destroy deletes it at once.
func (s *store) destroy() {
	s.Helper()
	_, err := s.client.DeleteSecret(s.ctx(), &secretsmanager.DeleteSecretInput{SecretId: &s.arn, ForceDeleteWithoutRecovery: aws.Bool(true)})
	s.ok(err)
	s.arn = ""
}

// provide makes a provider of the secret, which it reaches at an endpoint.
func (s *store) provide(endpoint string, opts awssm.Options) *awssm.Provider {
	s.Helper()
	opts.Endpoint, opts.Region = endpoint, region
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	p, err := awssm.New(s.Context(), s.name, &opts)
	s.ok(err)
	s.Cleanup(func() { p.Close() })
	return p
}
