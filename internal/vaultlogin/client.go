package vaultlogin

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"github.com/hashicorp/vault/api"

	"github.com/keybearer/keybearer/internal/keyshape"
	"github.com/keybearer/keybearer/keyprovider"
)

// NewClient returns a client for the server at address, or, if that is "", the
// one that the VAULT_* environment names; TLS, proxy and timeouts come from
// that environment in any case. namespace, if not "", replaces VAULT_NAMESPACE.
// The client bears the token of VAULT_TOKEN. Nothing is dialed.
//
// The address of an argument wins over VAULT_AGENT_ADDR, which the SDK would
// otherwise prefer.
func NewClient(address, namespace string) (*api.Client, error) {
	cfg := api.DefaultConfig()
	if cfg.Error != nil {
		return nil, invalid("the VAULT_* environment cannot be used: look at VAULT_CACERT, VAULT_CLIENT_CERT, VAULT_CLIENT_TIMEOUT and their kin", cfg.Error)
	}
	if address != "" {
		cfg.Address, cfg.AgentAddress = address, ""
	}
	used := cfg.Address
	if cfg.AgentAddress != "" {
		used = cfg.AgentAddress
	}
	if err := checkAddress(used); err != nil {
		return nil, err
	}
	// Short and few: whoever calls has a backoff of its own, and these only
	// bridge a connection that was just closed and a standby that lags by
	// milliseconds. The SDK obeys a Retry-After of any length.
	cfg.MinRetryWait, cfg.MaxRetryWait = 100*time.Millisecond, 400*time.Millisecond
	cfg.Backoff, cfg.CheckRetry = retryablehttp.LinearJitterBackoff, checkRetry
	client, err := api.NewClient(cfg)
	if err != nil {
		return nil, invalid("no client can be made of the VAULT_* environment: look at VAULT_ADDR and VAULT_HEADERS", err)
	}
	client.SetToken(strings.TrimSpace(client.Token()))
	if namespace != "" {
		if err := CheckNamespace(namespace); err != nil {
			return nil, err
		}
		client.SetNamespace(namespace)
	}
	return client, nil
}

// checkAddress refuses what the SDK would only fail on later, or send a token to.
func checkAddress(address string) error {
	if keyshape.Prefixed(address) {
		return invalid("the server's address looks like an API key or a token: write one such as https://vault.example.com:8200", nil)
	}
	if socket, ok := strings.CutPrefix(address, "unix://"); ok {
		if !strings.HasPrefix(socket, "/") {
			return invalid("the socket's path is not absolute: write unix:///run/vault-agent.sock", nil)
		}
		return nil
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return invalid("the server's address is not a URL: write one such as https://vault.example.com:8200 or unix:///run/vault-agent.sock", nil)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return invalid("the server's address has more than scheme, host, port and path", nil)
	}
	return nil
}

// checkRetry is the SDK's policy, except that a server that limits the rate is
// left alone, and that 500 is taken for an answer: Vault says so that a token or
// a lease is past its max TTL.
func checkRetry(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if resp != nil && (resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusInternalServerError) {
		return false, nil
	}
	return api.DefaultRetryPolicy(ctx, resp, err)
}

// WithTimeout bounds a call by the timeout of the client, since the SDK's raw
// calls do not.
func WithTimeout(ctx context.Context, client *api.Client) (context.Context, context.CancelFunc) {
	if d := client.ClientTimeout(); d > 0 {
		return context.WithTimeout(ctx, d)
	}
	return context.WithCancel(ctx)
}

// withToken returns a client of its own for a token. base must never be used
// for a request or changed after its first copy: copying a client that is in
// use is a data race.
func withToken(base *api.Client, token string) *api.Client {
	c := base.WithRequestCallbacks()
	c.SetToken(token)
	return c
}

func invalid(text string, cause error) error {
	return &keyprovider.Error{Class: keyprovider.ErrInvalid, Err: keyprovider.Reason(text, cause)}
}
