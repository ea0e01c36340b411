package awsstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// maxDocument is the largest state document, in bytes.
const maxDocument = 16 << 10

// State implements rotation.Store: the document is the current version of the
// state's secret, and the revision that version's id. What this Store has
// replaced itself within the last minute is not returned: if AWS goes on to
// answer with it, that is keyprovider.ErrUnavailable.
func (s *Store) State(ctx context.Context) (document []byte, revision rotation.Revision, err error) {
	var v *value
	stale, err := s.settle(ctx, len(pauses), func() (bool, error) {
		at := ""
		if v, err = s.read(ctx, s.state, "", current); err == nil {
			at = v.id
		} else if !errors.Is(err, keyprovider.ErrNotFound) {
			return false, err
		}
		return s.document.holds(at), nil
	})
	switch {
	case err != nil:
		return nil, "", err
	case stale:
		return nil, "", s.lags()
	case v == nil:
		return nil, "", s.error(keyprovider.ErrNotFound, "there is no state yet")
	}
	return v.payload(), rotation.Revision(v.id), nil
}

// SetState implements rotation.Store: it stores the document in a new version,
// and moves AWSCURRENT of the state's secret to it from the version of the
// revision. A document is text and not empty; another is keyprovider.ErrInvalid.
// AWS keeps all versions of the last 24 hours, and refuses more than about a
// hundred of them: keyprovider.ErrDenied.
func (s *Store) SetState(ctx context.Context, document []byte, from rotation.Revision) (rotation.Revision, error) {
	switch {
	case len(document) == 0 || !utf8.Valid(document):
		return "", s.error(keyprovider.ErrInvalid, "the state document is empty, or no text")
	case len(document) > maxDocument:
		return "", s.error(keyprovider.ErrInvalid, fmt.Sprintf("the state document has %d bytes, more than %d", len(document), maxDocument))
	case from != "" && !plausible(string(from)):
		return "", s.conflict("setting the state")
	}
	id, err := s.setState(ctx, document, string(from))
	switch {
	case errors.Is(err, errMoved):
		return "", s.conflict("setting the state")
	case err != nil:
		return "", err
	}
	s.document.replace(string(from), id)
	return rotation.Revision(id), nil
}

func (s *Store) setState(ctx context.Context, document []byte, from string) (id string, err error) {
	d, err := s.describe(ctx, s.state)
	if errors.Is(err, keyprovider.ErrNotFound) {
		return s.firstState(ctx, document, from)
	}
	if err != nil {
		return "", err
	}
	// Who has lost already need not make a version: there is a quota. A label
	// that is not further than from may be out of date; the move decides.
	at := d.at(current)
	if at != from && (from == "" || at == "" || serial(at) >= serial(from) && serial(from) > 0) {
		return "", errMoved
	}
	id = stateID(max(serial(from), d.newest()) + 1)
	stages, err := s.put(ctx, s.state, id, document, pending)
	if err != nil || slices.Contains(stages, current) { // as AWS does with a first version
		return id, err
	}
	return id, s.move(ctx, s.state, current, id, from)
}

// firstState makes the state's secret, which there can be only one of.
func (s *Store) firstState(ctx context.Context, document []byte, from string) (id string, err error) {
	switch {
	case from != "":
		return "", errMoved
	case s.stateName == "":
		return "", s.error(keyprovider.ErrNotFound, "there is no secret for the state (StateSecret): make it, empty")
	}
	id = stateID(1)
	arn, err := s.create(ctx, id, document)
	switch {
	case code(err) == "ResourceExistsException":
		return "", errMoved
	case err != nil:
		return "", err
	case strings.HasPrefix(s.state, "arn:") && !strings.HasPrefix(arn, s.state):
		return "", s.error(keyprovider.ErrInvalid, "the credentials are those of another account than the secret's, and the state was made there: "+
			"delete it ("+arn+"), make it in the secret's account, empty, and grant it to them")
	}
	return id, nil
}

// stateID is the id of a version of the state: its serial number, which tells
// what is out of date from what is newer, and something that no other writer
// chooses.
func stateID(serial int64) string { return fmt.Sprintf("%s%010d-%s", ownPrefix, serial, rand.Text()) }

// serial is the serial number of a version of the state, 0 for a version that
// no Store made.
func serial(id string) int64 {
	digits, ok := strings.CutPrefix(id, ownPrefix)
	if !ok || len(digits) < 11 || digits[10] != '-' {
		return 0
	}
	n, err := strconv.ParseInt(digits[:10], 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// newest is the highest serial number that bears a label.
func (d *description) newest() (n int64) {
	for id := range d.stages {
		n = max(n, serial(id))
	}
	return n
}
