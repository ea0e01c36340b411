package fakesm_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	sm "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
)

func TestStates(t *testing.T) {
	w := newWorld(t, "")
	w.create(&sm.Secret{})
	w.want("no version", w.read("latest"), "NotFound Secret [projects/42/secrets/s] not found or has no versions.")
	w.add("one")
	two := w.add("two")
	w.want("latest", w.read("latest"), "two")
	w.want("a number", w.read("1"), "one")
	w.want("no such number", w.read("3"), "NotFound Secret Version [projects/42/secrets/s/versions/3] not found.")
	w.want("another project", readAt(w, "projects/q/secrets/s/versions/1"),
		"PermissionDenied Permission 'secretmanager.versions.access' denied for resource 'projects/q/secrets/s/versions/1' (or it may not exist).")

	disabled, err := w.DisableSecretVersion(w.Context(), &sm.DisableSecretVersionRequest{Name: name + "/versions/2", Etag: two.Etag})
	w.wantCode("disable", err, codes.OK)
	w.want("latest is the newest in whatever state", w.read("latest"), "FailedPrecondition Secret Version [projects/42/secrets/s/versions/2] is in DISABLED state.")
	_, err = w.EnableSecretVersion(w.Context(), &sm.EnableSecretVersionRequest{Name: name + "/versions/2", Etag: two.Etag})
	w.wantCode("enable with the etag of before", err, codes.FailedPrecondition)
	_, err = w.EnableSecretVersion(w.Context(), &sm.EnableSecretVersionRequest{Name: name + "/versions/2", Etag: disabled.Etag})
	w.wantCode("enable", err, codes.OK)
	w.want("enabled", w.read("2"), "two")
	_, err = w.DestroySecretVersion(w.Context(), &sm.DestroySecretVersionRequest{Name: name + "/versions/2"})
	w.wantCode("destroy", err, codes.OK)
	w.want("destroyed", w.read("2"), "FailedPrecondition Secret Version [projects/42/secrets/s/versions/2] is in DESTROYED state.")
	_, err = w.EnableSecretVersion(w.Context(), &sm.EnableSecretVersionRequest{Name: name + "/versions/2"})
	w.wantCode("enable what is destroyed", err, codes.FailedPrecondition)
	_, err = w.DestroySecretVersion(w.Context(), &sm.DestroySecretVersionRequest{Name: name + "/versions/latest"})
	w.wantCode("destroy by alias", err, codes.InvalidArgument)
}

func TestList(t *testing.T) {
	w := newWorld(t, "")
	w.create(&sm.Secret{})
	for i := range 5 {
		w.add(fmt.Sprint(i))
	}
	_, err := w.DisableSecretVersion(w.Context(), &sm.DisableSecretVersionRequest{Name: name + "/versions/5"})
	w.wantCode("disable", err, codes.OK)
	list := func(filter string, size int32) string {
		var got []string
		it := w.ListSecretVersions(w.Context(), &sm.ListSecretVersionsRequest{Parent: name, Filter: filter, PageSize: size})
		for {
			v, err := it.Next()
			if err == iterator.Done {
				return strings.Join(got, " ")
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, v.Name[len("projects/42/secrets/s/versions/"):])
		}
	}
	w.want("all", list("", 0), "5 4 3 2 1")
	w.want("enabled, by pages", list("state:ENABLED", 3), "4 3 2 1")
	w.want("disabled", list("state=DISABLED", 1), "5")
	it := w.ListSecrets(w.Context(), &sm.ListSecretsRequest{Parent: "projects/p"})
	if s, err := it.Next(); err != nil || s.Name != "projects/42/secrets/s" {
		t.Errorf("ListSecrets: %v, %v", s, err)
	}
}

func TestPayload(t *testing.T) {
	w := newWorld(t, "")
	w.create(&sm.Secret{})
	send := func(data []byte, sum *int64) (*sm.SecretVersion, error) {
		return w.AddSecretVersion(w.Context(), &sm.AddSecretVersionRequest{Parent: name, Payload: &sm.SecretPayload{Data: data, DataCrc32C: sum}})
	}
	right, wrong := int64(0xe3069283), int64(1)
	v, err := send([]byte("123456789"), &right)
	if err != nil || !v.ClientSpecifiedPayloadChecksum {
		t.Errorf("with its checksum: %v, %v", v, err)
	}
	_, err = send([]byte("123456789"), &wrong)
	w.wantCode("with another checksum", err, codes.InvalidArgument)
	_, err = send(bytes.Repeat([]byte("x"), 64<<10), nil)
	w.wantCode("64 KiB", err, codes.OK)
	_, err = send(bytes.Repeat([]byte("x"), 64<<10+1), nil)
	w.wantCode("more", err, codes.InvalidArgument)
	resp, err := w.AccessSecretVersion(w.Context(), &sm.AccessSecretVersionRequest{Name: name + "/versions/1"})
	if err != nil || resp.Payload.GetDataCrc32C() != right {
		t.Errorf("access: %v, %v", resp.GetPayload().GetDataCrc32C(), err)
	}
	w.server.Damage(1)
	if got := w.read("1"); got == "123456789" {
		t.Error("Damage does nothing")
	}
	w.want("after the damage", w.read("1"), "123456789")
}
