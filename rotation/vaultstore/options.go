package vaultstore

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/hashicorp/vault/api"

	"github.com/keybearer/keybearer/internal/keyshape"
	"github.com/keybearer/keybearer/internal/vaultlogin"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// Options configure a Store. The zero value is the good default: the server
// and the token that the VAULT_* environment names.
type Options struct {
	// Client is an existing client. Its address, namespace and headers are taken
	// as they are when New is called, and never changed. Without Auth or
	// TokenFile its token is used, as its owner puts it on, and its owner
	// renews that.
	// [a new one, made of the VAULT_* environment]
	Client *api.Client

	// Address is the server, or a Vault Agent or Proxy:
	// "https://vault.example.com:8200" or "unix:///run/vault-agent.sock".
	// It may not be set beside Client. [VAULT_ADDR, VAULT_AGENT_ADDR]
	Address string

	// Namespace is the namespace in which the path and the login are, such as
	// "team-a/". It may not be set beside Client. [VAULT_NAMESPACE]
	Namespace string

	// Auth logs in: the methods of package keyprovider/vault (*vault.AppRole,
	// *vault.Kubernetes, *vault.JWT, *vault.Userpass), or any other
	// api.AuthMethod. It is called one at a time, anew whenever a token cannot
	// be renewed any longer, and must be good for more than one login then.
	// [none: the token of VAULT_TOKEN, or no token at all, as an Agent wants]
	Auth api.AuthMethod

	// TokenFile is a file that holds a token which somebody else keeps alive,
	// such as the sink of a Vault Agent. It is read at each call. It may not be
	// set beside Auth.
	TokenFile string

	// NoToken sends no token even where VAULT_TOKEN is set: for a Vault Agent
	// or Proxy that adds its own. It may not be set beside Auth, TokenFile or
	// Client.
	NoToken bool

	// Server is what the server is called in the Store's name. Set it where
	// replicas of one rotator reach the same server by different addresses, and
	// where the address does not tell which server it is, as that of a Vault
	// Agent on each host. Once a rotator has run, another name is another store
	// to it, and it stops. [the address]
	Server string

	// Mount is the path of the KV engine that holds the secret, where the
	// server does not tell it. The paths begin with it. It must be of version
	// 2. [the server is asked once, which needs no permission of its own]
	Mount string

	// Field is the field of the secret that holds the key. ["api_key"]
	Field string

	// PendingPath is the path of the secret in which a key is staged, and
	// StatePath that of the rotator's state. They are in the engine of the
	// secret, and no reader of the secret needs access to them.
	// [the secret's path with ".pending", and with ".rotation"]
	PendingPath, StatePath string

	// History is how many versions of the secret Former looks through, from the
	// current one backwards. The engine keeps no more than its max_versions.
	// [10, which is the engine's own default] Negative is keyprovider.ErrInvalid.
	History int

	// ForwardToActive has the active node answer every read too, in a cluster
	// whose standbys answer reads: Vault Enterprise, with
	// allow_forwarding_via_header in its configuration. A server without that
	// refuses every call. Otherwise give the rotator an address that leads to
	// the active node. [false]
	ForwardToActive bool
}

const (
	pendingSuffix  = ".pending"
	stateSuffix    = ".rotation"
	defaultHistory = 10
)

// fill puts the defaults in.
func (o *Options) fill(path string) {
	if o.Field == "" {
		o.Field = keyprovider.DefaultField
	}
	if o.PendingPath == "" {
		o.PendingPath = path + pendingSuffix
	}
	if o.StatePath == "" {
		o.StatePath = path + stateSuffix
	}
	if o.History == 0 {
		o.History = defaultHistory
	}
}

// access is what the options say about the way to the server.
func (o *Options) access() vaultlogin.Access {
	return vaultlogin.Access{
		Client: o.Client, Address: o.Address, Namespace: o.Namespace,
		Auth: o.Auth, TokenFile: o.TokenFile, NoToken: o.NoToken,
		Exact: true, ForwardToActive: o.ForwardToActive,
	}
}

// check refuses options, once filled, that contradict each other or the path.
func (o *Options) check(path string) error {
	for _, p := range []struct{ what, path string }{{"the path", path}, {"Options.PendingPath", o.PendingPath}, {"Options.StatePath", o.StatePath}} {
		if err := vaultlogin.CheckPath(p.what, p.path); err != nil {
			return err
		}
		if o.Mount == "" {
			continue
		}
		if err := vaultlogin.CheckMountOf(p.path, o.Mount); err != nil {
			return err
		}
	}
	if !strings.Contains(path, "/") {
		return invalid("the path names a whole engine: append the name of the secret, as in secret/openai")
	}
	if path == o.PendingPath || path == o.StatePath || o.PendingPath == o.StatePath {
		return invalid("the path, Options.PendingPath and Options.StatePath are three places: a reader must not see a staged key")
	}
	if o.History < 0 {
		return invalid(fmt.Sprintf("Options.History is %d: it is a number of versions, or 0 for %d", o.History, defaultHistory))
	}
	if err := checkField(o.Field); err != nil {
		return err
	}
	if o.Server != "" && (!printable(o.Server) || keyshape.Looks(o.Server)) {
		return invalid("Options.Server is not a name: write one such as vault.example.com")
	}
	access := o.access()
	return access.Check()
}

// checkField refuses a field that would be no name, or would take the place of
// one that describes the key.
func checkField(field string) error {
	switch {
	case keyshape.Looks(field):
		return invalid("the configured field looks like an API key: name the field that holds it")
	case rotation.DescribesKey(field):
		return invalid("Options.Field is the name of a field that describes the key: choose another")
	case !printable(field):
		return invalid("Options.Field has a character that cannot be printed")
	}
	return nil
}

func printable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) < 0
}

func invalid(text string) error {
	return &keyprovider.Error{Class: keyprovider.ErrInvalid, Err: keyprovider.Reason(text, nil)}
}
