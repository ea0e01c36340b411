package vaultstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/keybearer/keybearer/rotation"
)

// maxDocument is the largest state document, in bytes.
const maxDocument = 16 << 10

// record is the secret that holds the state document. The document is text, so
// that it comes back byte for byte: a rotator whose write went unanswered
// recognises it.
type record struct {
	Document string `json:"document"`
}

// State implements rotation.Store.
func (s *Store) State(ctx context.Context) (document []byte, revision rotation.Revision, err error) {
	err = s.do(ctx, func(ctx context.Context, e engine) error {
		stored, rev, err := latest(e.read(ctx, s.opts.StatePath, 0))
		document, revision = nil, rev
		switch {
		case err != nil:
			return err
		case stored == nil:
			return notFound("there is no state yet at " + s.opts.StatePath)
		}
		if err := stored.Absent(); err != nil {
			return err
		}
		var r record
		if json.Unmarshal(stored.Data, &r) != nil || r.Document == "" {
			return invalid("what is at " + s.opts.StatePath + " is no state of a rotator: it has no field document")
		}
		document = []byte(r.Document)
		return nil
	})
	return document, revision, s.failed(err)
}

// SetState implements rotation.Store. A document is text and not empty; another
// is keyprovider.ErrInvalid.
func (s *Store) SetState(ctx context.Context, document []byte, from rotation.Revision) (revision rotation.Revision, err error) {
	switch {
	case len(document) == 0 || !utf8.Valid(document):
		return "", s.failed(invalid("the state document is empty, or no text"))
	case len(document) > maxDocument:
		return "", s.failed(invalid(fmt.Sprintf("the state document has %d bytes, more than %d", len(document), maxDocument)))
	}
	err = s.do(ctx, func(ctx context.Context, e engine) error {
		cas, err := number(from)
		if err != nil {
			return err
		}
		written, err := e.write(ctx, s.opts.StatePath, cas, record{string(document)})
		if err == nil {
			revision = revisionOf(written)
		}
		return err
	})
	if errors.Is(err, errMismatch) {
		return "", s.conflict("setting the state")
	}
	return revision, s.failed(err)
}
