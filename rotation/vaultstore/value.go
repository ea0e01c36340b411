package vaultstore

import (
	"encoding/json"
	"maps"
	"strings"

	"github.com/keybearer/keybearer/internal/vaultlogin"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// fields are those of a secret, as the engine has them.
type fields map[string]json.RawMessage

// encode returns the fields of a key.
func (s *Store) encode(k *keyprovider.Key) (fields, error) {
	if k == nil || k.Reveal() == "" {
		return nil, invalid("there is no key to store")
	}
	value, err := rotation.EncodeValue(k, s.opts.Field)
	if err != nil {
		return nil, err
	}
	var f fields
	if json.Unmarshal(value, &f) != nil {
		return nil, invalid("the key cannot be encoded")
	}
	return f, nil
}

// beside returns the fields of a key, and with them those of the version to be
// replaced that are not the key's: what others keep beside the key stays.
func (s *Store) beside(f fields, stored *vaultlogin.Stored) fields {
	var before fields
	if stored != nil {
		_ = json.Unmarshal(stored.Data, &before) // what are no fields cannot be kept
	}
	all := maps.Clone(f)
	for name, value := range before {
		if name != s.opts.Field && !rotation.DescribesKey(name) {
			all[name] = value
		}
	}
	return all
}

// same reports whether a version holds exactly these fields.
func same(stored *vaultlogin.Stored, f fields) bool {
	var before fields
	return stored != nil && json.Unmarshal(stored.Data, &before) == nil && maps.EqualFunc(before, f, func(a, b json.RawMessage) bool {
		var x, y string // EncodeValue writes nothing but text
		return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && x == y
	})
}

// decode returns the key that a version holds.
func (s *Store) decode(stored *vaultlogin.Stored) (*keyprovider.Key, error) {
	if err := stored.Absent(); err != nil {
		return nil, err
	}
	var f fields
	if json.Unmarshal(stored.Data, &f) != nil || f == nil {
		return nil, invalid("the secret holds no fields")
	}
	var value string
	if json.Unmarshal(f[s.opts.Field], &value) == nil && value != "" && strings.ContainsRune(`{["`, rune(value[0])) {
		return nil, invalid("the field holds JSON: store its members as fields of the secret (vault kv put secret/openai @file.json)")
	}
	info := keyprovider.Info{Version: keyprovider.Version(stored.Metadata.Name())}
	key, err := keyprovider.ParseKey(stored.Data, s.opts.Field, info)
	if err != nil || !key.Info().CreatedAt.IsZero() {
		return key, err
	}
	// What the value says of itself goes first: this may be a copy of the key.
	info.CreatedAt = stored.Metadata.Created.Time
	return keyprovider.ParseKey(stored.Data, s.opts.Field, info)
}
