package transport

import (
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Options configure a Transport. The zero value is the good default for OpenAI.
// They are read by New, which keeps no reference to the slices.
type Options struct {
	// Base sends the requests. nil means http.DefaultTransport. It sees the key:
	// a Base that logs requests logs it. Its idle connections, those of other
	// users too, are closed once after each rotation.
	Base http.RoundTripper

	// Origins are the places that the key may be sent to: scheme, host and port,
	// without a path. None means https://api.openai.com alone. "http://..." allows
	// exactly that origin in plain text.
	Origins []string

	// Routes are patterns of http.ServeMux, such as "POST /v1/chat/completions"
	// or "GET /v1/models/{id}", of which a request must match one. None allows
	// all. A path that the ServeMux would redirect to a cleaner one does not
	// match; a pattern for GET matches HEAD too.
	Routes []string

	// Scheme is where on the request the key is written. The zero value is
	// Bearer().
	Scheme Scheme

	// Refused reports whether an answer says that the key is dead: wrong,
	// deleted, deactivated or expired. A true one has the key replaced and the
	// call repeated. It is asked for each answer of class 4xx, with at most the
	// first 64 KiB of the body as they came; the slice is its own.
	//
	// nil means OpenAI's rules: a 401 is a dead key unless it speaks of something
	// else (ip_not_authorized, mismatched_organization, no_organization,
	// account_deactivated, missing scopes). Never a 403, which is a matter of
	// permission, and never a 429.
	Refused func(status int, h http.Header, body []byte) bool

	// TracerProvider and MeterProvider are OpenTelemetry's. nil means the global
	// ones; a global tracer provider may be set later than the Transport is made.
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider

	// Propagator writes the trace context on requests to the allowed origins. nil
	// means that none is written: the service is a third party.
	Propagator propagation.TextMapPropagator

	// Observers are told of each call that bears a key, and may refuse it.
	Observers []Observer

	// Conventions are the version of the conventions for generative AI whose
	// names spans and metrics have. The zero value is the newest published one.
	Conventions Conventions

	// GenAIProviderName is the gen_ai.provider.name of the service. "" means what
	// follows from the host: "openai", "azure.ai.openai", "groq" and so on, and
	// "openai" for a host that is not known.
	GenAIProviderName string

	// DisableHTTPTelemetry turns the spans of attempts and the metric
	// http.client.request.duration off, for a program that has them from
	// elsewhere, such as otelhttp around or below the Transport.
	DisableHTTPTelemetry bool

	// Logger is given the warnings of New, and each key that the service refuses,
	// once. nil means slog.Default().
	Logger *slog.Logger
}

// settings are checked Options.
type settings struct {
	base  http.RoundTripper
	plain *http.Transport // for http origins, where base might use a proxy; else nil

	origins origins
	routes  routes
	scheme  Scheme
	refused func(status int, h http.Header, body []byte) bool

	tracing     tracing
	httpSpans   bool
	meters      *meters
	refusals    refusals
	conventions Conventions
	provider    string // gen_ai.provider.name, or ""
	observers   []Observer
	propagator  propagation.TextMapPropagator
	logger      *slog.Logger
}

func newSettings(opts *Options) (*settings, error) {
	if opts == nil {
		opts = &Options{}
	}
	s := &settings{
		base:        opts.Base,
		scheme:      opts.Scheme,
		refused:     opts.Refused,
		tracing:     newTracing(opts.TracerProvider),
		httpSpans:   !opts.DisableHTTPTelemetry,
		meters:      newMeters(newInstruments(opts.MeterProvider, opts.Conventions, !opts.DisableHTTPTelemetry)),
		observers:   slices.Clone(opts.Observers),
		provider:    opts.GenAIProviderName,
		conventions: opts.Conventions,
		refusals:    newRefusals(opts.MeterProvider),
		propagator:  opts.Propagator,
		logger:      opts.Logger,
	}
	if opts.Conventions < GenAILatest || opts.Conventions > GenAIBoth {
		return nil, invalid("Options.Conventions is none of GenAILatest, GenAI141 and GenAIBoth")
	}
	for i, ob := range s.observers {
		if ob == nil {
			return nil, invalid("Options.Observers[" + strconv.Itoa(i) + "] is nil")
		}
	}
	var err error
	if s.origins, err = parseOrigins(opts.Origins); err != nil {
		return nil, err
	}
	if s.routes, err = parseRoutes(opts.Routes, s.origins); err != nil {
		return nil, err
	}
	if err := s.scheme.check(); err != nil {
		return nil, err
	}
	s.scheme = s.scheme.canonical()
	if s.base == nil {
		s.base = http.DefaultTransport
	}
	if _, ok := s.base.(*Transport); ok {
		return nil, invalid("Options.Base is a Transport of this package: one request bears one key")
	}
	s.plain = withoutProxy(s.base, s.origins)
	return s, nil
}

// withoutProxy returns the base for http origins, or nil where base itself will
// do. A proxy reads what passes through it in plain text, so an *http.Transport
// that could use one is cloned without; the clone has connections of its own.
func withoutProxy(base http.RoundTripper, list origins) *http.Transport {
	t, ok := base.(*http.Transport)
	if !ok || t.Proxy == nil {
		return nil
	}
	for _, o := range list {
		if o.scheme == "http" {
			clone := t.Clone()
			clone.Proxy = nil
			return clone
		}
	}
	return nil
}

// baseFor returns the http.RoundTripper for a hop.
func (s *settings) baseFor(h hop) http.RoundTripper {
	if s.plain != nil && !h.bare() && h.origin.scheme == "http" {
		return s.plain
	}
	return s.base
}

// closeIdle closes the idle connections of the bases that can.
func (s *settings) closeIdle() {
	type idler interface{ CloseIdleConnections() }
	if c, ok := s.base.(idler); ok {
		c.CloseIdleConnections()
	}
	if s.plain != nil {
		s.plain.CloseIdleConnections()
	}
}

func (s *settings) log() *slog.Logger {
	if s.logger == nil {
		return slog.Default()
	}
	return s.logger
}

// warnOfDebugging says so where net/http prints the header fields of HTTP/2,
// the key among them, to standard error.
func (s *settings) warnOfDebugging() {
	setting := os.Getenv("GODEBUG")
	if !strings.Contains(setting, "http2debug=1") && !strings.Contains(setting, "http2debug=2") {
		return // as net/http reads it
	}
	s.log().Warn("keybearer: GODEBUG=http2debug writes the API key of every HTTP/2 request to standard error: unset it")
}
