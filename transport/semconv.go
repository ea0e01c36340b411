package transport

import "go.opentelemetry.io/otel/attribute"

// Names from OpenTelemetry's semantic conventions for HTTP clients (stable), for
// generative AI (in development, v0.1.0 of their own repository) and our own.
// They are spelled out here because the packages of generated constants come and
// go with versions of the conventions.
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

	attrOperation        = attribute.Key("gen_ai.operation.name")
	attrProvider         = attribute.Key("gen_ai.provider.name")
	attrRequestModel     = attribute.Key("gen_ai.request.model")
	attrRequestStream    = attribute.Key("gen_ai.request.stream")
	attrMaxTokens        = attribute.Key("gen_ai.request.max_tokens")
	attrChoiceCount      = attribute.Key("gen_ai.request.choice.count")
	attrSeed             = attribute.Key("gen_ai.request.seed")
	attrTemperature      = attribute.Key("gen_ai.request.temperature")
	attrTopP             = attribute.Key("gen_ai.request.top_p")
	attrFrequencyPenalty = attribute.Key("gen_ai.request.frequency_penalty")
	attrPresencePenalty  = attribute.Key("gen_ai.request.presence_penalty")
	attrStopSequences    = attribute.Key("gen_ai.request.stop_sequences")
	attrReasoningLevel   = attribute.Key("gen_ai.request.reasoning.level") // not in v1.41
	attrTopK             = attribute.Key("gen_ai.request.top_k")
	attrPreviousResponse = attribute.Key("gen_ai.request.previous_response.id") // not in v1.41
	attrPromptName       = attribute.Key("gen_ai.prompt.name")                  // a stored prompt's id; on spans of inference not in v1.41
	attrPromptVersion    = attribute.Key("gen_ai.prompt.version")               // not in v1.41
	attrEncodingFormats  = attribute.Key("gen_ai.request.encoding_formats")
	attrDimensions       = attribute.Key("gen_ai.embeddings.dimension.count")
	attrConversation     = attribute.Key("gen_ai.conversation.id")
	attrOutputType       = attribute.Key("gen_ai.output.type")
	attrResponseID       = attribute.Key("gen_ai.response.id")
	attrResponseModel    = attribute.Key("gen_ai.response.model")
	attrFinishReasons    = attribute.Key("gen_ai.response.finish_reasons")
	attrFirstChunk       = attribute.Key("gen_ai.response.time_to_first_chunk")
	attrInputTokens      = attribute.Key("gen_ai.usage.input_tokens")
	attrOutputTokens     = attribute.Key("gen_ai.usage.output_tokens")
	attrCacheRead        = attribute.Key("gen_ai.usage.cache_read.input_tokens")
	attrCacheWrite       = attribute.Key("gen_ai.usage.cache_write.input_tokens")
	attrCacheCreation    = attribute.Key("gen_ai.usage.cache_creation.input_tokens") // v1.41's name of the same
	attrReasoningTokens  = attribute.Key("gen_ai.usage.reasoning.output_tokens")
	attrTextInput        = attribute.Key("gen_ai.usage.text.input_tokens") // these six are not in v1.41
	attrAudioInput       = attribute.Key("gen_ai.usage.audio.input_tokens")
	attrImageInput       = attribute.Key("gen_ai.usage.image.input_tokens")
	attrTextOutput       = attribute.Key("gen_ai.usage.text.output_tokens")
	attrAudioOutput      = attribute.Key("gen_ai.usage.audio.output_tokens")
	attrImageOutput      = attribute.Key("gen_ai.usage.image.output_tokens")
	attrTokenType        = attribute.Key("gen_ai.token.type") // v1.41
	attrTokenModality    = attribute.Key("gen_ai.token.modality")
	attrAPIType          = attribute.Key("openai.api.type")
	attrRequestTier      = attribute.Key("openai.request.service_tier")
	attrResponseTier     = attribute.Key("openai.response.service_tier")
	attrFingerprint      = attribute.Key("openai.response.system_fingerprint")

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

// Events on the span of an operation.
const (
	eventRefused  = "keybearer.key.refused"
	eventReplayed = "keybearer.call.replayed"
	eventPrevious = "keybearer.key.previous" // the previous key stands in
)
