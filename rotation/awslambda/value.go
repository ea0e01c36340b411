package awslambda

import (
	"bytes"
	"encoding/json"
	"maps"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// describes are the fields that rotation.EncodeValue writes beside the key.
// They belong to the key: another key's are never kept.
var describes = map[string]bool{"key_id": true, "service_account_id": true, "rotation_id": true, "created_at": true, "expires_at": true}

// decode returns the key that a value holds, nil for no value.
func (t *turn) decode(v *value) (*keyprovider.Key, error) {
	if v == nil {
		return nil, nil
	}
	k, err := keyprovider.ParseKey(v.payload(), t.h.options.Field, keyprovider.Info{Version: keyprovider.Version(v.id)})
	if err != nil {
		return nil, t.failed(keyprovider.ErrInvalid, err)
	}
	return k, nil
}

// encode returns the value of a new key of this rotation, with the fields of
// the present value that are not the key's own.
func (t *turn) encode(k *keyprovider.Key, present *value) ([]byte, error) {
	info := k.Info()
	info.RotationID = t.token
	k, err := keyprovider.NewKey(k.Reveal(), info)
	if err != nil {
		return nil, t.failed(keyprovider.ErrInvalid, err)
	}
	encoded, err := rotation.EncodeValue(k, t.h.options.Field)
	var object, all map[string]json.RawMessage
	if err == nil {
		err = json.Unmarshal(encoded, &object)
	}
	if err != nil {
		return nil, t.error(keyprovider.ErrInvalid, "the key cannot be encoded")
	}
	if present == nil || json.Unmarshal(present.payload(), &all) != nil || all == nil {
		return encoded, nil
	}
	maps.DeleteFunc(all, func(name string, _ json.RawMessage) bool { return name == t.h.options.Field || describes[name] })
	maps.Copy(all, object)
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // what is not ours stays as it is written
	if e.Encode(all) != nil {
		return nil, t.error(keyprovider.ErrInvalid, "the key cannot be encoded")
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
