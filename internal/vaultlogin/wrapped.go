package vaultlogin

import (
	"context"
	"strings"
	"sync"

	"github.com/hashicorp/vault/api"
)

// Wrapped opens a response-wrapped secret id and keeps what was in it, because
// the wrapping token works only once. The zero value is ready to use; it must
// not be copied.
type Wrapped struct {
	mu     sync.Mutex
	opened func() (token, secretID string)
}

// SecretID returns the secret id that the wrapping token wraps, for a role of
// the AppRole method at mount. A token that was opened before is not sent again.
func (w *Wrapped) SecretID(ctx context.Context, client *api.Client, mount, token string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.opened != nil {
		if before, secretID := w.opened(); before == token {
			return secretID, nil
		}
	}
	if err := checkWrapping(ctx, client, mount, token); err != nil {
		return "", err
	}
	bare := client.Token() == ""
	secret, err := client.Logical().UnwrapWithContext(ctx, token)
	if bare { // the SDK has put the wrapping token on it
		client.ClearToken()
	}
	if err != nil {
		return "", wrappingError(ctx, err)
	}
	secretID := ""
	if secret != nil {
		secretID, _ = secret.Data["secret_id"].(string)
	}
	if secretID == "" {
		return "", invalid("the wrapping token wraps something else than a secret id", nil)
	}
	w.opened = func() (string, string) { return token, secretID }
	return secretID, nil
}

// checkWrapping makes sure, before the token is used up, that it wraps a secret
// id that this method's mount made: another one may have been put in its place.
func checkWrapping(ctx context.Context, client *api.Client, mount, token string) error {
	secret, err := client.Logical().WriteWithContext(ctx, "sys/wrapping/lookup", map[string]any{"token": token})
	if err != nil {
		return wrappingError(ctx, err)
	}
	path := ""
	if secret != nil {
		path, _ = secret.Data["creation_path"].(string)
	}
	role, ok := strings.CutPrefix(path, "auth/"+mount+"/role/")
	if !ok || !strings.HasSuffix(role, "/secret-id") {
		return denied("the wrapping token does not wrap a secret id of this AppRole mount: it may have been replaced on its way, have it looked into", nil)
	}
	return nil
}

func wrappingError(ctx context.Context, err error) error {
	if ctx.Err() == nil && (Status(err) == badRequest || Status(err) == 403) {
		return denied("the wrapping token is not valid: it has expired, or was used before; if by nobody of yours, treat the secret id as stolen", err)
	}
	return Fail(ctx, "unwrapping the secret id", err)
}
