// Package keybearer is the overview of a library by which a Go service calls
// OpenAI, or anything that speaks its API, without holding the API key. The
// code is in the packages below it.
//
// A service names a place. A provider fetches the key from there, a source
// holds it and swaps it when the store's changes, and a transport puts the key
// of the moment on each request:
//
//		provider, err := env.New("OPENAI_API_KEY", nil)
//		keys, err := rotation.NewSource(ctx, provider, nil)
//		httpClient, err := transport.NewClient(keys, nil)
//
//	  - Package keyprovider is the contract of a provider, with keyprovider.Open for
//	    places that come from configuration. A backend is a package below it.
//	  - Package rotation holds the key: rotation.Source. It also drives a rotation
//	    from end to end: rotation.Rotator.
//	  - Package transport is the http.RoundTripper.
//	  - Package keyprovider/keyprovidertest helps to test what uses keys, and holds
//	    the conformance suite for providers.
//
// # Rotation model
//
// When a key is rotated in the store, calls in flight finish with the old one
// and the next call bears the new one. The source learns of it by the store's
// own notification, by polling, or because the service refused the old key; a
// refused call is repeated once, with the new key, if its body can be had again.
// If the service does not accept the new key yet, the previous one serves while
// the overlap lasts.
//
// # Failure policy
//
// The service decides whether a key is alive, not the store. While the store is
// down, denies access, has lost the secret or holds something malformed, the
// last good key goes on serving and Health says why; options bound how long. A
// key with a first-hand expiry (a token, a lease) is fetched anew before, and
// not used after it.
//
// # Telemetry
//
// By OpenTelemetry's conventions, a span covers each call of a model, with what
// it asked for and the tokens that it took, and one below it each attempt, with
// the version and the fingerprint of the key that it bore; a root span covers
// each fetch. Metrics tell durations, tokens, fetches, swaps, refusals, the key's
// age and whether the source is degraded. No header, no query, no content, no
// error text.
//
// # Security
//
// No function takes a key from an application's configuration. A key shows its
// version and fingerprint wherever it is printed, logged or encoded, and goes to
// the allowed origins alone, never along with a redirect that leaves them. What
// cannot be promised is in SECURITY.md.
//
// # Compatibility
//
// Before version 1.0 a minor version may break what is not about the eight
// promises of CONTRIBUTING.md; the changelog says so. The two newest Go releases
// are supported.
package keybearer
