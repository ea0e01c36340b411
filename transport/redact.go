package transport

import (
	"fmt"
	"io"
	"log/slog"
	"strconv"
)

// String names the scheme and the number of origins; no method of this file
// shows more, whatever the verb, flag or encoding. The receivers are values, so
// that a struct that holds a Transport or Options by value prints no more either.
func (t Transport) String() string {
	if t.inner == nil {
		return "transport.Transport(zero)"
	}
	s := t.inner().settings
	return fmt.Sprintf("transport.Transport(scheme=%s origins=%d)", s.scheme, len(s.origins))
}

// Format implements fmt.Formatter.
func (t Transport) Format(f fmt.State, _ rune) { io.WriteString(f, t.String()) }

// GoString implements fmt.GoStringer.
func (t Transport) GoString() string { return t.String() }

// MarshalJSON implements json.Marshaler.
func (t Transport) MarshalJSON() ([]byte, error) {
	return []byte(strconv.QuoteToASCII(t.String())), nil
}

// LogValue implements slog.LogValuer.
func (t Transport) LogValue() slog.Value { return slog.StringValue(t.String()) }

// String counts the entries of the options and repeats none: they have not been
// checked, and may hold what was pasted by mistake.
func (o Options) String() string {
	return fmt.Sprintf("transport.Options(scheme=%s origins=%d routes=%d)", o.Scheme, len(o.Origins), len(o.Routes))
}

// Format implements fmt.Formatter.
func (o Options) Format(f fmt.State, _ rune) { io.WriteString(f, o.String()) }

// GoString implements fmt.GoStringer.
func (o Options) GoString() string { return o.String() }

// MarshalJSON implements json.Marshaler.
func (o Options) MarshalJSON() ([]byte, error) { return []byte(strconv.QuoteToASCII(o.String())), nil }

// LogValue implements slog.LogValuer.
func (o Options) LogValue() slog.Value { return slog.StringValue(o.String()) }
