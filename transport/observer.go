package transport

import (
	"context"
	"log/slog"
	"time"
)

// An Observer is told of every call that bears a key: where budgets, quotas,
// audits and access logs attach. Options.Observers lists them.
//
// Begin is called once the key is known and before a byte leaves, in the order of
// the list. An error refuses the call: nothing is sent, no later Observer is
// asked, and the caller gets the error, wrapped. End is called exactly once for
// each Begin that returned nil, in reverse order, also when a later Begin
// refuses: when the answer has been read to its end, when it is closed, when it
// fails, or when the context is done. Where the caller does none of these, End
// does not come.
//
// The ctx of both is the call's own, with the span of the operation, if there is
// one: either may set attributes on it. At End the ctx may be done already.
//
// c is the same pointer in both, so that it can be the key of what an Observer
// remembers between them, and valid until End returns. It is read during Begin
// and during End only, since it is written in between, and neither it nor the
// slice in it is changed. An Observer that needs it for longer copies it.
//
// Both run on the goroutine that begins or ends the call, so they should be
// quick. Implementations are safe for concurrent use and do not panic; if one
// does, its panic goes on when the others have been told the end. A redirect
// that http.Client follows is a further call.
//
// So is each retry of a client library. openai-go takes every error of an
// http.RoundTripper for one of the connection and repeats the call, twice by
// default and after a pause, also one that an Observer refused: such a call is
// three times asked for. Count what was spent at End, or turn its retries off
// (option.WithMaxRetries(0)). go-openai does not repeat calls.
type Observer interface {
	Begin(ctx context.Context, c *Call) error
	End(ctx context.Context, c *Call)
}

// A Call describes one call to its Observers. It holds nothing of a prompt, a
// completion or a key. It may grow: use field names.
type Call struct {
	// At Begin and End.

	Method        string // of HTTP
	Path          string // of the URL, as the caller wrote it
	Route         string // "/v1/chat/completions" and its like, whatever the host's prefix; "" for what is not an operation of a model
	Operation     string // "chat", "text_completion", "embeddings", "generate_content", "moderation"; "" without a Route
	Provider      string // "openai", "azure.ai.openai", ...; see Options.GenAIProviderName
	ServerAddress string
	ServerPort    int

	// What the request says of itself. At Begin this is known if the body lies in
	// memory, as those of http.NewRequest and of the client libraries do, within
	// its first mebibyte; else it is known at End, as far as the body was sent.
	Model     string // "" where there is none, or none is known yet
	MaxTokens int64  // 0: no limit is stated
	Stream    bool

	RequestBytes   int64  // of the body; -1: not known before it was sent
	KeyVersion     string // at End that of the last attempt
	KeyFingerprint string
	Start          time.Time

	// At End.

	Status           int    // of HTTP; 0: there was no answer
	ErrorType        string // "" for a success; else OpenAI's code, an HTTP status, "canceled", "timeout", ..., "_OTHER"
	Replays          int    // 1 if the key was refused and the call repeated
	ResponseID       string
	ResponseModel    string
	FinishReasons    []string // by choice; "error" for one that did not finish
	Usage            Usage
	TimeToFirstChunk time.Duration // of a stream; 0: none came
	Duration         time.Duration
}

// Usage is what a call cost in tokens.
type Usage struct {
	Known bool // the service has said so; a stream of chat completions has none unless it was asked for

	InputTokens      int64 // cached ones included
	OutputTokens     int64 // those of reasoning included
	CacheReadTokens  int64 // of the input
	CacheWriteTokens int64 // of the input
	ReasoningTokens  int64 // of the output
}

// refusedByObserver is the error.type of a call that an Observer refused.
const refusedByObserver = "refused_by_observer"

// observerError is the failure of a call that an Observer refused.
type observerError struct{ err error }

func (e *observerError) Error() string { return "transport: call refused: " + e.err.Error() }
func (e *observerError) Unwrap() error { return e.err }

// LogValue implements slog.LogValuer: what an access log usually has. Tokens are
// left out where they are not known.
func (c Call) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("method", c.Method),
		slog.String("path", c.Path),
		slog.String("model", c.Model),
		slog.Int("status", c.Status),
		slog.String("error_type", c.ErrorType),
		slog.String("key_version", c.KeyVersion),
	}
	if c.Usage.Known {
		attrs = append(attrs, slog.Int64("input_tokens", c.Usage.InputTokens), slog.Int64("output_tokens", c.Usage.OutputTokens))
	}
	return slog.GroupValue(append(attrs, slog.Duration("duration", c.Duration))...)
}
