package aws

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/awsstore"
)

// Rotations under load by two replicas that are killed at any moment, while
// requests to the service and their answers get lost.
func TestRotatorUnderFaults(t *testing.T) {
	rotations := 12
	if testing.Short() {
		rotations = 3
	}
	r := newRotating(t)
	r.finish()
	s := r.readers(t)
	ctx, cancel := context.WithCancel(r.ctx())
	defer cancel()
	r.front.set(chaos(rand.New(rand.NewPCG(1, 2))))
	var replicas sync.WaitGroup
	for i := range 2 {
		replicas.Go(func() { r.replica(ctx, rand.New(rand.NewPCG(3, uint64(i)))) })
	}
	for n, _ := r.number(); n < rotations; {
		r.eventually("a request for a rotation", func() bool { return r.control.Rotate(ctx) == nil })
		r.eventually("the end of a rotation", func() bool {
			now, ended := r.number()
			if ended && now > n {
				n = now
				return true
			}
			return false
		})
	}
	cancel()
	replicas.Wait()
	r.front.set(nil)
	r.finish()
	s.settle()
	s.end()
	r.inspect()
	minted := slices.DeleteFunc(r.openai.Keys(), func(k openaitest.Key) bool { return k.ServiceAccountID != r.account })
	total, _ := r.number()
	_, all := r.front.took()
	t.Logf("%d rotations: %d calls, %d failed; %d keys minted, %d alive; %d calls of AWS", total, s.calls.Load(), s.failed.Load(), len(minted), len(r.live()), all)
	if s.failed.Load() != 0 || s.calls.Load() == 0 {
		t.Errorf("%d of %d calls failed", s.failed.Load(), s.calls.Load())
	}
}

// replica takes steps, each of which may be its last.
func (r *rotating) replica(ctx context.Context, random *rand.Rand) {
	for n := 0; ctx.Err() == nil; n++ {
		rotator, ok := r.start(ctx, "replica-"+strconv.FormatUint(random.Uint64(), 36))
		for ok && ctx.Err() == nil {
			limit := 5 * time.Second
			if random.IntN(12) == 0 {
				limit = time.Duration(random.IntN(80)) * time.Millisecond
				ok = false
			}
			step, cancel := context.WithTimeout(ctx, limit)
			p, _ := rotator.Step(step)
			cancel()
			wait := time.NewTimer(min(max(time.Until(p.Until), 5*time.Millisecond), 30*time.Millisecond))
			select {
			case <-wait.C:
			case <-ctx.Done():
				wait.Stop()
			}
		}
	}
}

// start makes a replica's rotator, if the service answers.
func (r *rotating) start(ctx context.Context, holder string) (*rotation.Rotator, bool) {
	s, err := awsstore.New(ctx, r.name, &awsstore.Options{Endpoint: r.front.URL, Region: region, Timeout: time.Second})
	if err != nil {
		return nil, false
	}
	context.AfterFunc(ctx, func() { s.Close() })
	rotator, err := rotation.NewRotator(r.issuer, s, r.options(holder))
	return rotator, err == nil
}

// chaos fails one call in twelve: before it takes effect, or after it.
func chaos(random *rand.Rand) fault {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request, behind http.Handler) {
		mu.Lock()
		choice := random.IntN(48)
		mu.Unlock()
		switch choice {
		case 0:
			reset(w, r, nil)
		case 1:
			answer(w, http.StatusInternalServerError, "InternalServiceError", "no")
		case 2, 3:
			behind.ServeHTTP(discard{http.Header{}}, r)
			reset(w, r, nil)
		default:
			behind.ServeHTTP(w, r)
		}
	}
}
