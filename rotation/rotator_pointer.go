package rotation

import (
	"context"
	"fmt"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// looks are the pauses before a store that shows what it should not is asked
// again: its last answer may have been that of a replica that lags.
var looks = []time.Duration{time.Second, 3 * time.Second}

// matches reports whether a value is the key of a record: the secret, and
// whatever the value says of itself, agree with this one record. A nil record
// is matched by no value. A value with the right secret and a wrong id was
// patched by hand, and says that the record and the key may be two.
func (s *state) matches(k *keyprovider.Key, rec *KeyRecord) bool {
	if k == nil || rec == nil {
		return k == nil && rec == nil
	}
	info := k.Info()
	if k.Fingerprint() != rec.Fingerprint {
		return false
	}
	if rec.Foreign {
		return info.ID == "" || rec.ID == "" || info.ID == rec.ID
	}
	return (info.ID == "" || info.ID == rec.ID) &&
		(info.RotationID == "" || info.RotationID == rotationID(s.Domain, rec.Rotation))
}

// pointsAt returns which of the records the store's pointer is, and the
// pointer. If it is none of them after repeated looks, the turn stops the
// rotator: somebody else has put a key there.
func (t *turn) pointsAt(ctx context.Context, records ...*KeyRecord) (int, pointer, error) {
	for look := 0; ; look++ {
		p, err := t.current(ctx)
		if err != nil {
			return 0, p, err
		}
		for i, rec := range records {
			if t.st.matches(p.key, rec) {
				return i, p, nil
			}
		}
		if look == len(t.looks) {
			return 0, p, t.stop(ctx, third(p, records))
		}
		if err := pause(ctx, t.looks[look]); err != nil {
			return 0, p, t.about("read the current key again", err)
		}
	}
}

// stillAt reports whether the pointer is the record at repeated looks: a store
// that lags may show for a while what it no longer holds.
func (t *turn) stillAt(ctx context.Context, rec *KeyRecord) (bool, error) {
	for _, d := range t.looks {
		if err := pause(ctx, d); err != nil {
			return false, t.about("read the current key again", err)
		}
		p, err := t.current(ctx)
		if err != nil || !t.st.matches(p.key, rec) {
			return false, err
		}
	}
	return true, nil
}

// lagging is the end of a turn in which the store did not show what it should.
func (t *turn) lagging(err error) (ending, error) {
	if err != nil {
		return ending{}, err
	}
	return waits(t.now().Add(time.Second), "the store does not show yet what was written"), nil
}

// third says what the pointer is instead.
func third(p pointer, records []*KeyRecord) string {
	if p.key == nil {
		return "the store's value is gone"
	}
	for _, rec := range records {
		if rec != nil && rec.Fingerprint == p.key.Fingerprint() {
			return fmt.Sprintf("the store's value has the key with the fingerprint %s, but says that it is another: it was changed by hand", rec.Fingerprint)
		}
	}
	return fmt.Sprintf("the store's value, with the fingerprint %s, is none that this rotator knows: somebody else has changed it", p.key.Fingerprint())
}

// stagedAs returns the staged key if it is that of the record; nil if, after
// repeated looks, it is not.
func (t *turn) stagedAs(ctx context.Context, rec *KeyRecord) (*keyprovider.Key, error) {
	for look := 0; ; look++ {
		k, err := t.staged(ctx)
		if err != nil {
			return nil, err
		}
		if k != nil && t.st.matches(k, rec) {
			return k, nil
		}
		if look == len(t.looks) {
			return nil, nil
		}
		if err := pause(ctx, t.looks[look]); err != nil {
			return nil, t.about("read the staged key again", err)
		}
	}
}

// ours reports whether the issuer shows exactly the key of a record: its id,
// the name that only this rotation's attempt gave, and an account of ours.
func ours(k *IssuedKey, rec *KeyRecord) bool {
	return k != nil && rec != nil && !rec.Foreign && k.ID == rec.ID && k.Name == rec.Name && k.Owned
}

// expired reports whether the service refuses the key by now.
func (k *IssuedKey) expired(now time.Time) bool {
	return !k.ExpiresAt.IsZero() && !k.ExpiresAt.After(now)
}

// serving reports whether readers have a key that works, so that another may be
// taken away: the pointer's key is the current record, the issuer shows it as
// that, and the service accepts it right now. why says what is wrong.
func (t *turn) serving(ctx context.Context, p pointer) (why string, err error) {
	cur := t.st.Current
	if cur == nil || p.key == nil {
		return "the store has no current key", nil
	}
	if !cur.Foreign {
		k, err := t.inspect(ctx, cur.ID)
		switch {
		case err != nil:
			return "", err
		case k == nil:
			return "the issuer does not know the current key", nil
		case !ours(k, cur):
			return "the issuer shows the current key under another name or owner", nil
		case k.expired(t.now()):
			return "the current key has expired", nil
		}
	}
	if err := t.probe(ctx, p.key); is(err, keyprovider.ErrDenied) {
		return "the service refuses the current key", nil
	} else if err != nil {
		return "", err
	}
	return "", nil
}
