// Package vault provides a key from a secret of HashiCorp Vault or OpenBao.
//
//	provider, err := vault.New(ctx, "secret/openai", nil)
//
// The path is the mount of the engine and the name of the secret, as the
// command line takes them ("vault kv get secret/openai"); which version of KV
// serves it is found out. The key is in the field "api_key", or in the one that
// [Options] names. The server's address and TLS come from VAULT_ADDR,
// VAULT_CACERT and the rest of the standard environment, the token from
// VAULT_TOKEN or from a login.
//
// # Logging in
//
//	opts := &vault.Options{Auth: &vault.Kubernetes{Role: "my-service"}}
//
// [AppRole] (also with a response-wrapped secret id), [Kubernetes], [JWT] and
// [Userpass] log in, and so does any other api.AuthMethod. The token is renewed
// at two thirds of its time; where renewal ends, at its max TTL, the method is
// called again. One login runs at a time, and those that fail or do not help are
// spaced, so that a server in trouble is not buried under logins. A token that
// is given in VAULT_TOKEN is renewed as well, if it may look itself up, which
// the policy "default" allows; it cannot be replaced. The first key does not need
// that lookup: it comes after the read, and a denied or slow one is no failure.
//
// A Vault Agent or Proxy needs nothing of this: point VAULT_ADDR or
// Options.Address at it ("unix:///run/vault-agent.sock") and set no token, or
// name the sink file of its token in Options.TokenFile.
//
// # Permissions
//
// One is enough, read on the path of the API:
//
//	path "secret/data/openai" { capabilities = ["read"] }   # KV version 2
//	path "secret/openai"      { capabilities = ["read"] }   # KV version 1
//
// Finding out the version needs none of its own: the first Fetch tries version 2
// below the first part of the path, and asks the server where that does not
// answer. For version 1, a dynamic secret or a mount of several parts, which then
// see one request refused, Options.KVVersion and Mount save both.
//
// Events, if they are wanted, need read on "sys/events/subscribe/kv-v2/*", and on
// Vault 1.16 and later subscribe on the secret's path.
//
// # Rotation
//
// The secret is read at each Fetch, in one call. The key's version is that of
// KV version 2 and the time it was written ("7@2026-11-23T08:00:00.1Z"), since a
// secret that is deleted and made anew counts from 1 again. Where the server
// has events, a change is seen at once; else by polling. See [Provider.Watch].
//
// A dynamic secret, one that comes with a lease, is not polled, because each
// read makes a key. Its lease is renewed at two thirds; where it cannot be
// renewed any longer, a new key is read in time and the old lease is left to
// lapse under the requests that still bear its key.
//
// # Opening by URI
//
//	vault://secret/openai
//	vault://secret/openai?field=token&namespace=team-a&version=3&kv=2
//	vault://secret/openai?auth=kubernetes&role=my-service
//	vault://secret/openai?auth=approle&role_id=r-1&secret_id_file=/run/secret-id&wrapped=true
//
// Parameters: field, version, kv (1 or 2), mount, namespace, address, watch
// (false: DisableWatch), revoke (true: RevokeOnClose), auth (token, token_file,
// none, approle, kubernetes, jwt, userpass), auth_mount, and for the ways to log
// in token_file, role, role_id, role_id_file, secret_id_file, secret_id_env,
// wrapped, jwt_file, jwt_env, username, password_file, password_env. A Client
// and a method of one's own need [New].
//
// # What is not shown
//
// Errors hold neither the key nor a token, and no text of the server's or the
// SDK's: either may repeat what it was given.
package vault
