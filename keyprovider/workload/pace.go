package workload

import (
	"fmt"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

const (
	burst  = 20               // exchanges before their time that are made as they come
	refill = 30 * time.Second // after which another one may be made
)

// pace bounds the exchanges that are made before the token is due for one: those
// that a refused token causes. A service that refuses good tokens now and then,
// while it takes others, must not cost an exchange each time.
type pace struct {
	limit  int // how many may be left at most
	left   int
	filled time.Time // when left was last counted up, or fell from the full
}

// take counts an exchange before its time. The error says that there were too
// many.
func (p *pace) take(now time.Time) error {
	if p.left == p.limit {
		p.filled = now
	}
	more := int(now.Sub(p.filled) / refill)
	if p.left += more; p.left >= p.limit {
		p.left, p.filled = p.limit, now
	} else {
		p.filled = p.filled.Add(time.Duration(more) * refill)
	}
	if p.left == 0 {
		return fail(keyprovider.ErrUnavailable, reason(fmt.Sprintf(
			"tokens are refused faster than new ones may be asked for: the next exchange is allowed in %v; see why the API refuses them",
			(refill-now.Sub(p.filled)).Round(time.Second))))
	}
	p.left--
	return nil
}
