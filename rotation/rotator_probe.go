package rotation

import (
	"context"
	"fmt"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// test probes the staged key until the service accepts it, and then lets it be
// promoted. The old key serves meanwhile, so there is time.
func (t *turn) test(ctx context.Context) (ending, error) {
	if t.st.Request == askRollback {
		return t.abandon(ctx)
	}
	i, _, err := t.pointsAt(ctx, t.st.Current, t.st.Next)
	if err != nil {
		return ending{}, err
	}
	if i == 1 { // somebody promoted it by hand
		if still, err := t.stillAt(ctx, t.st.Next); !still {
			return t.lagging(err)
		}
		return t.promoted(ctx)
	}
	v, err := t.verdict(ctx)
	if err != nil {
		return ending{}, err
	}
	switch {
	case v.lost:
		return t.again(ctx, func(s *state) { s.giveUp(false) })
	case v.bad != "", v.refused != "" && t.elapsed() >= t.opts.TestFor:
		return t.fail(ctx, v.bad+v.refused, func(s *state) { s.giveUp(false) })
	case v.refused != "":
		return waits(t.now().Add(min(t.opts.TestFor/10, 15*time.Second)), "%s; it may not have spread yet", v.refused), nil
	case v.unknown != nil && t.now().Sub(t.st.Began) > t.interval:
		return t.fail(ctx, "the new key could not be tested for a whole interval", func(s *state) { s.giveUp(false) })
	case v.unknown != nil:
		return ending{}, v.unknown
	case t.st.Phase == PhaseStaged:
		return did("tested %s: the service accepts it", t.st.Next.Name),
			t.commit(ctx, func(s *state) { s.Phase = PhaseTested }, keyEvent(RotationTested, t.st.Next, ""))
	}
	return did("about to promote %s", t.st.Next.Name), t.commit(ctx, func(s *state) { s.Phase = PhasePromoting })
}

// elapsed returns how long the phase has lasted.
func (t *turn) elapsed() time.Duration { return t.now().Sub(t.st.Since) }

// A verdict is what is known of the staged key. At most one member is set; none:
// it is good.
type verdict struct {
	key     *keyprovider.Key
	lost    bool   // it is no longer staged, and nobody has its secret
	bad     string // it is not what it should be, and will not be
	refused string // the service refuses it, at least for now
	unknown error  // nothing is known
}

// verdict asks the store, the issuer and the service about the next key. Its
// error is the store's or the issuer's: nothing is known of the key then.
func (t *turn) verdict(ctx context.Context) (v verdict, err error) {
	next := t.st.Next
	if v.key, err = t.stagedAs(ctx, next); err != nil {
		return v, err
	}
	if v.key == nil {
		v.lost = true
		return v, nil
	}
	k, err := t.inspect(ctx, next.ID)
	if err != nil {
		return v, err
	}
	switch {
	case k == nil:
		v.refused = "the issuer does not show the new key"
		return v, nil
	case !ours(k, next):
		v.bad = "the issuer shows the new key under another name or owner than it was minted with"
		return v, nil
	case k.ExpiresAt.IsZero():
		v.bad = "the issuer made a key that does not end"
		return v, nil
	case k.ExpiresAt.Sub(k.CreatedAt) < t.opts.Lifetime-t.opts.Lifetime/20-time.Second:
		v.bad = fmt.Sprintf("the issuer made a key that lives for less than the %s it was asked for", t.opts.Lifetime)
		return v, nil
	}
	switch err := t.probe(ctx, v.key); {
	case is(err, keyprovider.ErrDenied):
		v.refused = "the service refuses the new key"
	case err != nil:
		v.unknown = err
	}
	return v, nil
}
