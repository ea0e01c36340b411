// Package clients holds tests that drive the OpenAI client libraries of Go, the
// official openai-go and go-openai, through transport and rotation against a
// fake of the service. It is a module of its own, so that the core's does not
// grow by the libraries' dependencies.
//
// What it shows of openai-go, v3.96.0:
//
//   - A key that the library finds in OPENAI_API_KEY, or is given by an option,
//     is replaced before the request leaves. Its own debug log and
//     [openai.Error.DumpRequest] know only that key: the Source's appears in
//     neither.
//   - Its retries pass through the Transport one by one: each bears the key of
//     its moment.
//   - It refuses a redirect to another origin itself.
//   - azure.WithAPIKey wants some key: any placeholder will do. But
//     azure.WithUnsafeAllowHTTP takes the plain-text connection to a local
//     server past every custom http.RoundTripper, the Transport included.
//
// And of go-openai, v1.43.0: in its Anthropic mode it sets no credential at all,
// so that a Transport with the scheme Header("x-api-key") is what makes it work.
//
// [openai.Error.DumpRequest]: https://pkg.go.dev/github.com/openai/openai-go/v3#Error.DumpRequest
package clients
