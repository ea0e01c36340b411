package rotation

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// A rehearsal is a Store and an Issuer that show what the real ones show, take
// every change upon themselves, and write it down. Its time is its own.
type rehearsal struct {
	r          *Rotator
	now        time.Time
	begun      *state // as it is; nil: there is none
	steps      []PlannedStep
	keys       []IssuedKey
	value      pointer
	stagedKey  *keyprovider.Key
	stagedRead bool
	formers    []*keyprovider.Key
	doc        document
	serial     int
	minted     map[string]bool // fingerprints
	probed     map[string]error
}

// newRehearsal reads what is there.
func newRehearsal(ctx context.Context, r *Rotator) (*rehearsal, error) {
	now := r.now()
	h := &rehearsal{r: r, now: now, minted: map[string]bool{}, probed: map[string]error{}}
	var err error
	if h.doc, err = r.read(ctx); err != nil {
		return nil, err
	}
	if h.doc.bytes != nil {
		if h.begun, err = r.open(h.doc.bytes); err != nil {
			return nil, err
		}
	}
	if h.value, err = r.current(ctx); err != nil {
		return nil, err
	}
	h.keys, err = r.list(ctx)
	h.keys = slices.Clone(h.keys)
	for i := range h.keys {
		h.keys[i].AsOf = time.Time{} // the clock is the rehearsal's from here on
	}
	return h, err
}

func (h *rehearsal) did(format string, args ...any) {
	h.steps = append(h.steps, PlannedStep{h.now, fmt.Sprintf(format, args...)})
}

func (h *rehearsal) revision() Revision {
	h.serial++
	return Revision("rehearsed-" + strconv.Itoa(h.serial))
}

func notFound(text string) error {
	return &keyprovider.Error{Class: keyprovider.ErrNotFound, Err: keyprovider.Reason(text, nil)}
}

// String implements Store, as do the methods below.
func (h *rehearsal) String() string { return h.r.name }

func (h *rehearsal) Current(context.Context) (*keyprovider.Key, Revision, error) {
	if h.value.key == nil {
		return nil, h.value.rev, notFound("no key yet")
	}
	return h.value.key, h.value.rev, nil
}

func (h *rehearsal) Former(ctx context.Context, fingerprint string) (*keyprovider.Key, error) {
	for _, k := range h.formers {
		if k.Fingerprint() == fingerprint {
			return k, nil
		}
	}
	return h.r.store.Former(ctx, fingerprint)
}

func (h *rehearsal) Stage(_ context.Context, k *keyprovider.Key) error {
	h.stagedKey, h.stagedRead = k, true
	h.did("stage it, and test it")
	return nil
}

func (h *rehearsal) Staged(ctx context.Context) (*keyprovider.Key, error) {
	if !h.stagedRead {
		k, err := h.r.store.Staged(ctx)
		if err != nil {
			return nil, err
		}
		h.stagedKey, h.stagedRead = k, true
	}
	if h.stagedKey == nil {
		return nil, notFound("no key is staged")
	}
	return h.stagedKey, nil
}

func (h *rehearsal) Unstage(_ context.Context, fingerprint string) error {
	if h.stagedKey != nil && h.stagedKey.Fingerprint() == fingerprint {
		h.stagedKey = nil
		h.did("clear the stage")
	}
	return nil
}

func (h *rehearsal) Promote(_ context.Context, k *keyprovider.Key, from Revision) error {
	if from != h.value.rev {
		return ErrConflict
	}
	if h.value.key != nil {
		h.formers = append(h.formers, h.value.key)
	}
	what := "make the new key the current one"
	if slices.ContainsFunc(h.formers, k.Equal) {
		what = "make the former key the current one again"
	}
	h.value = pointer{k, h.revision()}
	h.did("%s", what)
	return nil
}

func (h *rehearsal) State(context.Context) ([]byte, Revision, error) {
	if h.doc.bytes == nil {
		return nil, h.doc.rev, notFound("no state yet")
	}
	return h.doc.bytes, h.doc.rev, nil
}

func (h *rehearsal) SetState(_ context.Context, doc []byte, from Revision) (Revision, error) {
	if from != h.doc.rev {
		return "", ErrConflict
	}
	h.doc = document{doc, h.revision()}
	return h.doc.rev, nil
}

// Issue implements Issuer, as do the methods below. The key that it returns is
// none: it stands for the one that would be minted.
func (h *rehearsal) Issue(_ context.Context, name string, lifetime time.Duration) (*keyprovider.Key, error) {
	h.serial++
	id := "rehearsed-" + strconv.Itoa(h.serial)
	k, err := keyprovider.NewKey("rehearsed-"+randomHex(16), keyprovider.Info{
		ID: id, CreatedAt: h.now, StatedExpiry: h.now.Add(lifetime),
	})
	if err != nil {
		return nil, err
	}
	h.minted[k.Fingerprint()] = true
	h.keys = append(h.keys, IssuedKey{ID: id, Name: name, Owned: true, CreatedAt: h.now, ExpiresAt: h.now.Add(lifetime)})
	h.did("mint %s, which lives for %s", name, lifetime)
	return k, nil
}

func (h *rehearsal) List(context.Context) ([]IssuedKey, error) { return h.keys, nil }

func (h *rehearsal) Inspect(_ context.Context, id string) (IssuedKey, error) {
	for _, k := range h.keys {
		if k.ID == id {
			return k, nil
		}
	}
	return IssuedKey{}, notFound("there is no such key")
}

func (h *rehearsal) Restrict(context.Context, string, Restriction) error { return nil }

func (h *rehearsal) Revoke(_ context.Context, id string) error {
	for i, k := range h.keys {
		if k.ID == id {
			h.keys = slices.Delete(slices.Clone(h.keys), i, i+1)
			h.did("revoke %s (%s)", printable(k.Name), printable(k.ID))
			return nil
		}
	}
	return notFound("there is no such key")
}

func (h *rehearsal) Probe(ctx context.Context, k *keyprovider.Key) error {
	if h.minted[k.Fingerprint()] {
		return nil
	}
	err, ok := h.probed[k.Fingerprint()]
	if !ok {
		err = h.r.issuer.Probe(ctx, k)
		h.probed[k.Fingerprint()] = err
	}
	return err
}
