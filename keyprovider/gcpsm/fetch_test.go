package gcpsm

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/api/option"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func TestFetchOneCall(t *testing.T) {
	for _, tt := range []struct{ place, want string }{
		{place, place + "/versions/latest"},
		{place + "/versions/latest", place + "/versions/latest"},
		{place + "/versions/7", place + "/versions/7"},
		{place + "/versions/prod", place + "/versions/prod"},
		{"projects/42/secrets/openai", "projects/42/secrets/openai/versions/latest"},
		{"projects/p/locations/europe-west4/secrets/openai", "projects/p/locations/europe-west4/secrets/openai/versions/latest"},
	} {
		t.Run(tt.place, func(t *testing.T) {
			secret := keyprovidertest.NewSecret()
			s := &service{access: func(string) (*secretmanagerpb.AccessSecretVersionResponse, error) {
				return payload("7", secret+"\n"), nil
			}}
			p := provide(t, s, tt.place, Options{})
			key, err := p.Fetch(t.Context(), "")
			wantKey(t, key, err, "7", secret)
			if !key.Info().CreatedAt.IsZero() {
				t.Errorf("CreatedAt = %v, which no answer tells", key.Info().CreatedAt)
			}
			if _, err := p.Fetch(t.Context(), "7"); !errors.Is(err, keyprovider.ErrNotModified) {
				t.Errorf("Fetch of the held version: %v, want ErrNotModified", err)
			}
			if key, err := p.Fetch(t.Context(), ""); err != nil || key == nil {
				t.Errorf("unconditional Fetch: %v", err)
			}
			if got, want := s.take(), slices.Repeat([]string{"access " + tt.want}, 3); !slices.Equal(got, want) {
				t.Errorf("calls %q, want %q", got, want)
			}
		})
	}
}

func TestFetchField(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	s := &service{access: func(string) (*secretmanagerpb.AccessSecretVersionResponse, error) {
		return payload("3", `{"token":"`+secret+`","key_id":"key_1","created_at":"2026-11-23T08:00:00Z"}`), nil
	}}
	key, err := provide(t, s, place, Options{Field: "token"}).Fetch(t.Context(), "")
	wantKey(t, key, err, "3", secret)
	if info := key.Info(); info.ID != "key_1" || info.CreatedAt.IsZero() {
		t.Errorf("Info = %+v, want the id and the time that the value states", info)
	}
	_, err = provide(t, s, place, Options{}).Fetch(t.Context(), "")
	if !errors.Is(err, keyprovider.ErrInvalid) || !strings.HasPrefix(err.Error(), "keyprovider: gcpsm:"+place+": invalid: ") {
		t.Errorf("Fetch without the field's name: %v", err)
	}
}

func TestFetchErrors(t *testing.T) {
	canary := keyprovidertest.NewSecret()
	denied := func(reason string) error {
		st, err := status.New(codes.PermissionDenied, canary).WithDetails(&errdetails.ErrorInfo{Reason: reason, Domain: "googleapis.com",
			Metadata: map[string]string{"canary": canary}})
		if err != nil {
			t.Fatal(err)
		}
		return st.Err()
	}
	for _, tt := range []struct {
		name  string
		err   error
		class error
		text  string
		calls int
	}{
		{"not found", status.Error(codes.NotFound, canary), keyprovider.ErrNotFound, "not found: NOT_FOUND: no such secret, or it has no such version yet", 1},
		{"disabled", status.Error(codes.FailedPrecondition, canary), keyprovider.ErrNotFound, "not found: FAILED_PRECONDITION: the version is disabled or destroyed", 1},
		{"denied", status.Error(codes.PermissionDenied, canary), keyprovider.ErrDenied,
			"access denied: PERMISSION_DENIED: grant roles/secretmanager.secretAccessor on the secret; a new grant takes minutes to arrive", 1},
		{"API off", denied("SERVICE_DISABLED"), keyprovider.ErrDenied, "access denied: PERMISSION_DENIED: the API is not enabled in the project: enable it", 1},
		{"perimeter", denied("SECURITY_POLICY_VIOLATED"), keyprovider.ErrDenied, "VPC Service Controls", 1},
		{"scope", denied("ACCESS_TOKEN_SCOPE_INSUFFICIENT"), keyprovider.ErrDenied, "cloud-platform scope", 1},
		{"unauthenticated", status.Error(codes.Unauthenticated, canary), keyprovider.ErrDenied, "access denied: UNAUTHENTICATED", 1},
		{"invalid", status.Error(codes.InvalidArgument, canary), keyprovider.ErrInvalid, "invalid: INVALID_ARGUMENT", 1},
		{"wrong server", status.Error(codes.Unimplemented, canary), keyprovider.ErrInvalid, "invalid: UNIMPLEMENTED", 1},
		{"quota", status.Error(codes.ResourceExhausted, canary), keyprovider.ErrUnavailable, "unavailable: RESOURCE_EXHAUSTED", 1},
		{"unavailable", status.Error(codes.Unavailable, canary), keyprovider.ErrUnavailable, "unavailable: UNAVAILABLE", 3},
		{"internal", status.Error(codes.Internal, canary), keyprovider.ErrUnavailable, "unavailable: INTERNAL", 3},
		{"aborted", status.Error(codes.Aborted, canary), keyprovider.ErrUnavailable, "unavailable: ABORTED", 3},
		{"deadline of the server's", status.Error(codes.DeadlineExceeded, canary), keyprovider.ErrUnavailable, "unavailable: DEADLINE_EXCEEDED", 3},
		{"unknown", status.Error(codes.Unknown, canary), keyprovider.ErrUnavailable, "unavailable: UNKNOWN", 3},
		{"a code of the future", status.Error(codes.Code(99), canary), keyprovider.ErrUnavailable, "unavailable: UNKNOWN", 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &service{access: func(string) (*secretmanagerpb.AccessSecretVersionResponse, error) { return nil, tt.err }}
			key, err := provide(t, s, place, Options{}).Fetch(t.Context(), "")
			if key != nil || !errors.Is(err, tt.class) || keyprovider.Class(err) != tt.class {
				t.Fatalf("Fetch = %v, %v; want class %v", key, err, tt.class)
			}
			if want := "keyprovider: gcpsm:" + place + ": "; !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error %q\nwant  %q … %q", err, want, tt.text)
			}
			if got := status.Code(unwrapStatus(err)); got != status.Code(tt.err) {
				t.Errorf("the cause has code %v, want %v", got, status.Code(tt.err))
			}
			if got := len(s.take()); got != tt.calls {
				t.Errorf("%d calls, want %d", got, tt.calls)
			}
			if out := fmt.Sprintf("%v %+v %#v %q %s", err, err, err, err, errors.Unwrap(err)); keyprovidertest.Leaks(out, canary) {
				t.Error("the error shows the service's text")
			}
		})
	}
}

