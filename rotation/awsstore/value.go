package awsstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// maxValue is the largest value, in bytes, that Secrets Manager takes.
const maxValue = 64 << 10

// encode returns the value of a key, with the fields beside it. The same key
// beside the same fields has the same value.
func (s *Store) encode(k *keyprovider.Key, beside fields) ([]byte, error) {
	if k == nil || k.Reveal() == "" {
		return nil, s.error(keyprovider.ErrInvalid, "there is no key to store")
	}
	encoded, err := rotation.EncodeValue(k, s.options.Field)
	if err != nil {
		return nil, s.error(keyprovider.ErrInvalid, "the key cannot be encoded")
	}
	var object fields
	if json.Unmarshal(encoded, &object) != nil {
		return nil, s.error(keyprovider.ErrInvalid, "the key cannot be encoded")
	}
	all := maps.Clone(beside)
	if all == nil {
		all = fields{}
	}
	maps.Copy(all, object)
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // what is not ours stays as it is written
	if e.Encode(all) != nil {
		return nil, s.error(keyprovider.ErrInvalid, "the key cannot be encoded")
	}
	encoded = bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(encoded) > maxValue {
		return nil, s.error(keyprovider.ErrInvalid, "the key with the other fields of the secret has more than 65536 bytes: move those to a secret of their own")
	}
	return encoded, nil
}

// fields are the members of a JSON object.
type fields map[string]json.RawMessage

// beside returns those fields of a value that are not the key's: what others
// keep in the same secret stays. A value that is no object has none.
func (s *Store) beside(payload []byte) fields {
	var all fields
	if json.Unmarshal(payload, &all) != nil {
		return nil
	}
	maps.DeleteFunc(all, func(name string, _ json.RawMessage) bool {
		return name == s.options.Field || rotation.DescribesKey(name)
	})
	return all
}

func (f fields) equal(other fields) bool {
	return maps.EqualFunc(f, other, func(a, b json.RawMessage) bool {
		var x, y bytes.Buffer
		return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && bytes.Equal(x.Bytes(), y.Bytes())
	})
}

// decode returns the key that a version holds. What the value says of itself
// goes first: the version may be a copy that is younger than the key.
func (s *Store) decode(v *value) (*keyprovider.Key, error) {
	info := keyprovider.Info{Version: keyprovider.Version(v.id)}
	key, err := keyprovider.ParseKey(v.payload(), s.options.Field, info)
	if err == nil && key.Info().CreatedAt.IsZero() {
		info.CreatedAt = v.created
		key, err = keyprovider.ParseKey(v.payload(), s.options.Field, info)
	}
	if err != nil {
		return nil, named(s.name, keyprovider.ErrInvalid, err)
	}
	return key, nil
}

// same reports whether two keys are the same secret with the same description.
func same(a, b *keyprovider.Key) bool {
	x, y := a.Info(), b.Info()
	return a.Equal(b) && x.ID == y.ID && x.ServiceAccountID == y.ServiceAccountID && x.RotationID == y.RotationID && x.StatedExpiry.Equal(y.StatedExpiry)
}

// The ids of the versions that a Store makes, 32 to 64 characters each, begin
// so.
const ownPrefix = "keybearer-"

func own(id string) bool { return strings.HasPrefix(id, ownPrefix) }

// stagedID is the id of the version of a value. It follows from the value, which
// has the key, its id and that of the rotation: to store it again, also after an
// answer that was lost, makes no second version.
func stagedID(arn string, payload []byte) string { return digest("value", arn, string(payload)) }

// placeholderID is the id of the version that keeps the first staged key from
// becoming current at once.
func placeholderID(arn string) string { return digest("placeholder", arn) }

const placeholder = `{"keybearer":"There is no key here yet: the first one is being tested."}`

func digest(parts ...string) string {
	var all []byte
	for _, part := range parts {
		all = fmt.Appendf(all, "%d:%s", len(part), part)
	}
	sum := sha256.Sum256(all)
	return ownPrefix + hex.EncodeToString(sum[:20])
}

// plausible reports whether s can be the id of a version.
func plausible(s string) bool { return len(s) >= 32 && len(s) <= 64 }
