package vault

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strings"

	"github.com/keybearer/keybearer/keyprovider"
)

// stored makes the key of a secret that the server keeps.
func (p *Provider) stored(r *reading, last keyprovider.Version) (*keyprovider.Key, error) {
	// A token that was given has to be renewed even if nobody polls.
	info := keyprovider.Info{RefreshAfter: r.grant.KeepAlive()}
	if r.kv != 2 {
		if r.Gone {
			return nil, gone("there is no secret at " + p.path)
		}
		// Version 1 has no versions, and the fingerprint alone would not tell
		// what else the value says: its holder compares.
		return p.parse(r.Data, info)
	}
	secret, err := r.Stored()
	if err != nil {
		return nil, err
	}
	if err := secret.Absent(); err != nil {
		return nil, err
	}
	info.CreatedAt = secret.Metadata.Created.Time
	if !info.CreatedAt.IsZero() { // else one made of the fingerprint stands in: the number alone says too little
		info.Version = keyprovider.Version(secret.Metadata.Name())
		if info.RefreshAfter.IsZero() && last == info.Version {
			return nil, keyprovider.ErrNotModified
		}
	}
	return p.parse(secret.Data, info)
}

func gone(text string) error {
	return &keyprovider.Error{Class: keyprovider.ErrNotFound, Err: keyprovider.Reason(text, nil)}
}

// parse makes a key of the secret's fields.
func (p *Provider) parse(data json.RawMessage, info keyprovider.Info) (*keyprovider.Key, error) {
	if !bytes.HasPrefix(data, []byte("{")) {
		// ParseKey would take it for a bare key.
		return nil, invalid("the answer holds no fields: is this the path of a secret?")
	}
	field := cmp.Or(p.opts.Field, keyprovider.DefaultField)
	if key := alone(data, field, info); key != nil {
		return key, nil
	}
	key, err := keyprovider.ParseKey(data, p.opts.Field, info)
	if err == nil && !isJSON(key.Reveal()) {
		return key, nil
	}
	var fields map[string]json.RawMessage
	var value string
	_ = json.Unmarshal(data, &fields)
	if json.Unmarshal(fields[field], &value) == nil && isJSON(value) {
		return nil, invalid("the field holds JSON: store its members as fields of the secret (vault kv put secret/openai @file.json)")
	}
	return key, err
}

// alone returns the key of a secret that is this one field, as most are, so that
// a poll need not look for what describes the key; nil for any other, and for
// what is no key.
func alone(data []byte, field string, info keyprovider.Info) *keyprovider.Key {
	rest, ok := bytes.CutPrefix(data, []byte(`{"`+field+`":"`))
	if !ok || strings.ContainsAny(field, `"\`) {
		return nil
	}
	value := data[len(data)-len(rest)-1 : len(data)-1] // a string, if there is no other field
	key, err := keyprovider.ParseKey(value, "", info)
	if err != nil || isJSON(key.Reveal()) {
		return nil
	}
	return key
}

// isJSON reports whether what a field holds is more JSON, and so no key.
func isJSON(value string) bool {
	return value != "" && strings.ContainsRune(`{["`, rune(value[0]))
}