// unwrapStatus finds what the SDK returned.
func unwrapStatus(err error) error {
	var withStatus interface {
		error
		GRPCStatus() *status.Status
	}
	errors.As(err, &withStatus)
	return withStatus
}

func TestFetchRetries(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	damaged := payload("1", secret)
	*damaged.Payload.DataCrc32C++
	unsummed := payload("1", secret)
	unsummed.Payload.DataCrc32C = nil
	nameless := payload("1", secret)
	nameless.Name = answered + "/versions/latest"

	type reply struct {
		resp *secretmanagerpb.AccessSecretVersionResponse
		err  error
	}
	good := reply{resp: payload("1", secret)}
	down := reply{err: status.Error(codes.Unavailable, "down")}
	for _, tt := range []struct {
		name    string
		replies []reply
		want    string // "" for the key
	}{
		{"a hiccup", []reply{down, good}, ""},
		{"two hiccups", []reply{down, {err: status.Error(codes.Internal, "x")}, good}, ""},
		{"a damaged payload", []reply{{resp: damaged}, good}, ""},
		{"no checksum", []reply{{resp: unsummed}}, ""},
		{"always damaged", []reply{{resp: damaged}, {resp: damaged}, {resp: damaged}}, "unavailable: the payload does not match its checksum (CRC32C)"},
		{"no version's name", []reply{{resp: nameless}, {resp: nameless}, {resp: nameless}}, "unavailable: the answer does not say which version it is"},
		{"no payload", []reply{{resp: &secretmanagerpb.AccessSecretVersionResponse{Name: answered + "/versions/1"}}, good}, ""},
		{"an end to it", []reply{down, down, {err: status.Error(codes.PermissionDenied, "x")}}, "access denied"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := 0
			s := &service{}
			s.access = func(string) (*secretmanagerpb.AccessSecretVersionResponse, error) {
				r := tt.replies[min(n, len(tt.replies)-1)]
				n++
				return r.resp, r.err
			}
			key, err := provide(t, s, place, Options{}).Fetch(t.Context(), "")
			if tt.want == "" {
				wantKey(t, key, err, "1", secret)
			} else if err == nil || !strings.Contains(err.Error(), tt.want) || keyprovidertest.Leaks(err.Error(), secret) {
				t.Errorf("Fetch: %v, want %q", err, tt.want)
			}
			if got := len(s.take()); got != len(tt.replies) {
				t.Errorf("%d calls, want %d", got, len(tt.replies))
			}
		})
	}
}

// A secret that was deleted and made anew has a version 1 again.
func TestFetchRecreated(t *testing.T) {
	older, newer := keyprovidertest.NewSecret(), keyprovidertest.NewSecret()
	now := older
	s := &service{access: func(string) (*secretmanagerpb.AccessSecretVersionResponse, error) { return payload("1", now), nil }}
	p := provide(t, s, place, Options{})
	key, err := p.Fetch(t.Context(), "")
	wantKey(t, key, err, "1", older)
	now = newer
	for range 2 {
		// Twice: who holds which of the two values cannot be told.
		key, err = p.Fetch(t.Context(), "1")
		wantKey(t, key, err, "1", newer)
	}
}

// A client over REST serves as well as one over gRPC.
func TestFetchREST(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	disabled := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.URL.Path == "/v1/"+place+"/versions/latest:access" && disabled:
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":{"code":400,"status":"FAILED_PRECONDITION","message":"Secret Version [x] is in DISABLED state."}}`)
		case r.URL.Path == "/v1/"+place+"/versions" && r.URL.Query().Get("filter") == "state:ENABLED":
			fmt.Fprintf(w, `{"versions":[{"name":%q}]}`, answered+"/versions/7")
		case strings.HasSuffix(r.URL.Path, ":access"):
			body, _ := protojson.Marshal(payload("7", secret))
			w.Write(body)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer server.Close()
	client, err := secretmanager.NewRESTClient(t.Context(), option.WithEndpoint(server.URL), option.WithHTTPClient(server.Client()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	key, err := newProvider(t, place, Options{Client: client}).Fetch(t.Context(), "")
	wantKey(t, key, err, "7", secret)
	disabled = true
	if _, err := newProvider(t, place, Options{Client: client}).Fetch(t.Context(), ""); !errors.Is(err, keyprovider.ErrNotFound) {
		t.Errorf("Fetch of a disabled version: %v", err)
	}
	key, err = newProvider(t, place, Options{Client: client, NewestEnabled: true}).Fetch(t.Context(), "")
	wantKey(t, key, err, "7", secret)
}
