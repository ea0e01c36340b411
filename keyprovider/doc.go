// Package keyprovider is the contract between a place that stores an API key
// and the code that uses the key.
//
// A [KeyProvider] fetches the current key from one place: an environment
// variable, a file, HashiCorp Vault, a cloud's secret manager. Each backend is
// a package of its own below this one, so that a program compiles only the
// SDKs that it uses. A [Key] carries the secret in such a way that printing,
// logging or encoding it by accident shows its version and fingerprint, never
// the secret.
//
// Most programs construct a provider, hand it to rotation.NewSource, and never
// call Fetch themselves:
//
//	provider, err := env.New("OPENAI_API_KEY", nil)
//	keys, err := rotation.NewSource(ctx, provider, nil)
//
// A program that takes the place from its configuration uses [Open] with a URI
// such as env://OPENAI_API_KEY or file:///run/secrets/openai. The URI names a
// place and never holds a key: where a key is pasted instead, the error says
// so without repeating it.
//
// # Errors
//
// A failed Fetch belongs to one of four classes: [ErrNotFound], [ErrDenied],
// [ErrUnavailable] and [ErrInvalid]; [Class] tells which. The error also wraps
// what the store's SDK returned, for errors.As, but does not print its text:
// an SDK's message may quote what it was given.
//
// # Writing a provider
//
// Implement [KeyProvider] and, where the store allows it, [Watcher] and
// [Poller]; return keys made by [NewKey] or [ParseKey] and errors of type
// [*Error]; call [Register] if it should open by URI. Package
// keyprovider/keyprovidertest holds the conformance suite that every backend
// of this module passes.
//
// # Compatibility
//
// The interfaces of this package do not grow; new powers come as optional
// interfaces. Structs may grow: use field names in their literals.
package keyprovider
