package fakesm_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	sm "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

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
