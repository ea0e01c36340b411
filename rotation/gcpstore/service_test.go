package gcpstore

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/keybearer/keybearer/internal/gcpclient"
)

const (
	project     = "my-project"
	mainName    = "projects/my-project/secrets/openai"
	pendingName = "projects/my-project/secrets/openai-pending"
)

// service is the part of Secret Manager that a Store uses, in memory and in a
// test's virtual time. The faithful fake, over gRPC and REST, is in
// internal/integration/gcp.
type service struct {
	mu      sync.Mutex
	secrets map[string]*stored
	etags   int
	calls   []string

	// before is asked before each call, and may take its time; its error is the
	// answer. after is asked when a call has taken effect: its error hides the
	// answer. With lagging, latest stays what it was for each secret, and with
	// old so does metadata.
	before, after func(ctx context.Context, method, name string) error
	lagging       map[string]int
	old           map[string]*secretmanagerpb.Secret
}

type stored struct {
	pb       *secretmanagerpb.Secret
	versions []*kept
}

type kept struct {
	data  []byte
	state secretmanagerpb.SecretVersion_State
}

func newService(names ...string) *service {
	s := &service{secrets: map[string]*stored{}}
	for _, name := range names {
		s.make(name)
	}
	return s
}

func (s *service) make(name string) *stored {
	made := &stored{pb: &secretmanagerpb.Secret{Name: name, Etag: s.etag(), Replication: &secretmanagerpb.Replication{
		Replication: &secretmanagerpb.Replication_Automatic_{Automatic: &secretmanagerpb.Replication_Automatic{}}}}}
	s.secrets[name] = made
	return made
}

func (s *service) etag() string { s.etags++; return fmt.Sprintf(`"%x"`, s.etags) }

// serve makes one call: alone, and not when its context is over.
func serve[M proto.Message](ctx context.Context, s *service, method, name string, do func() (M, error)) (M, error) {
	var none M
	s.mu.Lock()
	s.calls = append(s.calls, method+" "+name[strings.LastIndex(name, "secrets/")+len("secrets/"):])
	before, after := s.before, s.after
	s.mu.Unlock()
	if before != nil {
		if err := before(ctx, method, name); err != nil {
			return none, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return none, status.FromContextError(ctx.Err()).Err()
	}
	resp, err := do()
	if err == nil && after != nil {
		err = after(ctx, method, name)
	}
	if err != nil {
		return none, err
	}
	return proto.CloneOf(resp), nil
}

func (s *service) secret(name string) (*stored, error) {
	if found := s.secrets[name]; found != nil {
		return found, nil
	}
	return nil, status.Errorf(codes.NotFound, "Secret [%s] not found.", name)
}

func (s *service) version(name string) (*kept, int, error) {
	at := strings.LastIndex(name, "/versions/")
	found, err := s.secret(name[:at])
	if err != nil {
		return nil, 0, err
	}
	number := int(gcpclient.Number(name[at+len("/versions/"):]))
	if strings.HasSuffix(name, "/latest") {
		number = len(found.versions)
		if n, ok := s.lagging[found.pb.Name]; ok {
			number = n
		}
	}
	if n, ok := found.pb.VersionAliases[name[at+len("/versions/"):]]; ok {
		number = int(n)
	}
	if number < 1 || number > len(found.versions) {
		return nil, 0, status.Errorf(codes.NotFound, "Secret Version [%s] not found.", name)
	}
	return found.versions[number-1], number, nil
}

func versionName(name string, number int) string {
	secret, _, _ := strings.Cut(strings.Replace(name, "/"+project+"/", "/42/", 1), "/versions/")
	return fmt.Sprint(secret, "/versions/", number)
}

func (s *service) AccessSecretVersion(ctx context.Context, req *secretmanagerpb.AccessSecretVersionRequest, _ ...gax.CallOption) (*secretmanagerpb.AccessSecretVersionResponse, error) {
	return serve(ctx, s, "access", req.Name, func() (*secretmanagerpb.AccessSecretVersionResponse, error) {
		v, number, err := s.version(req.Name)
		if err != nil {
			return nil, err
		}
		if v.state != secretmanagerpb.SecretVersion_ENABLED {
			return nil, status.Errorf(codes.FailedPrecondition, "Secret Version [%s] is in %s state.", req.Name, v.state)
		}
		sum := gcpclient.Checksum(v.data)
		return &secretmanagerpb.AccessSecretVersionResponse{Name: versionName(req.Name, number),
			Payload: &secretmanagerpb.SecretPayload{Data: v.data, DataCrc32C: &sum}}, nil
	})
}

func (s *service) GetSecretVersion(ctx context.Context, req *secretmanagerpb.GetSecretVersionRequest, _ ...gax.CallOption) (*secretmanagerpb.SecretVersion, error) {
	return serve(ctx, s, "getVersion", req.Name, func() (*secretmanagerpb.SecretVersion, error) {
		v, number, err := s.version(req.Name)
		if err != nil {
			return nil, err
		}
		return &secretmanagerpb.SecretVersion{Name: versionName(req.Name, number), State: v.state}, nil
	})
}

func (s *service) AddSecretVersion(ctx context.Context, req *secretmanagerpb.AddSecretVersionRequest, _ ...gax.CallOption) (*secretmanagerpb.SecretVersion, error) {
	return serve(ctx, s, "add", req.Parent, func() (*secretmanagerpb.SecretVersion, error) {
		found, err := s.secret(req.Parent)
		if err != nil {
			return nil, err
		}
		if !gcpclient.Intact(req.Payload) || req.Payload.DataCrc32C == nil {
			return nil, status.Error(codes.InvalidArgument, "checksum")
		}
		return &secretmanagerpb.SecretVersion{Name: versionName(req.Parent, found.add(req.Payload.Data)), State: secretmanagerpb.SecretVersion_ENABLED}, nil
	})
}

// add adds a version and returns its number.
func (s *stored) add(data []byte) int {
	s.versions = append(s.versions, &kept{bytes.Clone(data), secretmanagerpb.SecretVersion_ENABLED})
	return len(s.versions)
}

func (s *service) DestroySecretVersion(ctx context.Context, req *secretmanagerpb.DestroySecretVersionRequest, _ ...gax.CallOption) (*secretmanagerpb.SecretVersion, error) {
	return serve(ctx, s, "destroy", req.Name, func() (*secretmanagerpb.SecretVersion, error) {
		v, number, err := s.version(req.Name)
		if err != nil {
			return nil, err
		}
		if v.state == secretmanagerpb.SecretVersion_DESTROYED {
			return nil, status.Error(codes.FailedPrecondition, "destroyed")
		}
		v.data, v.state = nil, secretmanagerpb.SecretVersion_DESTROYED
		return &secretmanagerpb.SecretVersion{Name: versionName(req.Name, number), State: v.state}, nil
	})
}

// take returns the calls since the last take.
func (s *service) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

// do changes what the service holds, by hand.
func (s *service) do(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// hand stores a value by hand, and moves an alias to it unless that is "".
func (s *service) hand(name, alias string, data []byte) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	number := s.secrets[name].add(data)
	if alias != "" {
		s.alias(name, alias, number)
	}
	return number
}

func open(t testing.TB, s *service, opts Options) *Store {
	t.Helper()
	opts.Client = s
	store, err := New(t.Context(), mainName, &opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}
