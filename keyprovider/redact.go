package keyprovider

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strconv"
)

// String returns the version and the fingerprint, never the secret. So do the
// other methods of this file, whatever the verb, flag or encoding.
func (k *Key) String() string {
	if k == nil {
		return "Key(nil)"
	}
	// The version is the store's text: quoted, it cannot break a log line.
	return "Key(version=" + strconv.Quote(string(k.version)) + " fingerprint=" + k.fingerprint + ")"
}

// Format implements fmt.Formatter. It covers every verb: without it fmt would
// print the fields of the struct for those that String does not serve.
func (k *Key) Format(f fmt.State, _ rune) { io.WriteString(f, k.String()) }

// GoString implements fmt.GoStringer.
func (k *Key) GoString() string { return k.String() }

// MarshalText implements encoding.TextMarshaler, which encoding/xml, YAML
// packages and JSON map keys use.
func (k *Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// MarshalJSON implements json.Marshaler.
func (k *Key) MarshalJSON() ([]byte, error) { return json.Marshal(k.String()) }

// GobEncode implements gob.GobEncoder. A Key cannot be decoded again.
func (k *Key) GobEncode() ([]byte, error) { return []byte(k.String()), nil }

// LogValue implements slog.LogValuer.
func (k *Key) LogValue() slog.Value {
	if k == nil {
		return slog.StringValue(k.String())
	}
	return slog.GroupValue(
		slog.String("version", string(k.version)),
		slog.String("fingerprint", k.fingerprint),
	)
}
