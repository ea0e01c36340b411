// Package transport puts the API key of this moment on each request.
//
// A [Transport] is an http.RoundTripper between an HTTP client and the network.
// It asks a [KeySource], normally a *rotation.Source, for the current key,
// writes it on a copy of the request, and hands the copy to [Options].Base.
// The application, its client library and its request values never hold the key:
//
//	keys, err := rotation.NewSource(ctx, provider, nil)
//	httpClient, err := transport.NewClient(keys, nil)
//
//	cfg := openai.DefaultConfig("") // sashabaranov/go-openai: no key here
//	cfg.HTTPClient = httpClient
//
// # Where a key goes
//
// Only to the origins in [Options].Origins, by default https://api.openai.com
// alone, and, where [Options].Routes is set, only to those routes. A request to
// another place fails with [ErrOriginNotAllowed] or [ErrRouteNotAllowed] before
// a byte leaves. A scheme, a host and a port must be the same after lower-casing
// of ASCII letters and default ports. A URL with an opaque part, user
// information, a trailing dot, a zone or a non-ASCII host is refused, and so is
// a Host that differs from the URL's.
//
// An origin allowed as http is never reached through a proxy, if Base is an
// *http.Transport (as http.DefaultTransport is). A Base of another type decides
// for itself: use one without a proxy.
//
// On every hop the Transport removes the headers Authorization, Api-Key,
// X-Api-Key and the scheme's own, in any spelling, and OpenAI's key-bearing
// WebSocket subprotocol, whoever set them. So a client library that found a key
// in its environment does not send it.
//
// A redirect that stays on the allowed origins keeps the key. One that leaves
// them goes on without it, and without any header of the client whose name is
// that of a credential (cookies, a jar's included, among them); neither comes
// back later in that chain. A route that is not allowed is refused on a redirect
// to an allowed origin too.
//
// # Refused keys
//
// When the service says that the key is dead (see [Options].Refused), the
// KeySource is told, and the call is repeated once with the key that it offers
// instead. A call whose body cannot be had again (http.Request.GetBody is nil)
// is not repeated, and no body is ever buffered for that. Where there is no
// replacement the caller gets the service's own answer, body intact. A refusal
// of the repeated call goes to the caller as it is; the next call meets it anew.
//
// An answer proves the key alive, and is reported to an [Acceptor], when the
// service can have given it only to a key that it knows: 2xx, 101, and, with a
// JSON body, 403, 429 and a 401 that speaks of something else than the key. Any
// other answer, such as a gateway's 502 or a 404, proves nothing.
//
// When a new key has been accepted, the connections that carried the one before
// are retired: idle ones are closed at once, and on HTTP/2, where header tables
// remember the old key, the next request is the last one on its connection.
// Calls in flight are left alone.
//
// # Telemetry
//
// Each call of an operation of OpenAI's API (chat, responses, embeddings, images
// and so on) is one client span by OpenTelemetry's conventions for generative AI,
// "chat gpt-4o-mini", with the model, the parameters, the usage in tokens and the
// version of the key that served. It lasts until the answer has been read to its
// end, closed or given up, and encloses a replay. Below it, or alone for any other
// call, is one client span by the conventions for HTTP for each attempt. Metrics
// tell durations, times of streams and tokens. Request and answer are read as
// they pass, in bounded memory, and never changed, delayed or kept; no prompt, no
// completion and no header but the service's request id is recorded.
//
// An [Observer] is told the same of each call, and may refuse it: the place for
// budgets, quotas, audits and access logs.
//
// The names, their bounds and the options are in docs/telemetry.md of the
// repository. Where no SDK is set up and no Observer is given, all that is left of
// this is a few atomic loads.
//
// # Security
//
// Nothing that a Transport, an http.Client with it, or a response in mid-stream
// shows, to fmt or to a reflective dumper, holds the key. http.Response.Request
// is the caller's own request, and a caller's httptrace sees a mask. Out of reach
// are the buffers of Base itself, a Base that records requests,
// GODEBUG=http2debug (New warns of it), tls.Config.KeyLogWriter, a debugger and
// a core dump.
//
// # Compatibility
//
// [Options] may grow: use field names. [KeySource] does not grow; new powers
// come as optional interfaces such as [Acceptor].
package transport
