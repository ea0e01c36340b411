package fakesm_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	sm "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/keybearer/keybearer/internal/integration/gcp/fakesm"
)

// world is a service, a client, what it has published and its clock.
type world struct {
	*secretmanager.Client
	*testing.T
	server *fakesm.Server
	events []string
	now    time.Time
}

const name = "projects/p/secrets/s"

func newWorld(t *testing.T, location string) *world {
	t.Helper()
	w := &world{T: t, now: time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)}
	w.server = fakesm.New(fakesm.Options{
		Projects: map[string]int64{"p": 42}, Location: location,
		Now: func() time.Time { return w.now },
		Publish: func(topic string, attributes map[string]string, data []byte) {
			if strings.Contains(string(data), "payload") {
				t.Error("a notification has a payload")
			}
			w.events = append(w.events, strings.TrimSpace(topic+" "+attributes["eventType"]+" "+attributes["versionId"]))
		},
	})
	running, err := w.server.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(running.Stop)
	if w.Client, err = fakesm.Client(t.Context(), running.Addr); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func automatic() *sm.Replication {
	return &sm.Replication{Replication: &sm.Replication_Automatic_{Automatic: &sm.Replication_Automatic{}}}
}

func (w *world) create(s *sm.Secret) *sm.Secret {
	w.Helper()
	s.Replication = automatic()
	made, err := w.CreateSecret(w.Context(), &sm.CreateSecretRequest{Parent: "projects/p", SecretId: "s", Secret: s})
	if err != nil {
		w.Fatal(err)
	}
	return made
}

func (w *world) add(data string) *sm.SecretVersion {
	w.Helper()
	v, err := w.AddSecretVersion(w.Context(), &sm.AddSecretVersionRequest{Parent: name, Payload: &sm.SecretPayload{Data: []byte(data)}})
	if err != nil {
		w.Fatal(err)
	}
	return v
}

// read is what a version says, or the code and the message of the error.
func (w *world) read(version string) string {
	resp, err := w.AccessSecretVersion(w.Context(), &sm.AccessSecretVersionRequest{Name: name + "/versions/" + version})
	if err != nil {
		return fmt.Sprint(status.Code(err), " ", status.Convert(err).Message())
	}
	return string(resp.Payload.Data)
}

func (w *world) want(what, got, want string) {
	w.Helper()
	if got != want {
		w.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func (w *world) wantCode(what string, err error, want codes.Code) {
	w.Helper()
	if status.Code(err) != want {
		w.Errorf("%s: got %v, want %v", what, err, want)
	}
}

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

func readAt(w *world, full string) string {
	_, err := w.AccessSecretVersion(w.Context(), &sm.AccessSecretVersionRequest{Name: full})
	return fmt.Sprint(status.Code(err), " ", status.Convert(err).Message())
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

func TestNotifications(t *testing.T) {
	w := newWorld(t, "")
	w.create(&sm.Secret{Topics: []*sm.Topic{{Name: "t"}}, VersionDestroyTtl: durationpb.New(time.Hour)})
	ctx := context.Background()
	w.add("one")
	w.add("two")
	v := "projects/42/secrets/s/versions/"
	step := func(what string, err error, want ...string) {
		w.Helper()
		w.wantCode(what, err, codes.OK)
		if !slices.Equal(w.events, want) {
			w.Errorf("%s: notifications %q\nwant %q", what, w.events, want)
		}
		w.events = nil
	}
	step("create and add", nil, "t TOPIC_CONFIGURED", "t SECRET_CREATE", "t SECRET_VERSION_ADD "+v+"1", "t SECRET_VERSION_ADD "+v+"2")
	_, err := w.DisableSecretVersion(ctx, &sm.DisableSecretVersionRequest{Name: name + "/versions/1"})
	step("disable", err, "t SECRET_VERSION_DISABLE "+v+"1")
	_, err = w.EnableSecretVersion(ctx, &sm.EnableSecretVersionRequest{Name: name + "/versions/1"})
	step("enable", err, "t SECRET_VERSION_ENABLE "+v+"1")
	_, err = w.UpdateSecret(ctx, &sm.UpdateSecretRequest{Secret: &sm.Secret{Name: name}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"labels"}}})
	step("update", err, "t SECRET_UPDATE")

	// Destruction with a delay disables now, and can be taken back.
	due, err := w.DestroySecretVersion(ctx, &sm.DestroySecretVersionRequest{Name: name + "/versions/1"})
	step("destroy later", err, "t SECRET_VERSION_DESTROY_SCHEDULED "+v+"1")
	if due.State != sm.SecretVersion_DISABLED || due.ScheduledDestroyTime.AsTime() != w.now.Add(time.Hour) {
		t.Errorf("destroy later: %v", due)
	}
	_, err = w.EnableSecretVersion(ctx, &sm.EnableSecretVersionRequest{Name: name + "/versions/1"})
	step("take it back", err, "t SECRET_VERSION_ENABLE "+v+"1")
	w.now = w.now.Add(2 * time.Hour)
	w.want("taken back", w.read("1"), "one")
	_, err = w.DestroySecretVersion(ctx, &sm.DestroySecretVersionRequest{Name: name + "/versions/1"})
	step("destroy later again", err, "t SECRET_VERSION_DESTROY_SCHEDULED "+v+"1")
	w.now = w.now.Add(time.Hour)
	w.want("destroyed", strings.Fields(w.read("1"))[0], "FailedPrecondition")
	step("the time has come", nil, "t SECRET_VERSION_DESTROY "+v+"1")

	step("rotate", w.server.Rotate(name), "t SECRET_ROTATE")
	step("delete", w.DeleteSecret(ctx, &sm.DeleteSecretRequest{Name: name}), "t SECRET_DELETE")
	w.create(&sm.Secret{})
	w.want("numbers begin again", w.add("three").Name, v+"1")
	step("a secret without topics", nil)
	_, err = w.CreateSecret(ctx, &sm.CreateSecretRequest{Parent: "projects/p", SecretId: "s", Secret: &sm.Secret{Replication: automatic()}})
	w.wantCode("create again", err, codes.AlreadyExists)
}

func TestLag(t *testing.T) {
	w := newWorld(t, "")
	w.create(&sm.Secret{})
	w.add("one")
	if err := w.server.Lag(name); err != nil {
		t.Fatal(err)
	}
	w.add("two")
	w.want("latest lags", w.read("latest"), "one")
	w.want("a number does not", w.read("2"), "two")
	if err := w.server.CatchUp(name); err != nil {
		t.Fatal(err)
	}
	w.want("latest has caught up", w.read("latest"), "two")
	w.server.Deny("AccessSecretVersion", "secretmanager.versions.access")
	w.want("denied", strings.Fields(w.read("1"))[0], "PermissionDenied")
	w.server.Allow("AccessSecretVersion")
	w.want("allowed", w.read("1"), "one")
	if calls := w.server.Calls(); calls["AccessSecretVersion"] != 5 || calls["AddSecretVersion"] != 2 {
		t.Errorf("calls %v", calls)
	}
}
