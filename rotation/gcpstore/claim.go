package gcpstore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"

	"github.com/keybearer/keybearer/internal/gcpclient"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// claim is an annotation of the second secret, written by compare-and-set:
// whoever wrote it adds the next version of the main secret. Between Stores it
// is what makes a promotion of the latest version a compare-and-set.
type claim struct {
	// From is the newest version, after which one is to be added.
	From int64 `json:"from"`
	// By tells one claim from the next.
	By string `json:"by"`
	// Seconds is how long the claim is to be respected by who sees it stand:
	// longer than the call that it is for can be under way.
	Seconds int `json:"seconds"`
}

// maxClaim bounds how long a claim is respected, whoever wrote it.
const maxClaim = 2 * time.Minute

// patience is how long the claim keeps others off who want to promote from the
// same version.
func (c claim) patience(from int64) time.Duration {
	if c.From != from || c.Seconds <= 0 {
		return 0
	}
	return min(time.Duration(min(c.Seconds, 3600))*time.Second, maxClaim)
}

// watch remembers since when a claim has been seen to stand. It takes nobody's
// word for the time.
type watch struct {
	mu    sync.Mutex
	claim claim
	since time.Time
}

// left is how much longer the claim keeps us off.
func (w *watch) left(c claim, from int64) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.claim != c {
		w.claim, w.since = c, time.Now()
	}
	return c.patience(from) - time.Since(w.since)
}

// claimOf reads the claim. One that is malformed keeps nobody off.
func claimOf(secret *secretmanagerpb.Secret) (c claim) {
	if json.Unmarshal([]byte(secret.GetAnnotations()[claimKey]), &c) != nil {
		return claim{}
	}
	return c
}

// errClaimed: somebody else is about to promote from the same version.
var errClaimed = errors.New("gcpstore: claimed")

// claimPause is between two looks at a claim that keeps us off.
const claimPause = 300 * time.Millisecond

// claimed is a claim that was written: the version that it is of, the
// annotation, and until when the next version must have been added.
type claimed struct {
	before version
	text   string
	until  time.Time
}

// claim claims the promotion from a revision. It waits for the claim of another: either a version appears, and that
// is a conflict, or the other has died.
func (s *Store) claim(ctx context.Context, from rotation.Revision) (claimed, error) {
	for {
		c, err := s.tryClaim(ctx, from)
		if !errors.Is(err, errClaimed) {
			return c, err
		}
		if !gcpclient.Wait(ctx, claimPause) {
			if ctx.Err() != nil {
				return claimed{}, s.ended(ctx)
			}
			return claimed{}, s.conflict("another process is about to promote a key", nil)
		}
	}
}

func (s *Store) tryClaim(ctx context.Context, from rotation.Revision) (claimed, error) {
	var c claimed
	err := s.change(ctx, s.pending, annotations, func(secret *secretmanagerpb.Secret) error {
		v, f := s.newest(ctx, s.main)
		if f != nil {
			return s.report(f)
		}
		if s.revision(v) != from {
			return s.conflict("another version is the latest", nil)
		}
		if s.watch.left(claimOf(secret), v.number) > 0 {
			return errClaimed
		}
		until := time.Now().Add(s.addTime())
		mine := claim{From: v.number, By: rand.Text(), Seconds: int((2*s.addTime() + time.Second - 1) / time.Second)}
		text, err := json.Marshal(mine)
		if err != nil {
			return s.problem(keyprovider.ErrInvalid, "the claim cannot be written")
		}
		if secret.Annotations == nil {
			secret.Annotations = map[string]string{}
		}
		secret.Annotations[claimKey] = string(text)
		s.watch.left(mine, v.number) // should this come to nothing, our next attempt waits from now on
		c = claimed{v, string(text), until}
		return nil
	})
	return c, err
}

// addTime is how long the owner of a claim has to add the version. Others
// respect it for twice as long: a call that its client has given up may still be
// under way.
func (s *Store) addTime() time.Duration {
	if s.opts.Timeout < 0 {
		return DefaultTimeout
	}
	return min(s.opts.Timeout, maxClaim/2)
}

// release ends a claim under which nothing was added. A failure costs others
// their patience.
func (s *Store) release(ctx context.Context, c claimed) {
	secret, f := s.metadata(ctx, s.pending)
	if f != nil || secret.GetAnnotations()[claimKey] != c.text {
		return
	}
	delete(secret.Annotations, claimKey)
	_, _ = s.update(ctx, s.pending, secret, annotations)
}
