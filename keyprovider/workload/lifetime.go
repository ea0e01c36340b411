package workload

import (
	"math/rand/v2"
	"time"
)

// assumedLifetime is that of a token of which the answer does not say: the
// documented maximum.
const assumedLifetime = time.Hour

// lifetime is how long the access token lives, measured from the beginning of
// the exchange, which errs on the safe side; and whether that is known.
//
// The endpoint never lets a token outlive the one that it was exchanged for.
// What is left of that one is measured by the endpoint's own clock, if it tells
// the time: this machine's may be wrong. If nothing is left, one of the clocks
// makes no sense, because the endpoint has just accepted it.
func (r *response) lifetime(began time.Time, subject token) (life time.Duration, known bool) {
	life, known = r.expiresIn, r.expiresIn > 0
	if !known {
		life = assumedLifetime
	}
	if subject.expires.IsZero() {
		return life, known
	}
	now := r.date
	if now.IsZero() {
		now = began
	}
	if left := subject.expires.Sub(now); left > 0 && (left < life || !known) {
		return min(left, life), true
	}
	return life, known
}

// refreshIn is when to ask for another token: at two thirds of its life, a tenth
// earlier or later, so that replicas do not ask together.
func refreshIn(life time.Duration) time.Duration {
	return time.Duration(float64(life) * (2.0 / 3) * (0.9 + 0.2*rand.Float64()))
}
