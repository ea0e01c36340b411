package transport

import "go.opentelemetry.io/otel/attribute"

// Names from OpenTelemetry's semantic conventions for HTTP clients (stable), and
// our own. They are spelled out here because the packages of generated constants
// come and go with versions of the conventions.
const (
	attrMethod         = attribute.Key("http.request.method")
	attrMethodOriginal = attribute.Key("http.request.method_original")
	attrResendCount    = attribute.Key("http.request.resend_count")
	attrStatusCode     = attribute.Key("http.response.status_code")
	attrRequestID      = attribute.Key("http.response.header.x-request-id")
	attrServerAddress  = attribute.Key("server.address")
	attrServerPort     = attribute.Key("server.port")
	attrURLFull        = attribute.Key("url.full")
	attrProtocol       = attribute.Key("network.protocol.version")
	attrErrorType      = attribute.Key("error.type")

	attrKeyVersion     = attribute.Key("keybearer.key.version")
	attrKeyFingerprint = attribute.Key("keybearer.key.fingerprint")
	attrOutcome        = attribute.Key("keybearer.refusal.outcome")
)

const (
	scopeName    = "github.com/keybearer/keybearer/transport"
	otherMethod  = "_OTHER" // of an unknown method, and of an unknown error
	otherError   = "_OTHER"
	unknownSpan  = "HTTP" // the name of a span whose method is unknown
	refusalsName = "keybearer.transport.refusals"
)
