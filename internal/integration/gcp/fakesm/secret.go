package fakesm

import (
	"context"
	"maps"
	"slices"
	"time"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// The service's limits.
const (
	maxTopics      = 10
	maxAliases     = 50
	maxAnnotations = 16 << 10
	maxPayload     = 64 << 10
)

// secret is one secret and its versions, of which the first has number 1.
type secret struct {
	pb       *secretmanagerpb.Secret
	versions []*version
	lagging  *view                   // what latest and aliases answer, nil for the truth
	stale    *secretmanagerpb.Secret // what GetSecret answers, nil for the truth
	written  []time.Time             // within the last second
}

// view is what latest and the aliases stand for.
type view struct {
	latest  int64
	aliases map[string]int64
}

// resolve returns a version's number, 0 for none.
func (v view) resolve(name string) int64 {
	if name == "latest" {
		return v.latest
	}
	return v.aliases[name]
}

func (s *secret) view() view {
	if s.lagging != nil {
		return *s.lagging
	}
	return view{int64(len(s.versions)), maps.Clone(s.pb.VersionAliases)}
}

// CreateSecret implements the service.
func (s *Server) CreateSecret(_ context.Context, req *secretmanagerpb.CreateSecretRequest) (*secretmanagerpb.Secret, error) {
	parent, err := s.parent(req.GetParent(), "secretmanager.secrets.create")
	if err != nil {
		return nil, err
	}
	name := parent + "/secrets/" + req.GetSecretId()
	if !secretName.MatchString(name) {
		return nil, invalid("The provided Secret ID [%s] does not match the expected format [[a-zA-Z_0-9]+].", req.GetSecretId())
	}
	if s.secrets[name] != nil {
		return nil, status.Errorf(codes.AlreadyExists, "Secret [%s] already exists.", name)
	}
	if (req.GetSecret().GetReplication() != nil) != (s.opts.Location == "") {
		return nil, invalid("Secret.replication is required for a global secret and not allowed for a regional one.")
	}
	made := &secret{pb: proto.CloneOf(req.GetSecret())}
	if made.pb == nil {
		made.pb = &secretmanagerpb.Secret{}
	}
	made.pb.Name, made.pb.CreateTime, made.pb.Etag = name, timestamppb.New(s.opts.Now()), s.etag()
	if err := made.check(); err != nil {
		return nil, err
	}
	s.secrets[name] = made
	s.configured(made.pb.Topics)
	s.notify(made, "SECRET_CREATE", nil)
	return proto.CloneOf(made.pb), nil
}

// GetSecret implements the service.
func (s *Server) GetSecret(_ context.Context, req *secretmanagerpb.GetSecretRequest) (*secretmanagerpb.Secret, error) {
	found, err := s.existing(req.GetName(), "secretmanager.secrets.get")
	if err != nil {
		return nil, err
	}
	if found.stale != nil {
		return proto.CloneOf(found.stale), nil
	}
	return proto.CloneOf(found.pb), nil
}

// ListSecrets implements the service, without pages and filters.
func (s *Server) ListSecrets(_ context.Context, req *secretmanagerpb.ListSecretsRequest) (*secretmanagerpb.ListSecretsResponse, error) {
	parent, err := s.parent(req.GetParent(), "secretmanager.secrets.list")
	if err != nil {
		return nil, err
	}
	if req.GetFilter() != "" {
		return nil, status.Error(codes.Unimplemented, "fakesm: ListSecrets knows no filter")
	}
	resp := &secretmanagerpb.ListSecretsResponse{}
	for _, name := range slices.Sorted(maps.Keys(s.secrets)) {
		if m := secretName.FindStringSubmatch(name); name == parent+"/secrets/"+m[3] {
			resp.Secrets = append(resp.Secrets, proto.CloneOf(s.secrets[name].pb))
		}
	}
	resp.TotalSize = int32(len(resp.Secrets))
	return resp, nil
}

// UpdateSecret implements the service. Its etag guards the secret's own fields,
// which are not the versions'.
func (s *Server) UpdateSecret(_ context.Context, req *secretmanagerpb.UpdateSecretRequest) (*secretmanagerpb.Secret, error) {
	found, err := s.existing(req.GetSecret().GetName(), "secretmanager.secrets.update")
	if err != nil {
		return nil, err
	}
	if err := s.quota(found); err != nil {
		return nil, err
	}
	if err := checkEtag(req.GetSecret().GetEtag(), found.pb.Etag); err != nil {
		return nil, err
	}
	given := req.GetSecret()
	next := &secret{pb: proto.CloneOf(found.pb), versions: found.versions}
	if len(req.GetUpdateMask().GetPaths()) == 0 {
		return nil, invalid("The update mask is required.")
	}
	for _, path := range req.GetUpdateMask().GetPaths() {
		switch path {
		case "labels":
			next.pb.Labels = maps.Clone(given.Labels)
		case "annotations":
			next.pb.Annotations = maps.Clone(given.Annotations)
		case "version_aliases":
			next.pb.VersionAliases = maps.Clone(given.VersionAliases)
		case "topics":
			next.pb.Topics = proto.CloneOf(given).Topics
		case "version_destroy_ttl":
			next.pb.VersionDestroyTtl = given.VersionDestroyTtl
		default:
			return nil, invalid("The field [%s] cannot be updated.", path)
		}
	}
	if err := next.check(); err != nil {
		return nil, err
	}
	next.pb.Etag = s.etag() // also where nothing was changed
	found.pb = next.pb
	if slices.Contains(req.GetUpdateMask().GetPaths(), "topics") {
		s.configured(found.pb.Topics)
	}
	s.notify(found, "SECRET_UPDATE", nil)
	return proto.CloneOf(found.pb), nil
}

// DeleteSecret implements the service.
func (s *Server) DeleteSecret(_ context.Context, req *secretmanagerpb.DeleteSecretRequest) (*emptypb.Empty, error) {
	found, err := s.existing(req.GetName(), "secretmanager.secrets.delete")
	if err != nil {
		return nil, err
	}
	if err := checkEtag(req.GetEtag(), found.pb.Etag); err != nil {
		return nil, err
	}
	delete(s.secrets, found.pb.Name)
	s.notify(found, "SECRET_DELETE", map[string]string{"deleteType": "REQUESTED"})
	return &emptypb.Empty{}, nil
}

// check holds a secret's fields to the service's limits.
func (s *secret) check() error {
	if len(s.pb.Topics) > maxTopics {
		return invalid("At most %d topics are allowed.", maxTopics)
	}
	size := 0
	for key, value := range s.pb.Annotations {
		if !annotationKey.MatchString(key) {
			return invalid("Invalid annotation key [%s].", key)
		}
		size += len(key) + len(value)
	}
	if size >= maxAnnotations {
		return invalid("The annotations have %d bytes, and must have less than %d.", size, maxAnnotations)
	}
	if len(s.pb.VersionAliases) > maxAliases {
		return invalid("At most %d aliases are allowed.", maxAliases)
	}
	for alias, number := range s.pb.VersionAliases {
		if !aliasName.MatchString(alias) || alias == "latest" || alias == "NEW" {
			return invalid("Invalid version alias [%s].", alias)
		}
		if number < 1 || number > int64(len(s.versions)) {
			return precondition("The alias [%s] names version [%d], which does not exist.", alias, number)
		}
	}
	return nil
}
