// Package vaultstore keeps the key that a rotation.Rotator rotates in a secret
// of HashiCorp Vault or OpenBao.
//
//	store, err := vaultstore.New(ctx, "secret/openai", nil)
//	rotator, err := rotation.NewRotator(issuer, store, nil)
//
// The path is the mount of the engine and the name of the secret, as the
// command line takes them. The server's address and TLS come from VAULT_ADDR,
// VAULT_CACERT and the rest of the standard environment, the token from
// VAULT_TOKEN or from a login: see Options. Services read the key with
// keyprovider/vault, or with anything else that reads the secret.
//
// The engine is KV version 2. Version 1 is refused: it cannot compare before it
// writes, so that two rotators would overwrite each other's keys.
//
// # Places
//
//	secret/openai            the key that readers get
//	secret/openai.pending    a key that is staged: minted, not yet promoted
//	secret/openai.rotation   the rotator's state, which holds no key
//
// [Options] name others. Readers need access to the first alone. docs/vault.md
// has the policies, ready to use.
//
// Every write says which version it replaces (check-and-set), also where the
// engine does not require it, and none is sent twice: an error of class
// keyprovider.ErrUnavailable may mean that it took effect, and the next read
// tells.
//
// # What stays beside the key
//
// The key is in the field "api_key", or in the one that Options.Field names. The
// fields key_id, service_account_id, rotation_id, created_at and expires_at
// describe it and are replaced with it. All other fields of the secret, such as
// an organization or a base URL that services read from there too, stay as they
// are in the current version, also when a former key is put back. A secret is
// for one key: a second one in another field of it cannot be rotated.
//
// # Consistency
//
// A write is compared by the active node. Standbys that answer reads (Vault
// Enterprise, OpenBao from 2.5 on) may answer with the past; what a Store has
// seen itself Vault Enterprise does not answer with less than. Let the
// rotator's address lead to the active node, or set Options.ForwardToActive.
//
// # Errors
//
//   - rotation.ErrConflict: somebody else wrote first; nothing was changed.
//   - keyprovider.ErrNotFound: there is no secret, or its latest version was
//     deleted or destroyed.
//   - keyprovider.ErrDenied: the server refuses the login, or the call.
//   - keyprovider.ErrInvalid: the secret holds no key in this field, the engine
//     is not KV version 2, or the server does not understand the request.
//   - keyprovider.ErrUnavailable: the server cannot be reached, is sealed,
//     overloaded, or a standby that cannot answer (HTTP 412, 472, 473), or what
//     answers is not Vault. Only after this one a write may have taken effect.
//
// They hold neither a key nor a token, and no text of the server's.
package vaultstore
