package vaultlogin

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/internal/vaultlogin/vaultfake"
	"github.com/keybearer/keybearer/keyprovider"
)

// A request without a token is answered with 400 by old servers, and with 403 by
// those of today, as if its token were wrong.
func TestRefusalsWithAndWithoutAToken(t *testing.T) {
	const nothing, wrong = "bore no token: set VAULT_TOKEN", "the token is not valid any more"
	for _, c := range []struct {
		status    int
		says      string
		token     string
		want, not string
	}{
		{400, "missing client token", "", nothing, wrong},
		{401, "permission denied", "", nothing, wrong},
		{403, "permission denied", "", nothing, wrong},
		{401, "permission denied", "t", wrong, nothing},
		{403, "permission denied", "t", wrong, nothing},
	} {
		t.Run(fmt.Sprintf("%d with token %q", c.status, c.token), func(t *testing.T) {
			server := &vaultfake.Server{Intercept: func(w http.ResponseWriter, _ *http.Request) bool {
				w.WriteHeader(c.status)
				fmt.Fprintf(w, `{"errors":[%q]}`, c.says)
				return true
			}}
			client := grant(t, newSession(t, server, nil, c.token)).Client
			_, readErr := Read(t.Context(), client, "secret/data/openai", nil)
			_, writeErr := Write(t.Context(), client, "secret/data/openai", map[string]any{})
			for _, err := range []error{readErr, writeErr} {
				if !errors.Is(err, keyprovider.ErrDenied) {
					t.Fatalf("got %v, want ErrDenied", err)
				}
				if got := err.Error(); !strings.Contains(got, c.want) || strings.Contains(got, c.not) {
					t.Errorf("got %q, want %q in it and not %q", got, c.want, c.not)
				}
				if status := fmt.Sprintf("(HTTP %d)", c.status); !strings.Contains(err.Error(), status) {
					t.Errorf("got %q, want %s in it", err, status)
				}
			}
		})
	}
}
