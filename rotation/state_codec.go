package rotation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

const (
	stateFormat = 1
	maxState    = 16 << 10
	maxRotation = 1 << 40
	maxAttempt  = 1 << 20 // of a document; a rotation gives up long before
	maxText     = 300
	maxName     = 1024 // of a store
)

// encode returns the document. What decode would refuse is not written.
func (s *state) encode() ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	doc, err := json.Marshal(s)
	if err == nil && len(doc) > maxState {
		err = fmt.Errorf("it would have %d bytes, more than %d", len(doc), maxState)
	}
	return doc, err
}

// decode reads a document. Whoever could write it may have meant harm, and
// whoever reads it deletes keys: what is not exactly as this package writes it
// is an error, which repeats nothing of the document but names of members.
func decode(doc []byte) (*state, error) {
	if len(doc) > maxState {
		return nil, fmt.Errorf("it has %d bytes, more than %d", len(doc), maxState)
	}
	var head struct {
		Format int `json:"format"`
	}
	if json.Unmarshal(doc, &head) != nil {
		return nil, errors.New("it is not a JSON object")
	}
	if head.Format != stateFormat {
		return nil, fmt.Errorf("it has format %d, this version reads %d", head.Format, stateFormat)
	}
	d := json.NewDecoder(bytes.NewReader(doc))
	d.DisallowUnknownFields()
	s := new(state)
	if d.Decode(s) != nil {
		return nil, errors.New("it has a member that is unknown or of another type")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows it")
	}
	// It is written again at the next change, and by another encoder it may have
	// been shorter.
	_, err := s.encode()
	return s, err
}

// check says what is wrong with a state, whoever wrote it.
func (s *state) check() error {
	switch {
	case s.Format != stateFormat:
		return errors.New("its format is unknown")
	case s.Store == "" || len(s.Store) > maxName:
		return errors.New("it names no store")
	case !isDomain(s.Domain):
		return errors.New("its domain is malformed")
	case s.Rotation < 0 || s.Rotation > maxRotation || s.Attempt < 0 || s.Attempt > maxAttempt || s.Failures < 0 || s.Failures > maxAttempt:
		return errors.New("a number is out of range")
	case !slices.Contains(phases, s.Phase):
		return errors.New("its phase is unknown")
	case !slices.Contains([]string{"", askRotate, askRollback, askEmergency, askRevokeNow}, s.Request):
		return errors.New("its request is unknown")
	case s.Holder != "" && (len(s.Holder) > 128 || !plain(s.Holder)), s.Condemned != "" && !isKeyID(s.Condemned), s.Trace != "" && !isTrace(s.Trace):
		return errors.New("its holder, condemned key or trace is malformed")
	case len(s.Orphans) > maxOrphans || len(s.Reported) > maxReported || len(s.History) > maxHistory:
		return errors.New("a list is too long")
	case (s.Phase == PhaseStopped) != (s.Stopped != ""):
		return errors.New("it is stopped without a reason, or the reverse")
	}
	if err := s.checkTimes(); err != nil {
		return err
	}
	if err := s.checkTexts(); err != nil {
		return err
	}
	if err := s.checkRecords(); err != nil {
		return err
	}
	return s.checkPhase()
}

// checkTimes keeps arithmetic with times from overflowing.
func (s *state) checkTimes() error {
	times := []time.Time{s.Since, s.Began, s.LeaseUntil, s.PromotedAt, s.RotatedAt, s.NotBefore}
	for _, r := range s.records() {
		times = append(times, r.MintedAt, r.ExpiresAt)
	}
	for _, o := range s.Orphans {
		times = append(times, o.MintedAt, o.ExpiresAt)
	}
	for _, k := range s.Reported {
		times = append(times, k.At)
	}
	for _, h := range s.History {
		times = append(times, h.Began, h.Ended)
	}
	for _, t := range times {
		if !sane(t) {
			return errors.New("a time is absurd")
		}
	}
	return nil
}

// sane reports whether a time is unknown or within living memory.
func sane(t time.Time) bool { return t.IsZero() || t.Year() >= 1970 && t.Year() < 2200 }

func (s *state) checkTexts() error {
	texts := []string{s.Failure, s.Stopped}
	for _, k := range s.Reported {
		texts = append(texts, k.ID, k.Name, k.Why)
	}
	for _, h := range s.History {
		texts = append(texts, h.Rotation, h.Outcome, h.Why, h.KeyID)
	}
	for _, text := range texts {
		if len(text) > maxText {
			return errors.New("a text is too long")
		}
	}
	return nil
}

// checkRecords: each record is whole, and no key is two of them.
func (s *state) checkRecords() error {
	ids, prints := map[string]bool{}, map[string]bool{}
	once := func(r KeyRecord) bool {
		again := r.ID != "" && ids[r.ID] || r.Fingerprint != "" && prints[r.Fingerprint]
		ids[r.ID], prints[r.Fingerprint] = true, true
		return !again
	}
	for _, r := range s.records() {
		if !isHex(r.Fingerprint, 12) || !s.whole(*r) {
			return errors.New("the record of a key is malformed")
		}
		if !once(*r) {
			return errors.New("two records are of one key")
		}
	}
	for _, o := range s.Orphans {
		if o.Foreign || o.Fingerprint != "" && !isHex(o.Fingerprint, 12) || !s.whole(o.KeyRecord) ||
			o.Parked != "" && o.Parked != noKey && !isHex(o.Parked, 12) {
			return errors.New("an orphan is malformed")
		}
		if !once(o.KeyRecord) {
			return errors.New("an orphan is a key that is in use")
		}
	}
	return nil
}

// whole reports whether a record is that of a key which this domain minted, or
// of a foreign one, and nothing between.
func (s *state) whole(r KeyRecord) bool {
	if r.Foreign {
		return (r.ID == "" || isKeyID(r.ID)) && r.Name == "" && r.Rotation == 0 && r.Attempt == 0 && len(r.AccountID) <= 128
	}
	return isKeyID(r.ID) && (r.AccountID == "" || isKeyID(r.AccountID)) &&
		r.Rotation >= 1 && r.Rotation <= s.Rotation && r.Attempt >= 1 &&
		(r.Rotation < s.Rotation || r.Attempt <= s.Attempt) && r.Name == keyName(s.Domain, r.Rotation, r.Attempt)
}

// isKeyID reports whether s can be an issuer's id.
func isKeyID(s string) bool { return len(s) <= 128 && plain(s) }

// checkPhase: each phase has the records that it acts on.
func (s *state) checkPhase() error {
	minted := func(r *KeyRecord) bool { return r != nil && !r.Foreign && r.Rotation == s.Rotation }
	ok := true
	switch s.Phase {
	case PhaseIdle, PhaseFailed:
		ok = s.Next == nil && s.Former == nil
	case PhaseIntent:
		ok = s.Next == nil && s.Former == nil && s.Rotation > 0 && s.Attempt > 0
	case PhaseStaged, PhaseTested, PhasePromoting:
		ok = minted(s.Next) && s.Next.Attempt == s.Attempt && s.Former == nil
	case PhaseDraining, PhaseRevoking, PhaseRollback, PhaseRestoring:
		ok = minted(s.Current) && s.Former != nil && s.Next == nil && !s.PromotedAt.IsZero() &&
			s.Former.Rotation < s.Rotation
	case PhaseReverting:
		ok = minted(s.Former) && s.Current != nil && s.Next == nil && !s.PromotedAt.IsZero() &&
			s.Current.Rotation < s.Rotation
	}
	if !ok {
		return errors.New("its phase and its records do not belong together")
	}
	return nil
}
