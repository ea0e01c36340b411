package vault

import (
	"fmt"
	"strconv"

	"github.com/hashicorp/vault/api"

	"github.com/keybearer/keybearer/internal/keyshape"
	"github.com/keybearer/keybearer/internal/vaultlogin"
	"github.com/keybearer/keybearer/keyprovider"
)

// Options configure a Provider. The zero value is the good default: the server
// and the token that the VAULT_* environment names.
type Options struct {
	// Client is an existing client. Without Auth or TokenFile it is used as it
	// is, with the token that its owner puts on it, and its owner renews that.
	// With one of them a clone of it is used, and the Client is not touched.
	// [a new one, made of the VAULT_* environment]
	Client *api.Client

	// Address is the server, or a Vault Agent or Proxy:
	// "https://vault.example.com:8200" or "unix:///run/vault-agent.sock".
	// It may not be set beside Client. [VAULT_ADDR, VAULT_AGENT_ADDR]
	Address string

	// Namespace is the namespace in which the path and the login are, such as
	// "team-a/". It may not be set beside Client. [VAULT_NAMESPACE]
	Namespace string

	// Auth logs in: *AppRole, *Kubernetes, *JWT, *Userpass or any other
	// api.AuthMethod. It is called one at a time, anew whenever a token cannot
	// be renewed any longer, and must be good for more than one login then.
	// [none: the token of VAULT_TOKEN, or no token at all, as an Agent wants]
	Auth api.AuthMethod

	// TokenFile is a file that holds a token which somebody else keeps alive,
	// such as the sink of a Vault Agent. It is read at each Fetch. It may not be
	// set beside Auth.
	TokenFile string

	// NoToken sends no token even where VAULT_TOKEN is set: for a Vault Agent
	// or Proxy that adds its own. It may not be set beside Auth, TokenFile or
	// Client.
	NoToken bool

	// Mount is the path of the engine that holds the secret, where it is not to
	// be found by itself. The path given to New begins with it. [found]
	Mount string

	// KVVersion says how the path is read: 2 as a secret of a KV engine of
	// version 2; 1 as it is written, which is right for KV version 1 and for
	// every engine that is not KV. [0: the first Fetch finds out, which needs no
	// permission of its own: version 2 is tried, and where it does not answer,
	// the server is asked; where it does not tell, version 1 is tried]
	KVVersion int

	// Version pins a version of a KV version 2 secret. [0: the latest]
	Version int

	// Field is the field of the secret that holds the key. ["api_key"]
	Field string

	// DisableWatch leaves changes to polling alone: Watch only waits for its
	// context to be done. Otherwise the server's events are subscribed to,
	// where it has them.
	DisableWatch bool

	// RevokeOnClose makes Close revoke what the Provider took: the leases of
	// dynamic secrets, whose keys die with them, and the token, if the Provider
	// logged in for it. [they lapse by themselves]
	RevokeOnClose bool
}

// access is what the options say about the way to the server.
func (o *Options) access() vaultlogin.Access {
	return vaultlogin.Access{
		Client: o.Client, Address: o.Address, Namespace: o.Namespace,
		Auth: o.Auth, TokenFile: o.TokenFile, NoToken: o.NoToken,
	}
}

// check refuses options that contradict each other or the path.
func (o *Options) check(path string) error {
	if err := vaultlogin.CheckPath("the path", path); err != nil {
		return err
	}
	switch {
	case o.KVVersion < 0 || o.KVVersion > 2:
		return invalid(fmt.Sprintf("Options.KVVersion is %d: it is 1, 2, or 0 to find out", o.KVVersion))
	case o.Version < 0:
		return invalid("Options.Version is negative: leave it out for the latest")
	case o.Version > 0 && o.KVVersion == 1:
		return invalid("Options.Version needs KV version 2: version 1 keeps no versions")
	case keyshape.Looks(o.Field):
		return invalid("the configured field looks like an API key: name the field that holds it")
	}
	access := o.access()
	if err := access.Check(); err != nil {
		return err
	}
	if c, ok := o.Auth.(checker); ok {
		if err := c.check(); err != nil {
			return err
		}
	}
	return o.checkMount(path)
}

// checkMount refuses a mount that does not fit the path. Where neither the user
// nor the server says which part of the path is the mount, a part "sys" may
// belong to the server, behind a namespace.
func (o *Options) checkMount(path string) error {
	if o.Mount != "" {
		return vaultlogin.CheckMountOf(path, o.Mount)
	}
	if o.KVVersion != 0 && vaultlogin.HasReserved(path) {
		return invalid("the path has a part sys or auth, which is the server's own behind a namespace: set Mount too, or leave KVVersion out")
	}
	return nil
}

// name is what the Provider is called in logs: the path, and the version where
// one is pinned.
func (o *Options) name(path string) string {
	name := "vault:" + path
	if o.Version > 0 {
		name += "?version=" + strconv.Itoa(o.Version)
	}
	return name
}

func invalid(text string) error {
	return &keyprovider.Error{Class: keyprovider.ErrInvalid, Err: keyprovider.Reason(text, nil)}
}
