package vaultlogin

import (
	"reflect"

	"github.com/hashicorp/vault/api"
)

// Access is how a backend reaches the server and who it is there. It is the
// part of the options that backends have in common; their documentation says
// what each field means.
type Access struct {
	Client             *api.Client
	Address, Namespace string

	Auth      api.AuthMethod
	TokenFile string
	NoToken   bool

	// Exact and ForwardToActive are those of [Config].
	Exact, ForwardToActive bool
}

// Check refuses what contradicts itself.
func (a *Access) Check() error {
	switch {
	case a.Client != nil && (a.Address != "" || a.Namespace != "" || a.NoToken):
		return invalid("Options.Client has an address, a namespace and a token of its own: leave out Address, Namespace and NoToken", nil)
	case a.Auth != nil && a.TokenFile != "" || a.NoToken && (a.Auth != nil || a.TokenFile != ""):
		return invalid("choose one of Options.Auth, TokenFile and NoToken", nil)
	case a.Auth != nil && isNil(a.Auth):
		return invalid("Options.Auth is a nil pointer: leave it out, or fill it in", nil)
	case a.TokenFile != "":
		return CheckFile("the token", a.TokenFile)
	}
	return nil
}

// isNil reports whether an interface holds a nil pointer.
func isNil(v any) bool {
	r := reflect.ValueOf(v)
	return r.Kind() == reflect.Pointer && r.IsNil()
}

// Open returns a session, and the client that says where its server is. It does
// not call the server.
func (a *Access) Open() (*Session, *api.Client, error) {
	cfg := Config{
		Client: a.Client, Borrowed: a.Client != nil, Method: a.Auth, TokenFile: a.TokenFile,
		Exact: a.Exact, ForwardToActive: a.ForwardToActive,
	}
	if cfg.Client == nil {
		client, err := NewClient(a.Address, a.Namespace)
		if err != nil {
			return nil, nil, err
		}
		if a.NoToken {
			client.ClearToken()
		}
		cfg.Client = client
	}
	session, err := New(cfg)
	return session, cfg.Client, err
}
