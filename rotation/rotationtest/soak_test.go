package rotationtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/transport"
)

const (
	soakSeed      = 20261123
	soakRotations = 200 // of which a plain run makes an eighth
	soakReplicas  = 2
	soakConsumers = 4
	soakInterval  = 20 * time.Minute
	soakOverlap   = 6 * time.Minute
	soakPoll      = 30 * time.Second // of the consumers
)

// soak is a file store, the fake OpenAI, replicas of a rotator that fail and
// crash, and applications that call all the time, in virtual time.
type soak struct {
	t       *testing.T
	server  *openaitest.Server
	account string
	admin   transport.KeySource
	path    string

	mu     sync.Mutex
	random *rand.Rand
	calm   bool // no faults any more

	calls, failed, faults, crashes atomic.Int64
}

// draw returns true once in n times, while there are faults.
func (s *soak) draw(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	hit := !s.calm && s.random.IntN(n) == 0
	if hit {
		s.faults.Add(1)
	}
	return hit
}

func (s *soak) between(a, b time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return a + time.Duration(s.random.Int64N(int64(b-a)))
}

// current is the key in the file.
func (s *soak) current() openaitest.Key {
	data, err := os.ReadFile(s.path)
	if err != nil {
		s.t.Fatal(err)
	}
	k, err := keyprovider.ParseKey(data, "", keyprovider.Info{})
	if err != nil {
		s.t.Fatal(err)
	}
	known, ok := s.server.Key(k.Reveal())
	if !ok {
		s.t.Fatal("the file holds a key that was never made")
	}
	return known
}

// alive returns the keys that the service lets in, by whether they are of our
// account.
func (s *soak) alive() (ours, others []openaitest.Key) {
	for _, k := range s.server.Keys() {
		switch {
		case k.Admin || !k.RevokedAt.IsZero():
		case k.ServiceAccountID == s.account && strings.HasPrefix(k.Name, "keybearer/") && k.Name != soakDecoy:
			ours = append(ours, k)
		default:
			others = append(others, k)
		}
	}
	return ours, others
}

// soakDecoy is a key of our account that another rotator made.
const soakDecoy = "keybearer/deadbeef-00ff00/9/1"

// TestSoak: many rotations under load, with random faults: no call fails, and no
// key is left behind.
func TestSoak(t *testing.T) {
	rotations := soakRotations / (8 * stride)
	if everything() {
		rotations = soakRotations
	}
	path := filepath.Join(soakDir(t), "openai")
	t.Logf("seed %d", soakSeed)
	synctest.Test(t, func(t *testing.T) {
		s := &soak{t: t, path: path, random: rand.New(rand.NewPCG(soakSeed, 0))}
		s.server = openaitest.NewUnstarted(&openaitest.Options{Admin: openaitest.AdminBehaviour{NewKeyDelay: 20 * time.Second}})
		defer s.server.Close()
		s.account = s.server.AddAccount("soak")
		admin, err := keyprovider.NewKey(s.server.MintAdmin(openaitest.AdminMintOptions{}), keyprovider.Info{})
		if err != nil {
			t.Fatal(err)
		}
		s.admin = soakAdmin{admin}
		s.server.Mint(openaitest.MintOptions{Name: "somebody's"})
		s.server.Mint(openaitest.MintOptions{Name: soakDecoy, ServiceAccountID: s.account})
		first := s.server.Mint(openaitest.MintOptions{Name: "made by hand"})
		if err := os.WriteFile(path, []byte(first+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, others := s.alive()
		s.run(rotations)
		s.settle(len(others))
		t.Logf("%d calls, %d failed; %d faults, %d crashes", s.calls.Load(), s.failed.Load(), s.faults.Load(), s.crashes.Load())
	})
}

// soakDir is a directory in memory where the system has that: nearly all of the
// time would go into syncing files.
func soakDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "soak")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// run lets everything run until the key has been replaced so many times.
func (s *soak) run(rotations int) {
	ctx, stop := context.WithCancel(s.t.Context())
	var running sync.WaitGroup
	for i := range soakConsumers {
		running.Go(func() { s.consumer(ctx, i%2 == 0) })
	}
	for range soakReplicas {
		running.Go(func() { s.replica(ctx) })
	}
	began, replaced, last := time.Now(), 0, s.current().ID
	for replaced < rotations {
		time.Sleep(time.Minute)
		if id := s.current().ID; id != last {
			replaced, last = replaced+1, id
		}
		if time.Since(began) > time.Duration(rotations)*4*soakInterval {
			s.t.Errorf("%d rotations in %v", replaced, time.Since(began))
			break
		}
	}
	s.t.Logf("%d rotations in %v of virtual time", replaced, time.Since(began).Round(time.Minute))
	stop()
	running.Wait()
	time.Sleep(time.Hour) // what is under way lands
}

// settle lets a rotator finish without faults, and looks at what is left.
func (s *soak) settle(others int) {
	s.mu.Lock()
	s.calm = true
	s.mu.Unlock()
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	r := s.rotator(ctx, cancel)
	for range 500 {
		p, err := r.Step(ctx)
		if err != nil && !errors.Is(err, keyprovider.ErrUnavailable) {
			s.t.Fatal(err)
		}
		status, err := r.Status(ctx)
		if err == nil && p.Phase == rotation.PhaseIdle && p.Waiting() && len(status.Orphans) == 0 {
			break
		}
		time.Sleep(max(time.Second, time.Until(p.Until)))
	}
	ours, rest := s.alive()
	if len(ours) != 1 || ours[0].ID != s.current().ID {
		s.t.Errorf("%d keys of ours are left: %s; the file has %s", len(ours), names(ours), s.current().ID)
	}
	if len(rest) != others {
		s.t.Errorf("%d keys of others are left, want %d", len(rest), others)
	}
	if err := r.Health(); err != nil {
		s.t.Errorf("Health: %v", err)
	}
}

func names(keys []openaitest.Key) string {
	var list []string
	for _, k := range keys {
		list = append(list, fmt.Sprintf("%s %s used %v", k.ID, k.Name, k.LastUsedAt.Format(time.RFC3339)))
	}
	return strings.Join(list, ", ")
}
