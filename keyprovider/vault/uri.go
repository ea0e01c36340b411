package vault

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/keybearer/keybearer/internal/sourceuri"
	"github.com/keybearer/keybearer/internal/vaultlogin"
	"github.com/keybearer/keybearer/keyprovider"
)

func init() { keyprovider.Register("vault", open) }

// parameters are those of a URI, each with the ways to log in that take it; nil
// for one that goes with any.
var parameters = map[string][]string{
	"field": nil, "version": nil, "kv": nil, "mount": nil, "namespace": nil, "address": nil,
	"watch": nil, "revoke": nil, "auth": nil,
	"token_file":     {"token_file", "kubernetes"},
	"role":           {"kubernetes", "jwt"},
	"role_id":        {"approle"},
	"role_id_file":   {"approle"},
	"secret_id_file": {"approle"},
	"secret_id_env":  {"approle"},
	"wrapped":        {"approle"},
	"jwt_file":       {"jwt"},
	"jwt_env":        {"jwt"},
	"username":       {"userpass"},
	"password_file":  {"userpass"},
	"password_env":   {"userpass"},
	"auth_mount":     {"approle", "kubernetes", "jwt", "userpass"},
}

// open implements keyprovider.OpenFunc.
func open(ctx context.Context, u *url.URL) (keyprovider.KeyProvider, error) {
	path, opts, err := parse(u)
	if err != nil {
		return nil, vaultlogin.Named("vault", err)
	}
	p, err := New(ctx, path, opts)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// parse takes a URI apart. Its errors do not repeat it.
func parse(u *url.URL) (path string, opts *Options, err error) {
	query, err := sourceuri.Query(u, slices.Sorted(maps.Keys(parameters))...)
	if err != nil {
		return "", nil, err
	}
	switch {
	case u.Opaque != "" || u.Host == "":
		return "", nil, invalid("the source has no mount after two slashes: write vault://mount/path")
	case u.User != nil:
		return "", nil, invalid("the source has a user or password part, which no source takes")
	case u.Port() != "" || strings.HasSuffix(u.Host, ":"):
		return "", nil, invalid("the source names a server: write vault://mount/path, and the server in VAULT_ADDR or the parameter address")
	}
	// The mount is where other URIs have a host. The path is decoded once, here.
	path = u.Host + u.Path
	q := values{query}
	opts = &Options{
		Address:       q.Get("address"),
		Namespace:     q.Get("namespace"),
		Mount:         q.Get("mount"),
		Field:         q.Get("field"),
		KVVersion:     q.number("kv", &err),
		Version:       q.number("version", &err),
		RevokeOnClose: q.truth("revoke", false, &err),
		DisableWatch:  !q.truth("watch", true, &err),
	}
	if err == nil {
		err = q.login(opts)
	}
	return path, opts, err
}

// values are the parameters of a URI.
type values struct{ url.Values }

func (q values) number(name string, err *error) int {
	text := q.Get(name)
	if text == "" {
		return 0
	}
	n, bad := strconv.Atoi(text)
	if bad != nil || n <= 0 {
		*err = invalid("parameter " + name + " is not a positive number: leave it out for the default")
		return 0
	}
	return n
}

func (q values) truth(name string, fallback bool, err *error) bool {
	switch q.Get(name) {
	case "":
		return fallback
	case "true":
		return true
	case "false":
		return false
	}
	*err = invalid("parameter " + name + " is neither true nor false")
	return false
}

// login sets the way to log in.
func (q values) login(opts *Options) error {
	auth := q.Get("auth")
	mount, tokenFile := q.Get("auth_mount"), q.Get("token_file")
	switch auth {
	case "", "token":
		if auth == "" && tokenFile != "" {
			auth, opts.TokenFile = "token_file", tokenFile
		}
	case "token_file":
		if tokenFile == "" {
			return invalid("auth=token_file needs the parameter token_file")
		}
		opts.TokenFile = tokenFile
	case "none":
		opts.NoToken = true
	case "approle":
		opts.Auth = &AppRole{
			RoleID: q.Get("role_id"), RoleIDFile: q.Get("role_id_file"),
			SecretIDFile: q.Get("secret_id_file"), SecretIDEnv: q.Get("secret_id_env"),
			Wrapped: q.Get("wrapped") == "true", Mount: mount,
		}
	case "kubernetes":
		opts.Auth = &Kubernetes{Role: q.Get("role"), TokenFile: tokenFile, Mount: mount}
	case "jwt":
		opts.Auth = &JWT{Role: q.Get("role"), File: q.Get("jwt_file"), Env: q.Get("jwt_env"), Mount: mount}
	case "userpass":
		opts.Auth = &Userpass{Username: q.Get("username"), PasswordFile: q.Get("password_file"), PasswordEnv: q.Get("password_env"), Mount: mount}
	default:
		return invalid("parameter auth is none of token, token_file, none, approle, kubernetes, jwt, userpass; other ways to log in need vault.New")
	}
	return q.fits(auth)
}

// fits refuses a parameter that the chosen way to log in does not take: it was
// meant for something.
func (q values) fits(auth string) error {
	var bad error
	if q.truth("wrapped", false, &bad); bad != nil {
		return bad
	}
	for _, name := range slices.Sorted(maps.Keys(q.Values)) {
		if ways := parameters[name]; ways != nil && !slices.Contains(ways, auth) {
			return invalid("parameter " + name + " needs the parameter auth=" + strings.Join(ways, " or auth="))
		}
	}
	return nil
}
