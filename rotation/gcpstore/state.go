package gcpstore

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"

	"github.com/keybearer/keybearer/internal/gcpclient"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// The annotations of the second secret that are the Store's. All others are
// left as they are.
const (
	documentKey   = "keybearer-state"
	generationKey = "keybearer-state-generation"
	claimKey      = "keybearer-promotion"
)

// maxAnnotations is what the keys and values of a secret's annotations must
// stay below, in bytes, and claimRoom what of that is left for a claim.
const (
	maxAnnotations = 16 << 10
	claimRoom      = 256
)

// State implements rotation.Store. Google calls reads of annotations eventually
// consistent: a document that another process has just written may be missed.
// One that this Store has written is not, and SetState never is misled: what it
// writes over an old document is refused.
func (s *Store) State(ctx context.Context) ([]byte, rotation.Revision, error) {
	secret, f := s.metadata(ctx, s.pending)
	if f != nil {
		return nil, "", s.report(f)
	}
	text, ok := secret.GetAnnotations()[documentKey]
	if !ok {
		return nil, "", s.problem(keyprovider.ErrNotFound, "the secret "+s.pending.ID+" has no state document yet")
	}
	document, err := unpack(text)
	if err != nil {
		return nil, "", s.problem(keyprovider.ErrInvalid, "the annotation "+documentKey+" of the secret "+s.pending.ID+" is not what this store wrote")
	}
	return document, stateRevision(secret), nil
}

// SetState implements rotation.Store.
func (s *Store) SetState(ctx context.Context, document []byte, from rotation.Revision) (rotation.Revision, error) {
	if len(document) > maxDocument {
		return "", s.problem(keyprovider.ErrInvalid, "a state document has at most 16 KiB")
	}
	var to rotation.Revision
	err := s.change(ctx, s.pending, annotations, func(secret *secretmanagerpb.Secret) error {
		if stateRevision(secret) != from {
			return s.conflict("the state document has changed", nil)
		}
		if secret.Annotations == nil {
			secret.Annotations = map[string]string{}
		}
		secret.Annotations[generationKey] = nextGeneration(secret)
		others := maps.Clone(secret.Annotations)
		delete(others, documentKey)
		delete(others, claimKey)
		room := maxAnnotations - 1 - claimRoom - size(others) - len(documentKey)
		text, ok := pack(document, room)
		if !ok {
			return s.problem(keyprovider.ErrInvalid, fmt.Sprintf("the state document does not fit into the annotations of the secret %s: "+
				"%d bytes are left of 16 KiB; remove annotations that are not the store's", s.pending.ID, max(room, 0)))
		}
		secret.Annotations[documentKey] = text
		to = stateRevision(secret)
		return nil
	})
	if err != nil {
		return "", err
	}
	return to, nil
}

// stateRevision names the document and its writing: one that comes back is
// another revision.
func stateRevision(secret *secretmanagerpb.Secret) rotation.Revision {
	text, ok := secret.GetAnnotations()[documentKey]
	if !ok {
		return ""
	}
	sum := sha256.Sum256([]byte(secret.Annotations[generationKey] + "\n" + text))
	return rotation.Revision(strconv.FormatInt(generation(secret), 10) + "-" + hex.EncodeToString(sum[:8]))
}

// generation counts the documents. What is no number was not written here.
func generation(secret *secretmanagerpb.Secret) int64 {
	count, _, _ := strings.Cut(secret.GetAnnotations()[generationKey], "-")
	return gcpclient.Number(count)
}

// nextGeneration is the annotation that goes with the next document. By its
// random part a writer knows its own again, should the answer be lost.
func nextGeneration(secret *secretmanagerpb.Secret) string {
	return strconv.FormatInt(generation(secret)%math.MaxInt64+1, 10) + "-" + rand.Text()[:8]
}

func size(of map[string]string) (n int) {
	for key, value := range of {
		n += len(key) + len(value)
	}
	return n
}
