package rotation

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// listed returns every key at the issuer. If one bears a number of ours that
// the state has not come to yet, the state is older than the world: the store
// was restored from a copy, and what it says of keys is not to be acted on.
func (t *turn) listed(ctx context.Context) ([]IssuedKey, error) {
	keys, err := t.list(ctx)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		domain, rotation, attempt, ok := parseName(k.Name)
		if ok && domain == t.st.Domain &&
			(rotation > t.st.Rotation || rotation == t.st.Rotation && attempt > t.st.Attempt) {
			return nil, t.stop(ctx, fmt.Sprintf("the issuer has the key %s, and the state only knows rotation %d, attempt %d: the store was restored from an older copy",
				k.Name, t.st.Rotation, t.st.Attempt))
		}
		if ok && domain != t.st.Domain && domain[:domainHash] == t.root {
			t.tellOnce(t.st, k.ID, RotatorEvent{Kind: RotationReported, KeyID: k.ID, KeyName: printable(k.Name),
				Why: "it was minted for this store under a state document that is gone"})
		}
	}
	return keys, nil
}

// ending reports whether a key ends by itself, now or in a moment. Where keys
// cannot be deleted they are revoked like that, and the issuer goes on listing
// them.
func (t *turn) ending(k IssuedKey) bool { return k.expired(t.now().Add(tolerance)) }

// strays returns the keys of our domain that no record knows: those that nobody
// ever used, which become orphans, and the others, which are reported.
func (t *turn) strays(keys []IssuedKey) (orphans []orphan, reports []ReportedKey) {
	room := maxOrphans - len(t.st.Orphans) - 1 // one for the next key
	lines := maxReported - len(t.st.Reported)
	for _, k := range keys {
		domain, rotation, attempt, ok := parseName(k.Name)
		if !ok || domain != t.st.Domain || t.st.knows(k.ID) || !isKeyID(k.ID) || t.ending(k) {
			continue
		}
		why := ""
		switch {
		case !k.Owned:
			why = "it has a name of ours, but belongs to an account that is not"
		case !k.LastUsedAt.IsZero():
			why = "it has a name of ours and was used, but no record knows it"
		case len(orphans) < room:
			orphans = append(orphans, orphan{KeyRecord: KeyRecord{
				ID: k.ID, Name: k.Name, Rotation: rotation, Attempt: attempt,
			}})
		}
		switch {
		case why != "" && len(reports) < lines:
			reports = append(reports, ReportedKey{k.ID, k.Name, why, t.now()})
		case why != "": // the list is full of others
			t.tellOnce(t.st, k.ID, RotatorEvent{Kind: RotationReported, KeyID: k.ID, KeyName: k.Name, Why: why})
		}
	}
	return orphans, reports
}

// adoptStrays records what strays found. Nothing is revoked before it is recorded.
func (s *state) adoptStrays(orphans []orphan, reports []ReportedKey) {
	s.Orphans = append(s.Orphans, orphans...)
	for _, k := range reports {
		s.report(k)
	}
}

func (t *turn) strayEvents(orphans []orphan, reports []ReportedKey) []RotatorEvent {
	var events []RotatorEvent
	for _, o := range orphans {
		events = append(events, keyEvent(RotationOrphan, &o.KeyRecord, "nobody ever used it, and nobody has its secret"))
	}
	for _, k := range reports {
		events = append(events, RotatorEvent{Kind: RotationReported, KeyID: k.ID, KeyName: k.Name, Why: k.Why})
	}
	return events
}

// tidyOrphans revokes one orphan, if there is one that can be. tidied: it did,
// and the turn is over. Those that cannot be are tried again in a minute.
func (t *turn) tidyOrphans(ctx context.Context) (out ending, tidied bool, failure error) {
	if t.now().Before(t.seen.orphansAgain()) {
		return out, false, nil
	}
	switch t.st.Phase {
	case PhaseIdle, PhaseFailed, PhaseIntent, PhaseStaged, PhaseTested, PhaseDraining, PhaseReverting:
	default:
		return out, false, nil
	}
	for _, o := range t.st.Orphans {
		if o.Parked != "" && o.Parked == fingerprintOf(t.st.Current) {
			continue
		}
		p, err := t.current(ctx)
		if err != nil || !t.st.matches(p.key, t.st.Current) {
			return out, false, nil // what the phase does next finds out more
		}
		if out, err = t.tidy(ctx, o, p); err == nil || conflicted(err) {
			return out, true, err
		}
		failure = firstError(failure, err)
	}
	if failure != nil {
		t.seen.deferOrphans(t.now().Add(time.Minute))
	}
	return ending{}, false, failure
}

func fingerprintOf(rec *KeyRecord) string {
	if rec == nil {
		return noKey
	}
	return rec.Fingerprint
}

// tidy looks at an orphan once more and revokes it, or reports it if it is not
// what it was taken for. p is the pointer, and the current record.
func (t *turn) tidy(ctx context.Context, o orphan, p pointer) (ending, error) {
	k, err := t.inspect(ctx, o.ID)
	if err != nil {
		return ending{}, err
	}
	why := ""
	switch {
	case k == nil:
		return t.forget(ctx, o, "")
	case !ours(k, &o.KeyRecord):
		why = "the issuer shows it under another name or owner than it was minted with"
	case o.Fingerprint == "" && !k.LastUsedAt.IsZero():
		why = "it was given up, but somebody has used it"
	case p.key != nil && (p.key.Info().ID == o.ID || p.key.Fingerprint() == o.Fingerprint):
		why = "it was given up, but the store names it"
	}
	if why != "" {
		return t.forget(ctx, o, why)
	}
	if err := t.revoke(ctx, o.KeyRecord); err != nil {
		return ending{}, err
	}
	return t.forget(ctx, o, "")
}

// forget strikes an orphan off: it is gone, or it is reported.
func (t *turn) forget(ctx context.Context, o orphan, why string) (ending, error) {
	e := keyEvent(RotationRevoked, &o.KeyRecord, "it never served")
	if why != "" {
		e = keyEvent(RotationReported, &o.KeyRecord, why)
	}
	err := t.commit(ctx, func(s *state) {
		kept := s.Orphans[:0]
		for _, other := range s.Orphans {
			if other.ID != o.ID {
				kept = append(kept, other)
			}
		}
		s.Orphans = kept
		if why != "" {
			s.report(ReportedKey{ID: o.ID, Name: o.Name, Why: why, At: t.now()})
		}
	}, e)
	if why != "" {
		return did("reported %s", o.Name), err
	}
	return did("revoked %s, which never served", o.Name), err
}

// revoke ends a key at the issuer. Its callers have checked that it may; what
// remains is that nobody has changed the state since. A key that is gone
// already is what was wanted.
func (t *turn) revoke(ctx context.Context, rec KeyRecord) error {
	if err := t.unchanged(ctx); err != nil {
		return err
	}
	err := t.do(ctx, "revoke a key", func(ctx context.Context) error { return t.issuer.Revoke(ctx, rec.ID) })
	if is(err, keyprovider.ErrNotFound) {
		return nil
	}
	return err
}

// cutRotationID splits what rotationID made.
func cutRotationID(id string) (domain string, rotation int64, ok bool) {
	domain, number, found := strings.Cut(id, "/")
	rotation, err := strconv.ParseInt(number, 10, 64)
	return domain, rotation, found && err == nil && isDomain(domain)
}

// printable returns a foreign text for a log: short, and visible ASCII.
func printable(s string) string {
	if len(s) > 128 || !plain(s) {
		return ""
	}
	return s
}
