package gcpstore

import (
	"encoding/json"
	"maps"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// maxPayload is the size, in bytes, that a version may have.
const maxPayload = 64 << 10

// encode returns the form in which a key is stored.
func (s *Store) encode(k *keyprovider.Key) ([]byte, error) {
	if k.Fingerprint() == "" {
		return nil, s.problem(keyprovider.ErrInvalid, "there is no key to store")
	}
	data, err := rotation.EncodeValue(k, s.opts.Field)
	if err != nil {
		return nil, s.named(err)
	}
	return data, s.fits(data)
}

func (s *Store) fits(data []byte) error {
	if len(data) > maxPayload {
		return s.problem(keyprovider.ErrInvalid, "the value has more than the 64 KiB that a version holds")
	}
	return nil
}

// over returns a value with the members that a value before it has besides its
// key and the key's description: what else is kept beside a key outlives it.
func (s *Store) over(before, value []byte) ([]byte, error) {
	var members, own map[string]json.RawMessage
	if json.Unmarshal(before, &members) != nil || members == nil || json.Unmarshal(value, &own) != nil {
		return value, nil // a bare key, or none
	}
	field := s.opts.Field
	if field == "" {
		field = keyprovider.DefaultField
	}
	maps.DeleteFunc(members, func(name string, _ json.RawMessage) bool { return name == field || rotation.DescribesKey(name) })
	maps.Copy(members, own)
	merged, err := json.Marshal(members)
	if err != nil {
		return value, nil // cannot be: its parts were valid
	}
	return merged, s.fits(merged)
}
