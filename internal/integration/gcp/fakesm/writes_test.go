package fakesm_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	sm "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

func (w *world) update(client *secretmanager.Client, s *sm.Secret, paths ...string) (*sm.Secret, error) {
	s.Name = name
	return client.UpdateSecret(w.Context(), &sm.UpdateSecretRequest{Secret: s, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
}

// The rules of annotations and aliases, to the byte.
func TestMetadataLimits(t *testing.T) {
	w := newWorld(t, "")
	w.create(&sm.Secret{})
	w.add("one")
	aliases := func(n int) map[string]int64 {
		all := map[string]int64{}
		for i := range n {
			all[fmt.Sprintf("a%d", i)] = 1
		}
		return all
	}
	for _, tt := range []struct {
		what string
		s    *sm.Secret
		path string
		want codes.Code
	}{
		{"a byte less than 16 KiB", &sm.Secret{Annotations: map[string]string{"k": strings.Repeat("x", 16<<10-2)}}, "annotations", codes.OK},
		{"16 KiB", &sm.Secret{Annotations: map[string]string{"k": strings.Repeat("x", 16<<10-1)}}, "annotations", codes.InvalidArgument},
		{"a key of 63 characters", &sm.Secret{Annotations: map[string]string{strings.Repeat("k", 63): ""}}, "annotations", codes.OK},
		{"a key of 64", &sm.Secret{Annotations: map[string]string{strings.Repeat("k", 64): ""}}, "annotations", codes.InvalidArgument},
		{"a key with a dash at its end", &sm.Secret{Annotations: map[string]string{"k-": ""}}, "annotations", codes.InvalidArgument},
		{"an empty key", &sm.Secret{Annotations: map[string]string{"": ""}}, "annotations", codes.InvalidArgument},
		{"50 aliases", &sm.Secret{VersionAliases: aliases(50)}, "version_aliases", codes.OK},
		{"51 aliases", &sm.Secret{VersionAliases: aliases(51)}, "version_aliases", codes.InvalidArgument},
	} {
		_, err := w.update(w.Client, tt.s, tt.path)
		w.wantCode(tt.what, err, tt.want)
	}
}

// A secret takes so many writes a second, of both kinds together.
func TestLimit(t *testing.T) {
	w := newWorld(t, "")
	w.create(&sm.Secret{})
	w.server.Limit(2)
	w.add("one")
	_, err := w.update(w.Client, &sm.Secret{}, "labels")
	w.wantCode("the second write", err, codes.OK)
	_, err = w.update(w.Client, &sm.Secret{}, "labels")
	w.wantCode("the third write", err, codes.ResourceExhausted)
	w.want("a read", w.read("1"), "one")
	w.now = w.now.Add(time.Second)
	w.add("two")
}

// A call whose answer is lost has taken effect; one that failed has not, and
// keeps its own error.
func TestLoss(t *testing.T) {
	w := newWorld(t, "")
	w.create(&sm.Secret{})
	w.server.SetLoss(func(_ context.Context, method string, _ any) error {
		if method == "AddSecretVersion" {
			return status.Error(codes.Unavailable, "lost")
		}
		return nil
	})
	for range 2 {
		_, err := w.AddSecretVersion(w.Context(), &sm.AddSecretVersionRequest{Parent: name, Payload: &sm.SecretPayload{Data: []byte("one")}})
		w.wantCode("add", err, codes.Unavailable)
	}
	_, err := w.AddSecretVersion(w.Context(), &sm.AddSecretVersionRequest{Parent: name})
	w.wantCode("add nothing", err, codes.InvalidArgument)
	w.server.SetLoss(nil)
	w.want("the second version", w.read("2"), "one")
	w.want("a third", strings.Fields(w.read("3"))[0], "NotFound")
}

// Metadata that lag show the past, and its etag fits nothing any more.
func TestLagMetadata(t *testing.T) {
	w := newWorld(t, "")
	w.create(&sm.Secret{})
	w.add("one")
	if err := w.server.LagMetadata(name); err != nil {
		t.Fatal(err)
	}
	_, err := w.update(w.Client, &sm.Secret{Annotations: map[string]string{"n": "1"}}, "annotations")
	w.wantCode("update", err, codes.OK)
	old, err := w.GetSecret(w.Context(), &sm.GetSecretRequest{Name: name})
	if err != nil || len(old.Annotations) != 0 {
		t.Errorf("GetSecret: %v, %v", old, err)
	}
	_, err = w.update(w.Client, &sm.Secret{Etag: old.GetEtag()}, "annotations")
	w.wantCode("update by what was read", err, codes.FailedPrecondition)
	w.add("two")
	w.want("versions do not lag by that", w.read("latest"), "two")
	if err := w.server.CatchUp(name); err != nil {
		t.Fatal(err)
	}
	now, err := w.GetSecret(w.Context(), &sm.GetSecretRequest{Name: name})
	if err != nil || now.Annotations["n"] != "1" {
		t.Errorf("GetSecret: %v, %v", now, err)
	}
}

// Over REST the client gets the same answers, errors included.
func TestREST(t *testing.T) {
	w := newWorld(t, "")
	base, stop, err := w.server.StartREST("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	rest, err := secretmanager.NewRESTClient(t.Context(), option.WithEndpoint(base), option.WithoutAuthentication(), option.WithTelemetryDisabled())
	if err != nil {
		t.Fatal(err)
	}
	defer rest.Close()
	ctx := t.Context()
	same := func(what string, ask func(*secretmanager.Client) (proto.Message, error)) {
		t.Helper()
		want, wantErr := ask(w.Client)
		got, gotErr := ask(rest)
		if !proto.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
		code := ""
		if e, ok := gotErr.(interface{ Unwrap() error }); ok {
			if g, ok := e.Unwrap().(*googleapi.Error); ok {
				code = g.Body
			}
		}
		if c := status.Code(wantErr); wantErr != nil && !strings.Contains(code, status.Convert(wantErr).Message()[:20]) || (wantErr == nil) != (gotErr == nil) {
			t.Errorf("%s: got %v (%s), want %v (%v)", what, gotErr, code, wantErr, c)
		}
	}
	made, err := rest.CreateSecret(ctx, &sm.CreateSecretRequest{Parent: "projects/p", SecretId: "s", Secret: &sm.Secret{Replication: automatic()}})
	if err != nil {
		t.Fatal(err)
	}
	sum := int64(0xe3069283)
	added, err := rest.AddSecretVersion(ctx, &sm.AddSecretVersionRequest{Parent: name, Payload: &sm.SecretPayload{Data: []byte("123456789"), DataCrc32C: &sum}})
	if err != nil || added.Name != "projects/42/secrets/s/versions/1" {
		t.Fatalf("add: %v, %v", added, err)
	}
	_, err = rest.UpdateSecret(ctx, &sm.UpdateSecretRequest{Secret: &sm.Secret{Name: name, Etag: made.Etag, Annotations: map[string]string{"a": "<&>"},
		VersionAliases: map[string]int64{"prod": 1}}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"annotations", "version_aliases"}}})
	w.wantCode("update", err, codes.OK)
	calls := map[string]func(*secretmanager.Client) (proto.Message, error){
		"get": func(c *secretmanager.Client) (proto.Message, error) {
			return c.GetSecret(ctx, &sm.GetSecretRequest{Name: name})
		},
		"access": func(c *secretmanager.Client) (proto.Message, error) {
			return c.AccessSecretVersion(ctx, &sm.AccessSecretVersionRequest{Name: name + "/versions/prod"})
		},
		"get version": func(c *secretmanager.Client) (proto.Message, error) {
			return c.GetSecretVersion(ctx, &sm.GetSecretVersionRequest{Name: name + "/versions/latest"})
		},
		"no such version": func(c *secretmanager.Client) (proto.Message, error) {
			return c.AccessSecretVersion(ctx, &sm.AccessSecretVersionRequest{Name: name + "/versions/7"})
		},
		"another project": func(c *secretmanager.Client) (proto.Message, error) {
			return c.GetSecret(ctx, &sm.GetSecretRequest{Name: "projects/q/secrets/s"})
		},
		"an old etag": func(c *secretmanager.Client) (proto.Message, error) {
			return c.UpdateSecret(ctx, &sm.UpdateSecretRequest{Secret: &sm.Secret{Name: name, Etag: made.Etag}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"labels"}}})
		},
		"made already": func(c *secretmanager.Client) (proto.Message, error) {
			return c.CreateSecret(ctx, &sm.CreateSecretRequest{Parent: "projects/p", SecretId: "s", Secret: &sm.Secret{Replication: automatic()}})
		},
	}
	for _, what := range slices.Sorted(maps.Keys(calls)) {
		same(what, calls[what])
	}
	destroyed, err := rest.DestroySecretVersion(ctx, &sm.DestroySecretVersionRequest{Name: name + "/versions/1"})
	if err != nil || destroyed.State != sm.SecretVersion_DESTROYED {
		t.Errorf("destroy: %v, %v", destroyed, err)
	}
	same("what is destroyed", func(c *secretmanager.Client) (proto.Message, error) {
		return c.AccessSecretVersion(ctx, &sm.AccessSecretVersionRequest{Name: name + "/versions/1"})
	})
	if err := rest.DeleteSecret(ctx, &sm.DeleteSecretRequest{Name: name}); err != nil {
		t.Errorf("delete: %v", err)
	}
	same("what is deleted", calls["get"])
}
