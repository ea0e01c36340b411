package vault

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/keybearer/keybearer/internal/vaultlogin"
	"github.com/keybearer/keybearer/keyprovider"
)

// kv2 is the data of an answer of KV version 2.
type kv2 struct {
	Data     json.RawMessage `json:"data"`
	Metadata struct {
		Version   int    `json:"version"`
		Created   kvTime `json:"created_time"`
		Deleted   kvTime `json:"deletion_time"`
		Destroyed bool   `json:"destroyed"`
	} `json:"metadata"`
}

// kvTime is a time that may be "".
type kvTime struct{ time.Time }

func (t *kvTime) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil && s != "" {
		// A time that cannot be read must not keep a good key from serving.
		t.Time, _ = time.Parse(time.RFC3339Nano, s)
	}
	return nil
}

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
	var secret kv2
	if json.Unmarshal(r.Data, &secret) != nil {
		return nil, invalid("the answer is not one of KV version 2")
	}
	if err := secret.absent(); err != nil {
		return nil, err
	}
	info.CreatedAt = secret.Metadata.Created.Time
	info.Version = secret.version()
	if info.RefreshAfter.IsZero() && last != "" && last == info.Version {
		return nil, keyprovider.ErrNotModified
	}
	return p.parse(secret.Data, info)
}

// version names what was read. The number alone would not do: a secret that is
// deleted with its metadata and made anew begins at 1 again.
func (s *kv2) version() keyprovider.Version {
	if s.Metadata.Version == 0 || s.Metadata.Created.IsZero() {
		return "" // one made of the fingerprint stands in
	}
	return keyprovider.Version(strconv.Itoa(s.Metadata.Version) + "@" + s.Metadata.Created.UTC().Format(time.RFC3339Nano))
}

// absent returns the error for a version that holds nothing any more.
func (s *kv2) absent() error {
	if !vaultlogin.Empty(s.Data) && !s.Metadata.Destroyed {
		return nil
	}
	name := "the version"
	if s.Metadata.Version > 0 {
		name = "version " + strconv.Itoa(s.Metadata.Version)
	}
	deleted := s.Metadata.Deleted
	switch {
	case s.Metadata.Destroyed:
		return gone(name + " was destroyed: write a new one")
	case !deleted.IsZero():
		return gone(fmt.Sprintf("%s was deleted at %s: undelete it, or write a new one", name, deleted.UTC().Format(time.RFC3339)))
	}
	return gone(name + " holds nothing")
}

func gone(text string) error {
	return &keyprovider.Error{Class: keyprovider.ErrNotFound, Err: keyprovider.Reason(text, nil)}
}

// parse makes a key of the secret's fields.
func (p *Provider) parse(data json.RawMessage, info keyprovider.Info) (*keyprovider.Key, error) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil || fields == nil {
		// ParseKey would take it for a bare key.
		return nil, invalid("the answer holds no fields: is this the path of a secret?")
	}
	field := p.opts.Field
	if field == "" {
		field = keyprovider.DefaultField
	}
	var value string
	if json.Unmarshal(fields[field], &value) == nil && value != "" && strings.ContainsRune(`{["`, rune(value[0])) {
		return nil, invalid("the field holds JSON: store its members as fields of the secret (vault kv put secret/openai @file.json)")
	}
	return keyprovider.ParseKey(data, p.opts.Field, info)
}
