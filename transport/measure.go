package transport

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/keybearer/keybearer/internal/genai"
)

// Limits of the values that an attribute of a metric may have.
const (
	maxModels     = 100
	maxVersions   = 100
	maxErrorTypes = 50
	maxHosts      = 50   // that redirects lead to
	maxSeries     = 2000 // attribute sets kept ready; the SDK's own limit of a metric's series
)

// dynamicVersion stands for the versions of keys whose store has none: there
// would be one for each secret.
const dynamicVersion = "dynamic"

// meters record what calls take and cost.
type meters struct {
	*instruments
	models, answered, versions, errors, hosts *bounded

	mu     sync.RWMutex
	series map[seriesKey]*series
}

func newMeters(in *instruments) *meters {
	return &meters{
		instruments: in,
		models:      newBounded(maxModels),
		answered:    newBounded(maxModels),
		versions:    newBounded(maxVersions),
		errors:      newBounded(maxErrorTypes),
		hosts:       newBounded(maxHosts),
		series:      map[seriesKey]*series{},
	}
}

// A seriesKey holds the attributes of a metric. Zero values are left out.
type seriesKey struct {
	operation, provider, model, answered, version string // GenAI
	method, protocol                              string // HTTP
	status                                        int
	address                                       string
	port                                          int
	errorType                                     string
	kind                                          attribute.Key // of token: the attribute's key and value
	kindIs                                        string
}

// A series is a set of attributes, made once because making one is the most
// expensive part of recording a value.
type series struct {
	record []metric.RecordOption
	add    []metric.AddOption
}

func (m *meters) of(k seriesKey) *series {
	m.mu.RLock()
	s := m.series[k]
	m.mu.RUnlock()
	if s != nil {
		return s
	}
	set := metric.WithAttributeSet(k.set())
	s = &series{[]metric.RecordOption{set}, []metric.AddOption{set}}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.series) < maxSeries {
		m.series[k] = s
	}
	return s
}

func (k *seriesKey) set() attribute.Set {
	var kvs []attribute.KeyValue
	add := func(key attribute.Key, v string) {
		if v != "" {
			kvs = append(kvs, key.String(v))
		}
	}
	add(attrOperation, k.operation)
	add(attrProvider, k.provider)
	add(attrRequestModel, k.model)
	add(attrResponseModel, k.answered)
	add(attrKeyVersion, k.version)
	add(attrMethod, k.method)
	add(attrProtocol, k.protocol)
	add(attrServerAddress, k.address)
	add(attrErrorType, k.errorType)
	if k.kind != "" {
		add(k.kind, k.kindIs)
	}
	if k.status != 0 {
		kvs = append(kvs, attrStatusCode.Int(k.status))
	}
	if k.port != 0 {
		kvs = append(kvs, attrServerPort.Int(k.port))
	}
	return attribute.NewSet(kvs...)
}

// key returns the attributes that all metrics of an operation have.
func (m *meters) key(c *Call, cred *credential) seriesKey {
	k := seriesKey{
		operation: c.Operation,
		provider:  c.Provider,
		model:     m.models.admit(c.Model),
		answered:  m.answered.admit(c.ResponseModel),
		address:   c.ServerAddress,
		port:      c.ServerPort,
	}
	if cred != nil {
		k.version = dynamicVersion
		if v := cred.key.Info().Version; v != "" {
			k.version = m.versions.admit(string(v))
		}
	}
	return k
}

// ended records a finished operation.
func (m *meters) ended(ctx context.Context, r *genai.Route, k seriesKey, c *Call, u *genai.Usage) {
	failed := k
	failed.errorType = m.errors.admit(c.ErrorType)
	durations := m.other
	if r.Inference {
		durations = m.inference
	}
	recordAll(ctx, durations, c.Duration.Seconds(), m.of(failed).record)
	m.cost(ctx, r, k, u)
}

// Kinds of tokens.
const (
	tokenInput, tokenOutput                                 = "input", "output"
	modalityText, modalityAudio, modalityImage, modalityAny = "text", "audio", "image", "unknown"
)

// cost records tokens. The sums count a call without usage as zero, as the
// conventions want it, so that its series exist; the spreads leave it out.
func (m *meters) cost(ctx context.Context, r *genai.Route, k seriesKey, u *genai.Usage) {
	output := r.Inference // an embedding or a verdict has none
	if m.tokens != nil && u.Known {
		k := k
		k.kind, k.kindIs = attrTokenType, tokenInput
		m.tokens.Record(ctx, u.Input.Total, m.of(k).record...)
		if output {
			k.kindIs = tokenOutput
			m.tokens.Record(ctx, u.Output.Total, m.of(k).record...)
		}
	}
	if m.input == nil || !u.Known && !r.Inference {
		return
	}
	m.byModality(ctx, m.input, k, u.Input)
	if u.Known && r.Inference {
		s := m.of(k)
		m.inputSpread.Record(ctx, u.Input.Total, s.record...)
		m.outputSpread.Record(ctx, u.Output.Total, s.record...)
	}
	k.kind, k.kindIs = attrTokenModality, modalityAny
	m.some(ctx, m.cacheRead, k, u.CacheRead)
	m.some(ctx, m.cacheWrite, k, u.CacheWrite)
	m.some(ctx, m.reasoning, k, u.Reasoning)
	if output {
		m.byModality(ctx, m.output, k, u.Output)
	}
}

func (m *meters) byModality(ctx context.Context, counter metric.Int64Counter, k seriesKey, t genai.Tokens) {
	k.kind = attrTokenModality
	for _, part := range [...]struct {
		kind string
		n    int64
	}{{modalityText, t.Text}, {modalityAudio, t.Audio}, {modalityImage, t.Image}} {
		k.kindIs = part.kind
		m.some(ctx, counter, k, part.n)
	}
	if n := t.Unknown(); n > 0 || t.Total == 0 {
		k.kindIs = modalityAny
		counter.Add(ctx, n, m.of(k).add...)
	}
}

func (m *meters) some(ctx context.Context, counter metric.Int64Counter, k seriesKey, n int64) {
	if n > 0 {
		counter.Add(ctx, n, m.of(k).add...)
	}
}

// chunks records when the chunks of a stream came: n of them at once, the first
// of those this long after the one before.
func (m *meters) chunks(ctx context.Context, to *series, n int, after time.Duration) {
	for range n {
		recordAll(ctx, m.perChunk, after.Seconds(), to.record)
		after = 0
	}
}
