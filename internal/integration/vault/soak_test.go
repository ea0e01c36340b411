package vault

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/openaitest"
)

// rotations of the soak, and of its short form.
const soakRotations, shortSoakRotations = 200, 15

// Rotations under load, by three replicas that are killed at any moment, while
// the store, the network and the Admin API fail at random. No call fails, and at
// the end one key is alive.
func TestSoak(t *testing.T) {
	rotations := soakRotations
	if testing.Short() {
		rotations = shortSoakRotations
	}
	r := newRotating(t)
	r.finish()
	r.read()
	r.gap = 3 * time.Millisecond
	stop := r.load()
	defer stop()
	began := time.Now()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	replicas := make([]replica, 3)
	for i := range replicas {
		replicas[i] = replica{r: r, name: fmt.Sprintf("replica-%d", i), random: rand.New(rand.NewPCG(uint64(i), 1))}
		wg.Go(func() { replicas[i].run(ctx) })
	}
	c := chaos{r: r, random: rand.New(rand.NewPCG(7, 7))}
	wg.Go(func() { c.run(ctx) })
	first, _ := r.number()
	for n := first; n < first+rotations; {
		eventually(t, "a request for a rotation", func() bool { return r.control.Rotate(ctx) == nil })
		eventually(t, fmt.Sprintf("the end of rotation %d", n+1), func() bool {
			now, ended := r.number()
			if ended && now > n {
				n = now
				return true
			}
			return false
		})
	}
	cancel()
	wg.Wait()
	r.finish()
	took := time.Since(began)
	r.settle()
	stop()
	r.inspect()
	total, _ := r.number()
	steps, kills := 0, 0
	for i := range replicas {
		steps, kills = steps+replicas[i].steps, kills+replicas[i].kills
	}
	minted := 0
	for _, k := range r.openai.Keys() {
		if k.ServiceAccountID == r.account {
			minted++
		}
	}
	t.Logf("%d rotations in %v: %d calls, %d failed; %d keys minted, %d alive; %d steps by %d replicas, %d of them killed; faults: %v",
		total-first, took.Round(time.Second), r.calls.Load(), r.failed.Load(), minted, len(r.live()), steps, len(replicas), kills, c.done)
}

// pause waits, and reports whether there is more to do.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// A replica is a process that takes steps, is killed now and then within one,
// and is started again.
type replica struct {
	r            *rotating
	name         string
	random       *rand.Rand
	steps, kills int
}

func (p *replica) run(ctx context.Context) {
	for ctx.Err() == nil {
		p.live(ctx)
		p.kills++
	}
}

// live is the life of one process.
func (p *replica) live(ctx context.Context) {
	rotator, done := p.r.rotator(p.r.place.gate.URL, fmt.Sprintf("%s-%d", p.name, p.kills))
	defer done()
	for {
		life, kill := ctx, context.CancelFunc(func() {})
		if p.random.IntN(15) == 0 {
			life, kill = context.WithTimeout(ctx, time.Duration(p.random.IntN(40_000))*time.Microsecond)
		}
		if _, err := rotator.Step(life); err == nil { // it fails often, and is tried again
			p.r.stepped.Add(1)
		}
		killed := life.Err() != nil
		kill()
		p.steps++
		if killed || !pause(ctx, time.Duration(5+p.random.IntN(15))*time.Millisecond) {
			return
		}
	}
}

// chaos makes things fail, one at a time, for a moment each, and the next when a
// step has succeeded after the last: else a slow machine would see faults alone.
type chaos struct {
	r      *rotating
	random *rand.Rand
	done   map[string]int
}

func (c *chaos) run(ctx context.Context) {
	c.done = map[string]int{}
	for pause(ctx, c.between(20, 150)) {
		name, heal := c.fault()
		c.done[name]++
		pause(ctx, c.between(5, 60))
		heal()
		for before := c.r.stepped.Load(); c.r.stepped.Load() == before && pause(ctx, 5*time.Millisecond); {
			continue
		}
	}
}

func (c *chaos) between(low, high int) time.Duration {
	return time.Duration(low+c.random.IntN(high-low)) * time.Millisecond
}

// fault begins one.
func (c *chaos) fault() (name string, heal func()) {
	rotators, readers := c.r.place.gate, c.r.gate
	nothing := func() {}
	switch c.random.IntN(13) {
	case 0, 1:
		rotators.setDown(true)
		return "store out of reach", func() { rotators.setDown(false) }
	case 2:
		rotators.cut()
		return "connections cut", nothing
	case 3, 4:
		return "store's answers lost", rotators.Lose()
	case 5:
		return "store hangs", rotators.Hang()
	case 6:
		readers.setDown(true)
		return "store out of readers' reach", func() { readers.setDown(false) }
	case 7:
		must(c.r.t, server.Seal(context.Background()))
		return "store sealed", func() { must(c.r.t, server.Unseal(context.Background())) }
	case 8:
		c.r.place.grant(`path "nothing" { capabilities = ["read"] }`)
		return "policy edited", func() { c.r.place.grant(documented(c.r.t, "openai-rotator", c.r.place.mount)) }
	case 9:
		return c.admin("admin API fails", openaitest.Fail(openaitest.ServerError()))
	case 10:
		return c.admin("admin API slow", openaitest.Fault{Delay: c.between(20, 200)})
	case 11:
		return c.admin("admin API's answers lost", openaitest.Fault{Late: true, Cut: openaitest.CutBeforeHeaders})
	}
	return c.admin("admin API cut", openaitest.Fault{Cut: openaitest.CutBeforeHeaders})
}

// admin puts a fault on half of the requests of the Admin API.
func (c *chaos) admin(name string, f openaitest.Fault) (string, func()) {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(c.random.Uint64(), 0))
	f.Times = -1
	f.Match = func(r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		return strings.HasPrefix(r.URL.Path, "/v1/organization/") && random.IntN(2) == 0
	}
	return name, c.r.openai.Inject(f).Remove
}
