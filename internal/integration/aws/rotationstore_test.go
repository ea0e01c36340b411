package aws

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/awssm"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/awsstore"
	"github.com/keybearer/keybearer/rotation/rotationtest"
)

// The conformance suite of stores on a server that we did not write.
func TestStoreConformance(t *testing.T) {
	t.Setenv("AWS_MAX_ATTEMPTS", "1") // the SDK's pauses are not ours to test
	rotationtest.RunStore(t, rotationtest.StoreHarness{New: newStorePlace})
}

func newStorePlace(tb testing.TB) *rotationtest.StorePlace {
	endpoint := sharedMoto(tb)
	s, front := newStore(tb, endpoint), newProxy(tb, endpoint)
	front.serial()
	s.create(nil, nil)
	open := func() rotation.Store { return s.open(front.URL, awsstore.Options{}) }
	return &rotationtest.StorePlace{
		Store:  open(),
		Reader: s.provide(front.URL, awssm.Options{}),
		Reopen: open,
		Set:    s.setCurrent,
		Fail: func(class error) func() {
			code := map[error]string{keyprovider.ErrNotFound: "ResourceNotFoundException", keyprovider.ErrDenied: "AccessDeniedException",
				keyprovider.ErrUnavailable: "InternalServiceError", keyprovider.ErrInvalid: "InvalidParameterException"}[class]
			front.set(answers(http.StatusBadRequest, code, "no"))
			return func() { front.set(nil) }
		},
		Hang: func() func() {
			released := make(chan struct{})
			front.set(func(w http.ResponseWriter, r *http.Request, behind http.Handler) {
				select {
				case <-released:
					behind.ServeHTTP(w, r)
				case <-r.Context().Done():
				}
			})
			return func() {
				front.set(nil)
				close(released)
			}
		},
		Lose: func() func() {
			front.set(loses)
			return func() { front.set(nil) }
		},
	}
}

// loses has a write take effect and its answer get lost. That of storing a
// state is not one: the state is set by the move of a label.
func loses(w http.ResponseWriter, r *http.Request, behind http.Handler) {
	body := peek(r)
	switch operation(r) {
	case "CreateSecret", "UpdateSecretVersionStage":
	case "PutSecretValue":
		if strings.Contains(body, ".rotation") {
			behind.ServeHTTP(w, r)
			return
		}
	default:
		behind.ServeHTTP(w, r)
		return
	}
	behind.ServeHTTP(discard{http.Header{}}, r)
	reset(w, r, nil)
}

// discard is where an answer goes that gets lost.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// open makes a Store of the secret, which it reaches at an endpoint.
func (s *store) open(endpoint string, opts awsstore.Options) *awsstore.Store {
	s.Helper()
	opts.Endpoint, opts.Region = endpoint, region
	st, err := awsstore.New(s.ctx(), s.name, &opts)
	s.ok(err)
	s.Cleanup(func() { st.Close() })
	return st
}

// setCurrent makes value current, as set does. It moves the label itself, as
// moto's PutSecretValue does not find it where UpdateSecretVersionStage has put
// it.
func (s *store) setCurrent(value []byte) {
	s.Helper()
	before := s.labels()["AWSCURRENT"]
	if before == "" {
		s.set(value)
		return
	}
	out, err := s.client.PutSecretValue(s.ctx(), &secretsmanager.PutSecretValueInput{SecretId: &s.arn, SecretString: aws.String(string(value)), VersionStages: []string{"BY_HAND"}})
	s.ok(err)
	s.promote(before, *out.VersionId)
}

// labels returns the version of each label.
func (s *store) labels() map[string]string {
	s.Helper()
	out, err := s.client.DescribeSecret(s.ctx(), &secretsmanager.DescribeSecretInput{SecretId: &s.arn})
	s.ok(err)
	labels := map[string]string{}
	for id, stages := range out.VersionIdsToStages {
		for _, label := range slices.Compact(stages) {
			if other := labels[label]; other != "" {
				s.Errorf("the label %s is on %s and on %s", label, other, id)
			}
			labels[label] = id
		}
	}
	return labels
}
