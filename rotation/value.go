package rotation

import (
	"bytes"
	"encoding/json"
	"maps"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// EncodeValue returns the form in which a [Store] keeps a key: a JSON object
// that describes itself, which keyprovider.ParseKey reads. field is the name of
// the member that holds the secret, "" for keyprovider.DefaultField. What Info
// leaves empty is left out; times have a resolution of seconds.
//
// The result holds the secret: it is for the store and nothing else.
func EncodeValue(k *keyprovider.Key, field string) ([]byte, error) {
	if field == "" {
		field = keyprovider.DefaultField
	}
	info := k.Info()
	object := map[string]string{
		"key_id":             info.ID,
		"service_account_id": info.ServiceAccountID,
		"rotation_id":        info.RotationID,
		"created_at":         timestamp(info.CreatedAt),
		"expires_at":         timestamp(info.StatedExpiry),
	}
	if _, taken := object[field]; taken {
		return nil, &keyprovider.Error{Class: keyprovider.ErrInvalid,
			Err: keyprovider.Reason("the field for the key has the name of a field that describes it", nil)}
	}
	for name, value := range object {
		if value == "" {
			delete(object, name)
		}
	}
	object[field] = k.Reveal()
	return json.Marshal(object)
}

// UpdateValue is EncodeValue for a place that holds before: what others keep
// there beside the key and its description stays. What is not a JSON object has
// nothing to keep.
func UpdateValue(before []byte, k *keyprovider.Key, field string) ([]byte, error) {
	value, err := EncodeValue(k, field)
	if err != nil {
		return nil, err
	}
	var members, own map[string]json.RawMessage
	if json.Unmarshal(before, &members) != nil || members == nil {
		return value, nil
	}
	if err := json.Unmarshal(value, &own); err != nil {
		return nil, err
	}
	maps.DeleteFunc(members, func(name string, _ json.RawMessage) bool { return DescribesKey(name) })
	maps.Copy(members, own)
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // what is not ours stays as it is written
	if err := e.Encode(members); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// DescribesKey reports whether a member of a stored value has a name by which
// EncodeValue describes the key. Such a member goes with its key.
func DescribesKey(member string) bool {
	switch member {
	case "key_id", "service_account_id", "rotation_id", "created_at", "expires_at":
		return true
	}
	return false
}

func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
