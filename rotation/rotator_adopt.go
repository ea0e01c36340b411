package rotation

import (
	"context"
	"slices"
)

// Adopt takes the store's present value for the current key, whatever it is, and
// lets a Rotator that stopped go on. Call it when somebody has looked. It
// deletes nothing: of what was ours and is not the present value, each key is
// reported. A rotation that is under way is given up.
func (r *Rotator) Adopt(ctx context.Context) error {
	defer r.events.flush(ctx)
	for n := 1; ; n++ {
		err := r.adopt(ctx)
		if n == tries || !conflicted(err) {
			if err == nil {
				r.seen.goOn()
				r.nudge()
			}
			return err
		}
	}
}

func (r *Rotator) adopt(ctx context.Context) error {
	doc, err := r.read(ctx)
	if err != nil {
		return err
	}
	p, err := r.current(ctx)
	if err != nil {
		return err
	}
	keys, err := r.list(ctx)
	if err != nil {
		return err
	}
	var old *state
	if doc.bytes != nil {
		old, _ = r.open(doc.bytes) // what cannot be relied on is replaced
	}
	t := &turn{r, r.adopted(old, p, keys), doc.rev}
	events := []RotatorEvent{keyEvent(RotationAdopted, t.st.Current, "")}
	for _, k := range t.st.Reported {
		events = append(events, RotatorEvent{Kind: RotationReported, KeyID: k.ID, KeyName: k.Name, Why: k.Why})
	}
	return t.commit(ctx, func(*state) {}, events...)
}

// adopted is the state after Adopt. old is the state so far; nil: there is none
// that could be relied on.
func (r *Rotator) adopted(old *state, p pointer, keys []IssuedKey) *state {
	st := r.fresh(p)
	if old == nil {
		return st
	}
	st.Domain, st.Rotation, st.Attempt = old.Domain, old.Rotation, old.Attempt
	st.History, st.Trace = old.History, ""
	for _, k := range keys {
		// A restored state goes on with numbers that were never used.
		if domain, rotation, attempt, ok := parseName(k.Name); ok && domain == st.Domain &&
			rotation <= maxRotation && attempt <= maxAttempt {
			if rotation > st.Rotation {
				st.Rotation, st.Attempt = rotation, attempt
			} else if rotation == st.Rotation {
				st.Attempt = max(st.Attempt, attempt)
			}
		}
	}
	records := old.records()
	for _, o := range old.Orphans {
		records = append(records, &o.KeyRecord)
	}
	for _, rec := range records {
		if p.key != nil && st.matches(p.key, rec) && (issued(keys, rec) || vanished(keys, rec)) {
			st.Current = rec
			if rec == old.Current {
				st.RotatedAt = old.RotatedAt
			}
		}
	}
	st.Reported = old.Reported
	now := r.now()
	report := func(id, name string) {
		if id != "" && (st.Current == nil || id != st.Current.ID) {
			st.report(ReportedKey{ID: id, Name: name, Why: "it was left where it is by Adopt: revoke it by hand if nobody needs it", At: now})
		}
	}
	for _, rec := range records {
		report(rec.ID, rec.Name)
	}
	for _, k := range keys {
		if domain, _, _, ok := parseName(k.Name); ok && domain == st.Domain && isKeyID(k.ID) && !k.expired(now) {
			report(k.ID, k.Name)
		}
	}
	for _, err := st.encode(); err != nil && len(st.Reported) > 0; _, err = st.encode() {
		st.Reported = st.Reported[1:] // somebody made them longer than they can be
	}
	return st
}

// vanished reports whether a key of ours is one that the issuer does not show: it
// was revoked, and the next step replaces it.
func vanished(keys []IssuedKey, rec *KeyRecord) bool {
	return !rec.Foreign && !slices.ContainsFunc(keys, func(k IssuedKey) bool { return k.ID == rec.ID })
}

// issued reports whether the issuer shows the key of a record as ours.
func issued(keys []IssuedKey, rec *KeyRecord) bool {
	for i := range keys {
		if ours(&keys[i], rec) {
			return true
		}
	}
	return false
}
