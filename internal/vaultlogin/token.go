package vaultlogin

import (
	"time"

	"github.com/hashicorp/vault/api"
)

// A Grant is a client with a token that is good for now. Its client belongs to
// this token alone, so that a login in between changes nothing under a call.
type Grant struct {
	Client *api.Client

	// Serial differs between two tokens, not between renewals of one. A lease
	// dies with the token that took it, so it belongs to a serial.
	Serial uint64

	// Expires is when the token ends, the zero time if never or not known.
	Expires time.Time

	// RefreshAfter is when Session.Grant should be called again, so that the
	// token is renewed, or replaced, before it ends. The zero time: no need.
	RefreshAfter time.Time

	ttl       time.Duration // what it had when it was new
	renewable bool
	given     bool // no login replaces it
	unknown   bool // how long it lasts has not been asked yet
}

// Unknown reports that nobody has asked yet how long the token lasts. The next
// Session.Grant asks: call it when the token has served, so that a server that
// is slow to say, or does not, keeps nobody from what the token is for.
func (g *Grant) Unknown() bool { return g.unknown }

// KeepAlive is when Session.Grant must be called again lest the token be lost
// for good, because no login replaces it. The zero time: no need.
func (g *Grant) KeepAlive() time.Time {
	if !g.given {
		return time.Time{}
	}
	return g.RefreshAfter
}

// Renewal is at two thirds of what remains.
const renewNumerator, renewDenominator = 2, 3

// term sets the end and the time of the renewal of a token that has ttl left
// from then on. Without a ttl it never ends.
func (g *Grant) term(start time.Time, ttl time.Duration, renewable bool) {
	g.Expires, g.RefreshAfter, g.renewable = time.Time{}, time.Time{}, false
	if ttl <= 0 {
		return
	}
	if g.ttl == 0 {
		g.ttl = ttl
	}
	g.Expires = start.Add(ttl)
	g.RefreshAfter = start.Add(TwoThirds(ttl))
	// A renewal that brings less than half of the first term has met the
	// token's last day. Renewing on would come in ever smaller steps.
	g.renewable = renewable && ttl >= g.ttl/2
}

// TwoThirds is after which part of d a token or a lease is renewed: two thirds,
// less up to a fifteenth, so that replicas do not renew all at once.
func TwoThirds(d time.Duration) time.Duration {
	part := d * renewNumerator / renewDenominator
	return part - (part-jitter(part))/2
}

// Alive reports whether the token has not ended.
func (g *Grant) Alive(at time.Time) bool {
	return g != nil && (g.Expires.IsZero() || at.Before(g.Expires))
}

func (g *Grant) due(at time.Time) bool {
	return !g.RefreshAfter.IsZero() && !at.Before(g.RefreshAfter)
}

// seconds is a duration as the API takes it, rounded up.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
