package awsstore

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/keybearer/keybearer/internal/awsclient/awsfake"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/awssm"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/rotationtest"
)

const secretName = "prod/openai"

// The suite on the fake service, whose rules are those of the real one. On moto
// it runs in internal/integration/aws.
func TestConformance(t *testing.T) {
	t.Run("a secret without a value", func(t *testing.T) {
		rotationtest.RunStore(t, rotationtest.StoreHarness{New: func(tb testing.TB) *rotationtest.StorePlace { return newPlace(tb, false) }})
	})
	t.Run("with the state's secret made before", func(t *testing.T) {
		rotationtest.RunStore(t, rotationtest.StoreHarness{New: func(tb testing.TB) *rotationtest.StorePlace { return newPlace(tb, true) }})
	})
}

func newPlace(tb testing.TB, withState bool) *rotationtest.StorePlace {
	server := &awsfake.Server{}
	server.Make(secretName)
	if withState {
		server.Make(secretName + stateSuffix)
	}
	reader, err := awssm.New(tb.Context(), secretName, &awssm.Options{Client: newClient(server)})
	if err != nil {
		tb.Fatal(err)
	}
	return &rotationtest.StorePlace{
		Store:  newStore(tb, server, nil),
		Reader: reader,
		Reopen: func() rotation.Store { return newStore(tb, server, nil) },
		Set:    func(value []byte) { server.Set(secretName, string(value)) },
		Fail: func(class error) func() {
			code := map[error]string{keyprovider.ErrDenied: "AccessDeniedException", keyprovider.ErrUnavailable: "InternalServiceError",
				keyprovider.ErrInvalid: "InvalidParameterException", keyprovider.ErrNotFound: "ResourceNotFoundException"}[class]
			return server.Fail(http.StatusBadRequest, code, "no")
		},
		Hang: server.Hang,
		Lose: func() func() {
			server.Lose(func(operation, secret string) bool {
				// To store the state is not to set it: that is the move.
				return operation == "UpdateSecretVersionStage" || operation == "CreateSecret" ||
					operation == "PutSecretValue" && !strings.Contains(secret, stateSuffix)
			})
			return func() { server.Lose(nil) }
		},
	}
}

// newClient makes an SDK's client that tries once: the pauses between its
// attempts are not ours to test.
func newClient(server *awsfake.Server) *secretsmanager.Client {
	return secretsmanager.New(secretsmanager.Options{
		Region: awsfake.Region, HTTPClient: &http.Client{Transport: server}, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
}

func newStore(tb testing.TB, server *awsfake.Server, opts *Options) *Store {
	tb.Helper()
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Client == nil {
		o.Client = newClient(server)
	}
	s, err := New(tb.Context(), secretName, &o)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}
