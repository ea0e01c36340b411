package gcpstore

import (
	"context"
	"maps"
	"strings"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func (s *service) GetSecret(ctx context.Context, req *secretmanagerpb.GetSecretRequest, _ ...gax.CallOption) (*secretmanagerpb.Secret, error) {
	return serve(ctx, s, "get", req.Name, func() (*secretmanagerpb.Secret, error) {
		if old := s.old[req.Name]; old != nil {
			return old, nil
		}
		found, err := s.secret(req.Name)
		if err != nil {
			return nil, err
		}
		return found.pb, nil
	})
}

func (s *service) UpdateSecret(ctx context.Context, req *secretmanagerpb.UpdateSecretRequest, _ ...gax.CallOption) (*secretmanagerpb.Secret, error) {
	return serve(ctx, s, "update", req.Secret.Name, func() (*secretmanagerpb.Secret, error) {
		found, err := s.secret(req.Secret.Name)
		if err != nil {
			return nil, err
		}
		if req.Secret.Etag != found.pb.Etag {
			return nil, status.Error(codes.FailedPrecondition, "etag")
		}
		for _, path := range req.UpdateMask.Paths {
			switch path {
			case "annotations":
				if size(req.Secret.Annotations) >= 16<<10 {
					return nil, status.Error(codes.InvalidArgument, "too large")
				}
				found.pb.Annotations = maps.Clone(req.Secret.Annotations)
			case "version_aliases":
				found.pb.VersionAliases = maps.Clone(req.Secret.VersionAliases)
			}
		}
		found.pb.Etag = s.etag()
		return found.pb, nil
	})
}

func (s *service) CreateSecret(ctx context.Context, req *secretmanagerpb.CreateSecretRequest, _ ...gax.CallOption) (*secretmanagerpb.Secret, error) {
	name := req.Parent + "/secrets/" + req.SecretId
	return serve(ctx, s, "create", name, func() (*secretmanagerpb.Secret, error) {
		if s.secrets[name] != nil {
			return nil, status.Error(codes.AlreadyExists, "exists")
		}
		if (req.Secret.Replication == nil) != strings.Contains(req.Parent, "/locations/") {
			return nil, status.Error(codes.InvalidArgument, "replication")
		}
		made := s.make(name)
		made.pb.Replication, made.pb.CustomerManagedEncryption = req.Secret.Replication, req.Secret.CustomerManagedEncryption
		return made.pb, nil
	})
}

func (s *service) alias(name, alias string, number int) {
	pb := s.secrets[name].pb
	pb.VersionAliases = maps.Clone(pb.VersionAliases)
	if pb.VersionAliases == nil {
		pb.VersionAliases = map[string]int64{}
	}
	pb.VersionAliases[alias], pb.Etag = int64(number), s.etag()
}
