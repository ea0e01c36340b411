package rotation

import (
	"context"
	"errors"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// retire revokes the old key, which is idle, and completes the rotation. The
// decision is made: nobody rolls back from here. All that it rests on but the
// key's use is looked at again all the same.
func (t *turn) retire(ctx context.Context) (ending, error) {
	former := t.st.Former
	out, err := t.withdraw(ctx)
	if t.urgent(err) {
		return t.complete(ctx, (*state).postpone, keyEvent(RotationOrphan, former, postponed))
	}
	if err != nil || out.why != "" {
		return out, err
	}
	if out.did != "" {
		return t.complete(ctx, func(s *state) {
			s.report(ReportedKey{ID: former.ID, Name: former.Name, Why: out.did, At: t.now()})
		}, keyEvent(RotationReported, former, out.did))
	}
	why := "another key serves, and it is idle"
	if t.st.Emergency {
		why = "another key serves, and this is an emergency"
	}
	return t.complete(ctx, func(*state) {}, keyEvent(RotationRevoked, former, why))
}

// postponed is why a former key becomes an orphan.
const postponed = "it could not be revoked yet, and readers wait for a key that works"

// urgent reports whether a key that could not be revoked is to be left for
// later: RevokeNow has taken the current one away, and another comes first.
func (t *turn) urgent(err error) bool {
	return err != nil && t.st.deadCurrent() && !conflicted(err) && !errors.Is(err, ErrStopped)
}

// postpone makes an orphan of the former key, which the next steps go on trying
// to revoke.
func (s *state) postpone() {
	if len(s.Orphans) == maxOrphans {
		s.report(ReportedKey{ID: s.Former.ID, Name: s.Former.Name, Why: postponed, At: s.Since})
	} else {
		s.Orphans = append(s.Orphans, orphan{KeyRecord: *s.Former})
	}
	s.Former = nil
}

// withdraw revokes the former record's key, if it may. The ending's why says
// that it must wait, did that the key is none of ours to revoke; neither: it is gone.
func (t *turn) withdraw(ctx context.Context) (ending, error) {
	cur, former := t.st.Current, t.st.Former
	if former.Foreign {
		return did("somebody else minted it"), nil
	}
	_, p, err := t.pointsAt(ctx, cur)
	if err != nil {
		return ending{}, err
	}
	if _, err := t.listed(ctx); err != nil { // a state that is older than the world stops here
		return ending{}, err
	}
	k, err := t.inspect(ctx, former.ID)
	switch {
	case err != nil:
		return ending{}, err
	case k == nil:
		return ending{}, nil
	case !ours(k, former):
		return did("the issuer shows it under another name or owner than it was minted with"), nil
	case p.key == nil || p.key.Fingerprint() == former.Fingerprint || p.key.Info().ID == former.ID:
		return ending{}, t.stop(ctx, "the key that is to be revoked is the one that the store names")
	}
	if !t.st.deadCurrent() && !k.expired(t.now()) {
		why, err := t.serving(ctx, p)
		if err != nil {
			return ending{}, err
		}
		if why != "" {
			t.seen.veto(why, true)
			t.tellOnce(t.st, "veto "+t.st.id()+why, keyEvent(RotationVetoed, former, why))
			return waits(t.now().Add(time.Minute), "%s: the old key must live", why), nil
		}
	}
	// The pointer is read last: between it and the revocation there is one look
	// at the state, and nothing else.
	if _, _, err := t.pointsAt(ctx, cur); err != nil {
		return ending{}, err
	}
	err = t.revoke(ctx, *former)
	if err != nil && k.expired(t.now()) && !conflicted(err) {
		return did("it has expired, but could not be revoked: %s", className(err)), nil
	}
	return ending{}, err
}

// className is the word for the class of an error.
func className(err error) string {
	if class := keyprovider.Class(err); class != nil {
		return class.Error()
	}
	return "unknown"
}
