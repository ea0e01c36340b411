package vaultlogin

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// Stored is what KV version 2 tells of one version of a secret.
type Stored struct {
	Data     json.RawMessage `json:"data"`
	Metadata VersionMetadata `json:"metadata"`
}

// VersionMetadata is what it tells besides, and its whole answer to a write.
type VersionMetadata struct {
	Version   int  `json:"version"`
	Created   Time `json:"created_time"`
	Deleted   Time `json:"deletion_time"`
	Destroyed bool `json:"destroyed"`
}

// Time is a time that may be "".
type Time struct{ time.Time }

// UnmarshalJSON implements json.Unmarshaler. A time that cannot be read must
// not keep a good key from serving.
func (t *Time) UnmarshalJSON(b []byte) error {
	if string(b) != `""` && t.Time.UnmarshalJSON(b) != nil {
		t.Time = time.Time{}
	}
	return nil
}

// Format implements fmt.Formatter: the data holds the key.
func (s *Stored) Format(f fmt.State, _ rune) { io.WriteString(f, "vaultlogin.Stored") }

// Stored takes an answer for one of KV version 2 to a read.
func (a *Answer) Stored() (*Stored, error) {
	var s Stored
	if json.Unmarshal(a.Data, &s) != nil || s.Metadata.Version < 1 {
		return nil, invalid("the answer is not one of KV version 2", nil)
	}
	return &s, nil
}

// Written takes an answer for one of KV version 2 to a write. After another one
// nobody knows what was written: its error is of class
// keyprovider.ErrUnavailable.
func (a *Answer) Written() (*VersionMetadata, error) {
	var m VersionMetadata
	if json.Unmarshal(a.Data, &m) != nil || m.Version < 1 {
		return nil, &keyprovider.Error{Class: keyprovider.ErrUnavailable,
			Err: keyprovider.Reason("the answer to the write is not one of KV version 2, and does not tell what was written", nil)}
	}
	return &m, nil
}

// Name names the version. The number alone would not do: a secret that is
// deleted with its metadata and made anew begins at 1 again.
func (m *VersionMetadata) Name() string {
	return strconv.Itoa(m.Version) + "@" + m.Created.UTC().Format(time.RFC3339Nano)
}

// Absent returns the error, of class keyprovider.ErrNotFound, for a version
// that holds nothing any more, and nil for one that does.
func (s *Stored) Absent() error {
	if !Empty(s.Data) && !s.Metadata.Destroyed {
		return nil
	}
	name := "version " + strconv.Itoa(s.Metadata.Version)
	text := name + " holds nothing"
	switch deleted := s.Metadata.Deleted; {
	case s.Metadata.Destroyed:
		text = name + " was destroyed: write a new one"
	case !deleted.IsZero():
		text = fmt.Sprintf("%s was deleted at %s: undelete it, or write a new one", name, deleted.UTC().Format(time.RFC3339))
	}
	return &keyprovider.Error{Class: keyprovider.ErrNotFound, Err: keyprovider.Reason(text, nil)}
}
