package fakesm

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// version is one version of a secret.
type version struct {
	pb   *secretmanagerpb.SecretVersion
	data []byte
}

func checksum(data []byte) int64 {
	return int64(crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
}

// AddSecretVersion implements the service. It takes no etag and is not
// idempotent.
func (s *Server) AddSecretVersion(_ context.Context, req *secretmanagerpb.AddSecretVersionRequest) (*secretmanagerpb.SecretVersion, error) {
	found, err := s.existing(req.GetParent(), "secretmanager.versions.add")
	if err != nil {
		return nil, err
	}
	if err := s.quota(found); err != nil {
		return nil, err
	}
	payload := req.GetPayload()
	switch {
	case payload == nil:
		return nil, invalid("The payload is required.")
	case len(payload.Data) > maxPayload:
		return nil, invalid("The payload has %d bytes, more than %d.", len(payload.Data), maxPayload)
	case payload.DataCrc32C != nil && *payload.DataCrc32C != checksum(payload.Data):
		return nil, invalid("The CRC32C of the payload does not match data_crc32c.")
	}
	added := &version{data: bytes.Clone(payload.Data), pb: &secretmanagerpb.SecretVersion{
		Name:       fmt.Sprintf("%s/versions/%d", found.pb.Name, len(found.versions)+1),
		CreateTime: timestamppb.New(s.opts.Now()),
		State:      secretmanagerpb.SecretVersion_ENABLED,
		Etag:       s.etag(),

		ClientSpecifiedPayloadChecksum: payload.DataCrc32C != nil,
	}}
	if found.pb.Replication != nil {
		added.pb.ReplicationStatus = &secretmanagerpb.ReplicationStatus{ReplicationStatus: &secretmanagerpb.ReplicationStatus_Automatic{
			Automatic: &secretmanagerpb.ReplicationStatus_AutomaticStatus{}}}
	}
	found.versions = append(found.versions, added)
	s.notifyVersion(found, added, "SECRET_VERSION_ADD")
	return proto.CloneOf(added.pb), nil
}

// AccessSecretVersion implements the service.
func (s *Server) AccessSecretVersion(_ context.Context, req *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error) {
	_, v, err := s.versionAt(req.GetName(), "secretmanager.versions.access")
	if err != nil {
		return nil, err
	}
	if v.pb.State != secretmanagerpb.SecretVersion_ENABLED {
		return nil, precondition("Secret Version [%s] is in %s state.", v.pb.Name, v.pb.State)
	}
	sum := checksum(v.data)
	resp := &secretmanagerpb.AccessSecretVersionResponse{Name: v.pb.Name,
		Payload: &secretmanagerpb.SecretPayload{Data: bytes.Clone(v.data), DataCrc32C: &sum}}
	s.faults.damage(resp.Payload)
	return resp, nil
}

// GetSecretVersion implements the service.
func (s *Server) GetSecretVersion(_ context.Context, req *secretmanagerpb.GetSecretVersionRequest) (*secretmanagerpb.SecretVersion, error) {
	_, v, err := s.versionAt(req.GetName(), "secretmanager.versions.get")
	if err != nil {
		return nil, err
	}
	return proto.CloneOf(v.pb), nil
}

// ListSecretVersions implements the service: the newest first, with the filter
// "state:STATE".
func (s *Server) ListSecretVersions(_ context.Context, req *secretmanagerpb.ListSecretVersionsRequest) (*secretmanagerpb.ListSecretVersionsResponse, error) {
	found, err := s.existing(req.GetParent(), "secretmanager.versions.list")
	if err != nil {
		return nil, err
	}
	state, filtered := strings.CutPrefix(strings.ReplaceAll(req.GetFilter(), "=", ":"), "state:")
	if req.GetFilter() != "" && !filtered {
		return nil, status.Error(codes.Unimplemented, "fakesm: ListSecretVersions knows the filter state:STATE alone")
	}
	var all []*secretmanagerpb.SecretVersion
	for i := len(found.versions) - 1; i >= 0; i-- {
		if v := found.versions[i].pb; !filtered || v.State.String() == state {
			all = append(all, proto.CloneOf(v))
		}
	}
	size := int(req.GetPageSize())
	if size <= 0 {
		size = 100
	}
	start := 0
	if token := req.GetPageToken(); token != "" {
		if start, err = strconv.Atoi(token); err != nil || start < 0 || start > len(all) {
			return nil, invalid("Invalid page token.")
		}
	}
	end := min(start+size, len(all))
	resp := &secretmanagerpb.ListSecretVersionsResponse{Versions: all[start:end], TotalSize: int32(len(all))}
	if end < len(all) {
		resp.NextPageToken = strconv.Itoa(end)
	}
	return resp, nil
}

// EnableSecretVersion implements the service. It also saves a version that
// waits for its destruction.
func (s *Server) EnableSecretVersion(_ context.Context, req *secretmanagerpb.EnableSecretVersionRequest) (*secretmanagerpb.SecretVersion, error) {
	found, v, err := s.changeable(req.GetName(), req.GetEtag(), "secretmanager.versions.enable")
	if err != nil {
		return nil, err
	}
	v.pb.ScheduledDestroyTime = nil
	return s.move(found, v, secretmanagerpb.SecretVersion_ENABLED, "SECRET_VERSION_ENABLE"), nil
}

// DisableSecretVersion implements the service.
func (s *Server) DisableSecretVersion(_ context.Context, req *secretmanagerpb.DisableSecretVersionRequest) (*secretmanagerpb.SecretVersion, error) {
	found, v, err := s.changeable(req.GetName(), req.GetEtag(), "secretmanager.versions.disable")
	if err != nil {
		return nil, err
	}
	return s.move(found, v, secretmanagerpb.SecretVersion_DISABLED, "SECRET_VERSION_DISABLE"), nil
}

// DestroySecretVersion implements the service. With version_destroy_ttl the
// version is disabled now and destroyed when that has passed.
func (s *Server) DestroySecretVersion(_ context.Context, req *secretmanagerpb.DestroySecretVersionRequest) (*secretmanagerpb.SecretVersion, error) {
	found, v, err := s.changeable(req.GetName(), req.GetEtag(), "secretmanager.versions.destroy")
	if err != nil {
		return nil, err
	}
	if ttl := found.pb.VersionDestroyTtl; ttl != nil {
		v.pb.ScheduledDestroyTime = timestamppb.New(s.opts.Now().Add(ttl.AsDuration()))
		return s.move(found, v, secretmanagerpb.SecretVersion_DISABLED, "SECRET_VERSION_DESTROY_SCHEDULED"), nil
	}
	return s.destroy(found, v), nil
}

// changeable is a version whose state may be changed.
func (s *Server) changeable(name, etag, permission string) (*secret, *version, error) {
	found, v, err := s.numbered(name, permission)
	if err != nil {
		return nil, nil, err
	}
	if v.pb.State == secretmanagerpb.SecretVersion_DESTROYED {
		return nil, nil, precondition("Secret Version [%s] is in DESTROYED state.", v.pb.Name)
	}
	return found, v, checkEtag(etag, v.pb.Etag)
}

func (s *Server) move(of *secret, v *version, to secretmanagerpb.SecretVersion_State, event string) *secretmanagerpb.SecretVersion {
	v.pb.State, v.pb.Etag = to, s.etag()
	s.notifyVersion(of, v, event)
	return proto.CloneOf(v.pb)
}

func (s *Server) destroy(of *secret, v *version) *secretmanagerpb.SecretVersion {
	v.data, v.pb.ScheduledDestroyTime = nil, nil
	v.pb.DestroyTime = timestamppb.New(s.opts.Now())
	return s.move(of, v, secretmanagerpb.SecretVersion_DESTROYED, "SECRET_VERSION_DESTROY")
}

// settle destroys the versions whose time has come. The fake has no clock of
// its own running: it does that before each call.
func (s *Server) settle(now time.Time) {
	for _, of := range s.secrets {
		for _, v := range of.versions {
			if due := v.pb.ScheduledDestroyTime; due != nil && !due.AsTime().After(now) {
				s.destroy(of, v)
			}
		}
	}
}
