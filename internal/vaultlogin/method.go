package vaultlogin

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/keybearer/keybearer/keyprovider"
)

// Login logs in by any method. Its error has a class and shows nothing of what
// the method or the server said.
func Login(ctx context.Context, client *api.Client, method api.AuthMethod) (*api.Secret, error) {
	secret, err := method.Login(ctx, client)
	switch {
	case err != nil:
		return nil, loginError(ctx, err)
	case secret != nil && secret.Auth != nil && secret.Auth.MFARequirement != nil && secret.Auth.ClientToken == "":
		return nil, denied("logging in: the server asks for a second factor, which a service has not", nil)
	case secret == nil || secret.Auth == nil || secret.Auth.ClientToken == "":
		return nil, invalid("logging in: the method returned no token", nil)
	}
	return secret, nil
}

// loginError takes a status as a login means it: Vault refuses credentials with
// 400, and an engine that is not there with 403 or 404.
func loginError(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		if _, ours := errors.AsType[*keyprovider.Error](err); !ours {
			switch Status(err) {
			case badRequest:
				return denied("logging in: the credentials are refused: look at the role, and at what proves the identity (HTTP 400)", err)
			case 403, 404:
				return denied("logging in: the server refuses: is the auth method enabled at this mount, and may this role log in from here?", err)
			}
		}
	}
	return Fail(ctx, "logging in", err)
}

// Post logs in at auth/<mount>/<path>.
func Post(ctx context.Context, client *api.Client, mount, path string, body map[string]any) (*api.Secret, error) {
	return client.Logical().WriteWithContext(ctx, "auth/"+mount+"/"+path, body)
}

// CheckMount refuses the mount of an auth method that could lead elsewhere.
func CheckMount(mount string) error { return CheckPath("the mount of the auth method", mount) }

// CheckName refuses a name that is more than one part of a path.
func CheckName(what, name string) error {
	if strings.Contains(name, "/") {
		return invalid(what+" has a slash", nil)
	}
	return CheckPath(what, name)
}

// ServiceAccountToken is where Kubernetes puts a pod's own token.
const ServiceAccountToken = "/var/run/secrets/kubernetes.io/serviceaccount/token"

// revokeTimeout bounds what Close does.
const revokeTimeout = 5 * time.Second

// CloseContext returns the context for what is revoked at the end.
func CloseContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), revokeTimeout)
}

func denied(text string, cause error) error {
	return &keyprovider.Error{Class: keyprovider.ErrDenied, Err: keyprovider.Reason(text, cause)}
}
