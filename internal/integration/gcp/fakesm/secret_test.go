package fakesm_test

import (
	"strings"
	"testing"

	sm "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

func TestEtags(t *testing.T) {
	w := newWorld(t, "")
	made := w.create(&sm.Secret{Annotations: map[string]string{"state": "a"}})
	v := w.add("one")
	update := func(etag string, s *sm.Secret, paths ...string) (*sm.Secret, error) {
		s.Name, s.Etag = name, etag
		return w.UpdateSecret(w.Context(), &sm.UpdateSecretRequest{Secret: s, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
	}
	// A version's changes leave the secret's etag alone.
	got, err := w.GetSecret(w.Context(), &sm.GetSecretRequest{Name: name})
	if err != nil || got.Etag != made.Etag {
		t.Errorf("GetSecret: %v, etag %s, want %s", err, got.GetEtag(), made.Etag)
	}
	next, err := update(made.Etag, &sm.Secret{Annotations: map[string]string{"state": "b"}, VersionAliases: map[string]int64{"prod": 1}}, "annotations", "version_aliases")
	if err != nil || next.Etag == made.Etag || next.Annotations["state"] != "b" {
		t.Fatalf("update: %v, %v", next, err)
	}
	_, err = update(made.Etag, &sm.Secret{}, "annotations")
	w.wantCode("update with the etag of before", err, codes.FailedPrecondition)
	same, err := update(next.Etag, &sm.Secret{Annotations: map[string]string{"state": "b"}}, "annotations")
	if err != nil || same.Etag == next.Etag {
		t.Errorf("an update that changes nothing keeps the etag (%v)", err)
	}
	again, err := w.GetSecretVersion(w.Context(), &sm.GetSecretVersionRequest{Name: name + "/versions/prod"})
	if err != nil || again.Etag != v.Etag {
		t.Errorf("a secret's update changed a version's etag (%v)", err)
	}
	w.wantCode("delete with the etag of before", w.DeleteSecret(w.Context(), &sm.DeleteSecretRequest{Name: name, Etag: next.Etag}), codes.FailedPrecondition)

	for what, s := range map[string]*sm.Secret{
		"latest":  {VersionAliases: map[string]int64{"latest": 1}},
		"NEW":     {VersionAliases: map[string]int64{"NEW": 1}},
		"a digit": {VersionAliases: map[string]int64{"1x": 1}},
	} {
		_, err := update("", s, "version_aliases")
		w.wantCode("alias "+what, err, codes.InvalidArgument)
	}
	_, err = update("", &sm.Secret{VersionAliases: map[string]int64{"next": 2}}, "version_aliases")
	w.wantCode("an alias of no version", err, codes.FailedPrecondition)
	_, err = update("", &sm.Secret{Annotations: map[string]string{"k": strings.Repeat("x", 16<<10)}}, "annotations")
	w.wantCode("large annotations", err, codes.InvalidArgument)
	_, err = update("", &sm.Secret{}, "replication")
	w.wantCode("what cannot be changed", err, codes.InvalidArgument)
	_, err = update("", &sm.Secret{})
	w.wantCode("no mask", err, codes.InvalidArgument)
}

func TestRegional(t *testing.T) {
	w := newWorld(t, "europe-west4")
	const parent = "projects/p/locations/europe-west4"
	_, err := w.CreateSecret(w.Context(), &sm.CreateSecretRequest{Parent: parent, SecretId: "s", Secret: &sm.Secret{}})
	w.wantCode("create", err, codes.OK)
	_, err = w.AddSecretVersion(w.Context(), &sm.AddSecretVersionRequest{Parent: parent + "/secrets/s", Payload: &sm.SecretPayload{Data: []byte("x")}})
	w.wantCode("add", err, codes.OK)
	resp, err := w.AccessSecretVersion(w.Context(), &sm.AccessSecretVersionRequest{Name: parent + "/secrets/s/versions/latest"})
	if err != nil || resp.Name != "projects/42/locations/europe-west4/secrets/s/versions/1" {
		t.Errorf("access: %v, %v", resp, err)
	}
	w.want("a global name here", strings.Fields(w.read("latest"))[0], "InvalidArgument")
	global := newWorld(t, "")
	global.want("a regional name there", strings.Fields(readAt(global, parent+"/secrets/s/versions/latest"))[0], "InvalidArgument")
	_, err = w.CreateSecret(w.Context(), &sm.CreateSecretRequest{Parent: parent, SecretId: "r", Secret: &sm.Secret{Replication: automatic()}})
	w.wantCode("a replicated regional secret", err, codes.InvalidArgument)
}
