package transport

import (
	"context"
	"sync"
	"sync/atomic"
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
}

// A series is a set of attributes, made once because making one is the most
// expensive part of recording a value.
type series struct {
	key    seriesKey
	record []metric.RecordOption
	add    []metric.AddOption
	kinds  [len(kinds)]atomic.Pointer[series] // the same with a kind of token
}

func newSeries(k seriesKey, more ...attribute.KeyValue) *series {
	set := metric.WithAttributeSet(k.set(more))
	return &series{key: k, record: []metric.RecordOption{set}, add: []metric.AddOption{set}}
}

func (m *meters) of(k seriesKey) *series {
	m.mu.RLock()
	s := m.series[k]
	m.mu.RUnlock()
	if s != nil {
		return s
	}
	s = newSeries(k)
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.series[k]; known != nil {
		return known
	}
	if len(m.series) < maxSeries {
		m.series[k] = s
	}
	return s
}

// A kind of token.
type kind int

const (
	tokenInput kind = iota // v1.41
	tokenOutput
	modalityText
	modalityAudio
	modalityImage
	modalityUnknown
)

var kinds = [...]attribute.KeyValue{
	attrTokenType.String("input"),
	attrTokenType.String("output"),
	attrTokenModality.String("text"),
	attrTokenModality.String("audio"),
	attrTokenModality.String("image"),
	attrTokenModality.String("unknown"),
}

// of returns the series of a kind.
func (s *series) of(k kind) *series {
	if of := s.kinds[k].Load(); of != nil {
		return of
	}
	of := newSeries(s.key, kinds[k])
	s.kinds[k].Store(of)
	return of
}

func (k *seriesKey) set(kvs []attribute.KeyValue) attribute.Set {
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
	s := m.of(k)
	m.cost(ctx, r, s, u)
	if c.ErrorType != "" {
		k.errorType = m.errors.admit(c.ErrorType)
		s = m.of(k)
	}
	durations := m.other
	if r.Inference {
		durations = m.inference
	}
	recordAll(ctx, durations, c.Duration.Seconds(), s.record)
}

// cost records tokens. The sums count a call without usage as zero, as the
// conventions want it, so that its series exist; the spreads leave it out.
func (m *meters) cost(ctx context.Context, r *genai.Route, s *series, u *genai.Usage) {
	output := r.Inference // an embedding or a verdict has none
	if m.tokens != nil && u.Known {
		m.tokens.Record(ctx, u.Input.Total, s.of(tokenInput).record...)
		if output {
			m.tokens.Record(ctx, u.Output.Total, s.of(tokenOutput).record...)
		}
	}
	if m.input == nil || !u.Known && !output {
		return
	}
	byModality(ctx, m.input, s, &u.Input)
	some(ctx, m.cacheRead, s, modalityUnknown, u.CacheRead)
	some(ctx, m.cacheWrite, s, modalityUnknown, u.CacheWrite)
	some(ctx, m.reasoning, s, modalityUnknown, u.Reasoning)
	if !output {
		return
	}
	byModality(ctx, m.output, s, &u.Output)
	if u.Known {
		m.inputSpread.Record(ctx, u.Input.Total, s.record...)
		m.outputSpread.Record(ctx, u.Output.Total, s.record...)
	}
}

func byModality(ctx context.Context, counter metric.Int64Counter, s *series, t *genai.Tokens) {
	some(ctx, counter, s, modalityText, t.Text)
	some(ctx, counter, s, modalityAudio, t.Audio)
	some(ctx, counter, s, modalityImage, t.Image)
	if n := t.Unknown(); n > 0 || t.Total == 0 {
		counter.Add(ctx, n, s.of(modalityUnknown).add...)
	}
}

func some(ctx context.Context, counter metric.Int64Counter, s *series, k kind, n int64) {
	if n > 0 {
		counter.Add(ctx, n, s.of(k).add...)
	}
}

// chunks records when the chunks of a stream came: n of them at once, the first
// of those this long after the one before. They are many, and leave no exemplar:
// the context is not the call's.
func (m *meters) chunks(to *series, n int, after time.Duration) {
	for range n {
		recordAll(context.Background(), m.perChunk, after.Seconds(), to.record)
		after = 0
	}
}
