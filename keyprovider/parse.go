package keyprovider

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/keybearer/keybearer/internal/keyshape"
)

// DefaultField is the field of a JSON object that ParseKey takes the key from
// when none is named.
const DefaultField = "api_key"

// maxPayload bounds, in bytes, the stored value that ParseKey looks at. It is
// the limit of AWS Secrets Manager and of Google Secret Manager.
const maxPayload = 64 << 10

// ParseKey makes a Key of a value as a store holds it. The value is either the
// bare key or a JSON object that holds the key in a field: the named one, or
// [DefaultField] if field is "". A value that begins with a brace, a bracket or
// a quote must be JSON. One line break at the end of the key is trimmed.
//
// An object may describe its key, as those that a rotation writes do:
//
//	{"api_key": "...", "key_id": "key_1", "service_account_id": "svc_1",
//	 "rotation_id": "r1", "created_at": "2026-11-23T08:00:00Z", "expires_at": "2026-12-23T08:00:00Z"}
//
// Times are RFC 3339 strings or Unix seconds. What the object says fills the
// fields that base leaves empty; its expires_at is the StatedExpiry. Unknown
// fields are ignored, and so is a description that cannot be read: it must not
// keep a good key from serving. Two keys in one object are an error.
//
// Errors are of class [ErrInvalid] and contain no part of the payload.
func ParseKey(payload []byte, field string, base Info) (*Key, error) {
	if len(payload) > maxPayload {
		return nil, invalid(fmt.Sprintf("the stored value has %d bytes, more than %d", len(payload), maxPayload))
	}
	trimmed := bytes.TrimLeft(payload, " \t\r\n")
	if len(trimmed) == 0 {
		return nil, invalid("the stored value is empty")
	}
	switch trimmed[0] {
	case '{':
		return parseObject(trimmed, field, base)
	case '"':
		var secret string
		if err := unmarshal(trimmed, &secret); err != nil {
			return nil, err
		}
		return NewKey(trimLineBreak(secret), base)
	case '[', '\'', '`':
		return nil, invalid("the stored value is neither a bare key nor a JSON object")
	}
	return NewKey(trimLineBreak(string(payload)), base)
}

// trimLineBreak removes one line break, which editors and echo leave behind.
func trimLineBreak(s string) string {
	if t, ok := strings.CutSuffix(s, "\n"); ok {
		return strings.TrimSuffix(t, "\r")
	}
	return s
}

func parseObject(payload []byte, field string, base Info) (*Key, error) {
	var object map[string]json.RawMessage
	if err := unmarshal(payload, &object); err != nil {
		return nil, err
	}
	if field == "" {
		field = DefaultField
	}
	raw, ok := object[field]
	if !ok {
		// The field's name is configuration, and a key may have been pasted
		// there; only our own default is repeated.
		if field == DefaultField {
			return nil, invalid(`the stored JSON object has no field "api_key": name the field that holds the key`)
		}
		return nil, invalid("the stored JSON object has no field of the configured name")
	}
	if repeated(payload, field) {
		return nil, invalid("the stored JSON object has the field that holds the key more than once: leave one")
	}
	var secret string
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &secret) != nil {
		return nil, invalid("the field of the stored JSON object that should hold the key is not a string")
	}
	return NewKey(trimLineBreak(secret), describe(object, base))
}

// repeated reports whether a valid JSON object has more than one field of that
// name. encoding/json would take the last one, other readers take the first:
// the key should not depend on who reads it.
func repeated(object []byte, field string) bool {
	d := json.NewDecoder(bytes.NewReader(object))
	if _, err := d.Token(); err != nil { // the opening brace
		return false
	}
	n := 0
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return false
		}
		if name == field {
			n++
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return false
		}
	}
	return n > 1
}

// unmarshal decodes JSON with an error that tells where the text is wrong but
// does not quote it, as the package's own errors do.
func unmarshal(payload []byte, into any) error {
	err := json.Unmarshal(payload, into)
	if err == nil {
		return nil
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return invalid(fmt.Sprintf("the stored value is not valid JSON (byte %d of %d)", syntax.Offset, len(payload)))
	}
	return invalid("the stored JSON value has the wrong form")
}

// describe fills the empty fields of base with what the object says of its key.
func describe(object map[string]json.RawMessage, base Info) Info {
	for name, into := range map[string]*string{
		"key_id":             &base.ID,
		"service_account_id": &base.ServiceAccountID,
		"rotation_id":        &base.RotationID,
	} {
		if *into == "" {
			var s string
			// An id is shown; what begins like a key is another key, misplaced.
			if json.Unmarshal(object[name], &s) == nil && !keyshape.Prefixed(s) {
				*into = s
			}
		}
	}
	for name, into := range map[string]*time.Time{
		"created_at": &base.CreatedAt,
		"expires_at": &base.StatedExpiry,
	} {
		if into.IsZero() {
			*into = parseTime(object[name])
		}
	}
	return base
}

// parseTime reads an RFC 3339 string or Unix seconds; anything else is the
// zero time. The bound on the seconds keeps them within the years that RFC
// 3339 can write.
func parseTime(raw json.RawMessage) time.Time {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return time.Time{}
		}
		return t
	}
	var seconds float64
	if json.Unmarshal(raw, &seconds) == nil && seconds > 0 && seconds < 253402300800 {
		return time.Unix(int64(seconds), 0).UTC()
	}
	return time.Time{}
}
