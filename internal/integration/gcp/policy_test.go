package gcp

import (
	"context"
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/keybearer/keybearer/internal/integration/gcp/fakesm"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation/gcpstore"
)

// permissions are what the methods need.
var permissions = map[string]string{
	"AccessSecretVersion": "versions.access", "GetSecretVersion": "versions.get", "AddSecretVersion": "versions.add",
	"DestroySecretVersion": "versions.destroy", "DisableSecretVersion": "versions.disable", "EnableSecretVersion": "versions.enable",
	"ListSecretVersions": "versions.list", "GetSecret": "secrets.get", "UpdateSecret": "secrets.update",
	"DeleteSecret": "secrets.delete", "CreateSecret": "secrets.create", "ListSecrets": "secrets.list",
}

var customRole = regexp.MustCompile(`gcloud iam roles create (\w+) [^\n]*\\\n +--permissions=([\w.,]+)\n`)

// documented returns the permissions of a role as docs/gcp.md makes it.
func documented(t *testing.T, role string) []string {
	t.Helper()
	page, err := os.ReadFile("../../../docs/gcp.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range customRole.FindAllStringSubmatch(string(page), -1) {
		if m[1] == role {
			return strings.Split(m[2], ",")
		}
	}
	t.Fatalf("docs/gcp.md makes no role %s", role)
	return nil
}

// policy lets a rotator and its readers, who come by TLS, do what the roles of
// docs/gcp.md allow on each secret, and nothing else. Who comes without is the
// owner.
func (v *vault) policy(t *testing.T) fakesm.Fault {
	t.Helper()
	role := "openaiRotator"
	if v.alias != "" {
		role = "openaiAliasRotator"
	}
	granted := map[string][]string{v.main: documented(t, role), v.pending: documented(t, "openaiStager")}
	return func(ctx context.Context, method string, req any) error {
		if !byTLS(ctx) {
			return nil
		}
		secret, _, _ := strings.Cut(nameIn(req), "/versions/")
		if permission := "secretmanager." + permissions[method]; !slices.Contains(granted[secret], permission) {
			return status.Errorf(codes.PermissionDenied, "Permission '%s' denied for resource '%s' (or it may not exist).", permission, secret)
		}
		return nil
	}
}

func byTLS(ctx context.Context) bool {
	p, ok := peer.FromContext(ctx)
	return ok && p.AuthInfo != nil && p.AuthInfo.AuthType() == (credentials.TLSInfo{}).AuthType()
}

// nameIn is what a request is about.
func nameIn(req any) string {
	switch r := req.(type) {
	case interface{ GetName() string }:
		return r.GetName()
	case interface{ GetParent() string }:
		return r.GetParent()
	case interface {
		GetSecret() *secretmanagerpb.Secret
	}:
		return r.GetSecret().GetName()
	}
	return ""
}

// Without any one of the permissions, a rotation's calls fail: the roles of the
// page have none too many. That they have none too few, TestRotator shows, which
// runs under them.
func TestPolicyIsTight(t *testing.T) {
	for _, alias := range []string{"", "prod"} {
		v := newVault(t, "", alias)
		s := v.open(gcpstore.Options{})
		defer s.Close()
		for _, secret := range []string{v.main, v.pending} {
			role := map[string]string{v.main: "openaiRotator", v.pending: "openaiStager"}[secret]
			if secret == v.main && alias != "" {
				role = "openaiAliasRotator"
			}
			for _, permission := range documented(t, role) {
				policy := v.policy(t)
				v.SetFault(func(ctx context.Context, method string, req any) error {
					name, _, _ := strings.Cut(nameIn(req), "/versions/")
					if byTLS(ctx) && name == secret && "secretmanager."+permissions[method] == permission {
						return status.Error(codes.PermissionDenied, "not granted")
					}
					return policy(ctx, method, req)
				})
				if err := v.exercise(t, s, secret); !errors.Is(err, keyprovider.ErrDenied) {
					t.Errorf("without %s on %s: %v", permission, secret, err)
				}
				v.SetFault(v.policy(t))
				if err := v.exercise(t, s, secret); err != nil {
					t.Errorf("with all of the role: %v", err)
				}
			}
		}
	}
}

// exercise makes the calls of a rotation, and of one where the newest version of
// a secret is gone.
func (v *vault) exercise(t *testing.T, s *gcpstore.Store, gone string) error {
	t.Helper()
	k, err := keyprovider.NewKey(keyprovidertest.NewSecret(), keyprovider.Info{ID: "key_1"})
	if err != nil {
		t.Fatal(err)
	}
	stage := s.Stage(t.Context(), k)
	_, from, current := s.Current(t.Context())
	if errors.Is(current, keyprovider.ErrNotFound) {
		current = nil
	}
	promote := s.Promote(t.Context(), k, from)
	_, revision, state := s.State(t.Context())
	if errors.Is(state, keyprovider.ErrNotFound) {
		state = nil
	}
	_, set := s.SetState(t.Context(), []byte(`{}`), revision)
	_, former := s.Former(t.Context(), k.Fingerprint())
	if errors.Is(former, keyprovider.ErrNotFound) && promote != nil {
		former = nil
	}
	unstage := s.Unstage(t.Context(), k.Fingerprint())
	v.disable(gone)
	again := v.open(gcpstore.Options{}) // one that does not know the number
	defer again.Close()
	var missing error
	if gone == v.main {
		_, missing = again.Former(t.Context(), k.Fingerprint())
	} else {
		_, missing = again.Staged(t.Context())
	}
	if errors.Is(missing, keyprovider.ErrNotFound) {
		missing = nil
	}
	return errors.Join(stage, current, promote, state, set, former, unstage, missing)
}
