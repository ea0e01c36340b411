package awslambda

import (
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

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
	var before []byte
	if present != nil {
		before = present.payload()
	}
	encoded, err := rotation.UpdateValue(before, k, t.h.options.Field)
	if err != nil {
		return nil, t.error(keyprovider.ErrInvalid, "the key cannot be encoded")
	}
	return encoded, nil
}
