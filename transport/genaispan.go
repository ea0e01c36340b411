package transport

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/keybearer/keybearer/internal/genai"
)

// startSpan starts the span of an operation, which encloses its attempts.
func (o *operation) startSpan(tracer trace.Tracer) {
	attrs := append(o.attrs[:0], // those that a sampler may go by first
		attrOperation.String(o.info.Operation),
		attrProvider.String(o.info.Provider),
		attrServerAddress.String(o.info.ServerAddress),
		attrServerPort.Int(o.info.ServerPort))
	if o.route.API != "" {
		attrs = append(attrs, attrAPIType.String(o.route.API))
	}
	attrs = o.requestAttributes(attrs)
	o.used = min(len(attrs), len(o.attrs))
	o.options = [...]trace.SpanStartOption{clientKind, trace.WithTimestamp(o.info.Start), trace.WithAttributes(attrs...)}
	ctx, span := tracer.Start(o.ctx, o.spanName(), o.options[:]...)
	o.ctx = ctx // also of a span that is not recorded: the attempts are not to be sampled for themselves
	if span.IsRecording() {
		o.span = span
	}
}

// spanName is "chat gpt-4o-mini", or "chat" as long as no model is known.
func (o *operation) spanName() string {
	if o.info.Model == "" {
		return o.info.Operation
	}
	return o.info.Operation + " " + clip(o.info.Model)
}

// rename follows a model's name that came after the start.
func (o *operation) rename() {
	if o.span != nil {
		o.span.SetName(o.spanName())
		o.span.SetAttributes(attrRequestModel.String(clip(o.info.Model)))
	}
}

// requestAttributes adds what the request says of itself.
func (o *operation) requestAttributes(attrs []attribute.KeyValue) []attribute.KeyValue {
	r := &o.request.Request
	attrs = addText(attrs, attrRequestModel, o.info.Model)
	if r.Stream {
		attrs = append(attrs, attrRequestStream.Bool(true))
	}
	if r.MaxTokens.Set {
		attrs = append(attrs, attrMaxTokens.Int64(r.MaxTokens.Value))
	}
	if r.Choices.Set && r.Choices.Value != 1 {
		attrs = append(attrs, attrChoiceCount.Int64(r.Choices.Value))
	}
	if r.Seed.Set {
		attrs = append(attrs, attrSeed.Int64(r.Seed.Value))
	}
	if r.Temperature.Set {
		attrs = append(attrs, attrTemperature.Float64(r.Temperature.Value))
	}
	if r.TopP.Set {
		attrs = append(attrs, attrTopP.Float64(r.TopP.Value))
	}
	if r.TopK.Set {
		attrs = append(attrs, o.topK(r.TopK.Value))
	}
	if r.FrequencyPenalty.Set {
		attrs = append(attrs, attrFrequencyPenalty.Float64(r.FrequencyPenalty.Value))
	}
	if r.PresencePenalty.Set {
		attrs = append(attrs, attrPresencePenalty.Float64(r.PresencePenalty.Value))
	}
	if len(r.Stop) > 0 {
		attrs = append(attrs, attrStopSequences.StringSlice(r.Stop))
	}
	if r.Dimensions.Set {
		attrs = append(attrs, attrDimensions.Int64(r.Dimensions.Value))
	}
	if r.EncodingFormat != "" {
		attrs = append(attrs, attrEncodingFormats.StringSlice([]string{clip(r.EncodingFormat)}))
	}
	if r.ServiceTier != "auto" {
		attrs = addText(attrs, attrRequestTier, r.ServiceTier)
	}
	if o.conventions.latest() {
		attrs = addText(attrs, attrReasoningLevel, r.Reasoning)
		attrs = addText(attrs, attrPreviousResponse, r.Previous)
		attrs = addText(attrs, attrPromptName, r.Prompt)
		attrs = addText(attrs, attrPromptVersion, r.PromptVersion)
	}
	attrs = addText(attrs, attrConversation, r.Conversation)
	return addText(attrs, attrOutputType, r.OutputType)
}

// topK is a whole number by now, and was none in v1.41.
func (o *operation) topK(k int64) attribute.KeyValue {
	if o.conventions.latest() {
		return attrTopK.Int64(k)
	}
	return attrTopK.Float64(float64(k))
}

// responseAttributes adds what the answer says of itself.
func (o *operation) responseAttributes(attrs []attribute.KeyValue) []attribute.KeyValue {
	r := &o.answer.Response
	attrs = addText(attrs, attrResponseID, r.ID)
	attrs = addText(attrs, attrResponseModel, r.Model)
	attrs = addText(attrs, attrResponseTier, r.ServiceTier)
	attrs = addText(attrs, attrFingerprint, r.Fingerprint)
	if len(r.FinishReasons) > 0 {
		attrs = append(attrs, finishReasons(r.FinishReasons))
	}
	if o.info.TimeToFirstChunk > 0 {
		attrs = append(attrs, attrFirstChunk.Float64(o.info.TimeToFirstChunk.Seconds()))
	}
	if r.Usage.Known {
		attrs = o.usageAttributes(attrs, &r.Usage)
	}
	return attrs
}

// usageAttributes adds what the call cost. Parts of a sum are left out where the
// service does not tell them.
func (o *operation) usageAttributes(attrs []attribute.KeyValue, u *genai.Usage) []attribute.KeyValue {
	add := func(when bool, key attribute.Key, n int64) {
		if when && n > 0 {
			attrs = append(attrs, key.Int64(n))
		}
	}
	attrs = append(attrs, attrInputTokens.Int64(u.Input.Total))
	if o.route.Inference {
		attrs = append(attrs, attrOutputTokens.Int64(u.Output.Total))
	}
	latest := o.conventions.latest()
	add(true, attrCacheRead, u.CacheRead)
	add(latest, attrCacheWrite, u.CacheWrite)
	add(o.conventions.old(), attrCacheCreation, u.CacheWrite)
	add(true, attrReasoningTokens, u.Reasoning)
	add(latest, attrTextInput, u.Input.Text)
	add(latest, attrAudioInput, u.Input.Audio)
	add(latest, attrImageInput, u.Input.Image)
	add(latest, attrTextOutput, u.Output.Text)
	add(latest, attrAudioOutput, u.Output.Audio)
	add(latest, attrImageOutput, u.Output.Image)
	return attrs
}

// stopped is how nearly every answer ends.
var stopped = attrFinishReasons.StringSlice([]string{"stop"})

func finishReasons(reasons []string) attribute.KeyValue {
	if len(reasons) == 1 && reasons[0] == "stop" {
		return stopped
	}
	return attrFinishReasons.StringSlice(reasons)
}

func addText(attrs []attribute.KeyValue, key attribute.Key, s string) []attribute.KeyValue {
	if s == "" {
		return attrs
	}
	return append(attrs, key.String(clip(s)))
}
