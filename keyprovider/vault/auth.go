package vault

import (
	"context"

	"github.com/hashicorp/vault/api"

	"github.com/keybearer/keybearer/internal/vaultlogin"
)

// checker is implemented by the methods of this package, so that New can refuse
// what Login would.
type checker interface{ check() error }

var (
	_ api.AuthMethod = (*AppRole)(nil)
	_ api.AuthMethod = (*Kubernetes)(nil)
	_ api.AuthMethod = (*JWT)(nil)
	_ api.AuthMethod = (*Userpass)(nil)
)

// AppRole logs in with a role id and a secret id. It must not be copied.
//
// What its files and variables hold is read anew at each login.
type AppRole struct {
	// RoleID is the id of the role, or RoleIDFile the file that holds it.
	RoleID, RoleIDFile string

	// SecretIDFile is the file that holds the secret id, or SecretIDEnv the
	// environment variable.
	SecretIDFile, SecretIDEnv string

	// Wrapped tells that they hold a response-wrapping token with the secret id
	// in it. It is checked to come from this mount, opened once, and what was
	// in it is kept for later logins, in memory alone. A wrapping token that
	// was used before is keyprovider.ErrDenied: put a new one in its place.
	Wrapped bool

	// Mount is where the method is enabled, below auth/. ["approle"]
	Mount string

	wrapped vaultlogin.Wrapped
}

func (a *AppRole) secretID() vaultlogin.Credential {
	return vaultlogin.Credential{File: a.SecretIDFile, Env: a.SecretIDEnv}
}

func (a *AppRole) check() error {
	switch {
	case (a.RoleID == "") == (a.RoleIDFile == ""):
		return invalid("AppRole needs one of RoleID and RoleIDFile")
	case a.RoleID != "":
		if err := vaultlogin.CheckName("the role id", a.RoleID); err != nil {
			return err
		}
	default:
		if err := vaultlogin.CheckFile("the role id", a.RoleIDFile); err != nil {
			return err
		}
	}
	return checkBoth(a.secretID().Check("the secret id"), mountOr(a.Mount, "approle"))
}

// Login implements api.AuthMethod.
func (a *AppRole) Login(ctx context.Context, client *api.Client) (*api.Secret, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	mount, role := mountOr(a.Mount, "approle"), a.RoleID
	if role == "" {
		var err error
		if role, err = (vaultlogin.Credential{File: a.RoleIDFile}).Read("the role id"); err != nil {
			return nil, err
		}
	}
	secretID, err := a.secretID().Read("the secret id")
	if err == nil && a.Wrapped {
		secretID, err = a.wrapped.SecretID(ctx, client, mount, secretID)
	}
	if err != nil {
		return nil, err
	}
	return vaultlogin.Post(ctx, client, mount, "login", map[string]any{"role_id": role, "secret_id": secretID})
}

// Kubernetes logs in with the token of the pod's service account.
type Kubernetes struct {
	// Role is the role of the method.
	Role string

	// TokenFile holds the service account's token. It is read anew at each
	// login, because the kubelet replaces it before it expires.
	// ["/var/run/secrets/kubernetes.io/serviceaccount/token"]
	TokenFile string

	// Mount is where the method is enabled, below auth/. ["kubernetes"]
	Mount string
}

func (k *Kubernetes) jwt() *JWT {
	j := &JWT{Role: k.Role, File: k.TokenFile, Mount: mountOr(k.Mount, "kubernetes")}
	if j.File == "" {
		j.File = vaultlogin.ServiceAccountToken
	}
	return j
}

func (k *Kubernetes) check() error {
	if k.Role == "" {
		return invalid("Kubernetes needs a Role")
	}
	return k.jwt().check()
}

// Login implements api.AuthMethod.
func (k *Kubernetes) Login(ctx context.Context, client *api.Client) (*api.Secret, error) {
	if err := k.check(); err != nil {
		return nil, err
	}
	return k.jwt().Login(ctx, client)
}

// JWT logs in with a JSON Web Token that a platform issues: a SPIFFE JWT-SVID,
// the id token of a CI job, a projected token of Kubernetes.
type JWT struct {
	// Role is the role of the method. ["", the method's default role]
	Role string

	// File holds the token, or Env names the environment variable that does.
	// Either is read anew at each login.
	File, Env string

	// Mount is where the method is enabled, below auth/. ["jwt"]
	Mount string
}

func (j *JWT) token() vaultlogin.Credential { return vaultlogin.Credential{File: j.File, Env: j.Env} }

func (j *JWT) check() error {
	if j.Role != "" {
		if err := vaultlogin.CheckName("the role", j.Role); err != nil {
			return err
		}
	}
	return checkBoth(j.token().Check("the JWT"), mountOr(j.Mount, "jwt"))
}

// Login implements api.AuthMethod.
func (j *JWT) Login(ctx context.Context, client *api.Client) (*api.Secret, error) {
	if err := j.check(); err != nil {
		return nil, err
	}
	token, err := j.token().Read("the JWT")
	if err != nil {
		return nil, err
	}
	body := map[string]any{"jwt": token}
	if j.Role != "" {
		body["role"] = j.Role
	}
	return vaultlogin.Post(ctx, client, mountOr(j.Mount, "jwt"), "login", body)
}

// Userpass logs in with a user name and a password. The LDAP, RADIUS and Okta
// methods are called in the same way: set Mount.
type Userpass struct {
	// Username is the name of the user.
	Username string

	// PasswordFile is the file that holds the password, or PasswordEnv the
	// environment variable. Either is read anew at each login.
	PasswordFile, PasswordEnv string

	// Mount is where the method is enabled, below auth/. ["userpass"]
	Mount string
}

func (u *Userpass) password() vaultlogin.Credential {
	return vaultlogin.Credential{File: u.PasswordFile, Env: u.PasswordEnv}
}

func (u *Userpass) check() error {
	if err := vaultlogin.CheckName("the user name", u.Username); err != nil {
		return err
	}
	return checkBoth(u.password().Check("the password"), mountOr(u.Mount, "userpass"))
}

// Login implements api.AuthMethod.
func (u *Userpass) Login(ctx context.Context, client *api.Client) (*api.Secret, error) {
	if err := u.check(); err != nil {
		return nil, err
	}
	password, err := u.password().Read("the password")
	if err != nil {
		return nil, err
	}
	return vaultlogin.Post(ctx, client, mountOr(u.Mount, "userpass"), "login/"+u.Username, map[string]any{"password": password})
}

func mountOr(mount, fallback string) string {
	if mount == "" {
		return fallback
	}
	return mount
}

func checkBoth(credential error, mount string) error {
	if credential != nil {
		return credential
	}
	return vaultlogin.CheckMount(mount)
}
