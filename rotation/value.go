package rotation

import (
	"encoding/json"
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

func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
