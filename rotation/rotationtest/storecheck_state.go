package rotationtest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// Obligation 10: no document is ErrNotFound, with the revision to set it from.
func checkStateNone(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	_, from, err := p.state(p.Context())
	p.mustBe("State in an empty place", err, keyprovider.ErrNotFound)
	p.mustPromote()
	_, from2, err := p.state(p.Context())
	p.mustBe("State beside a key", err, keyprovider.ErrNotFound)
	if from != from2 {
		p.Errorf("the revision of no document is %q and %q", from, from2)
	}
	doc := []byte(`{"first":true}`)
	if _, err := p.setState(p.Context(), doc, "no-such-revision"); !errors.Is(err, rotation.ErrConflict) {
		p.Errorf("SetState of the first document from a revision that never was: %v, want ErrConflict", err)
	}
	_, err = p.setState(p.Context(), doc, from)
	p.must("SetState of the first document", err)
	p.mustState(doc)
	_, err = p.setState(p.Context(), []byte(`{}`), from)
	p.mustBe("SetState as of the first document, again", err, rotation.ErrConflict)
	p.mustState(doc)
}

// Obligation 10: from another revision than the present one nothing changes,
// and the revision that is returned is the one to go on from.
func checkStateCompares(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	passed := p.mustSetState([]byte(`{"n":0}`))
	present := passed
	for i := range 3 {
		doc := fmt.Appendf(nil, `{"n":%d,"text":"é \u2028 <&> \"quoted\""}`, i+1)
		next, err := p.setState(p.Context(), doc, present)
		p.must("SetState from the revision that SetState returned", err)
		if read := p.with(p.other()).mustState(doc); read != next {
			p.Errorf("SetState returned the revision %q, State returns %q", next, read)
		}
		present = next
		for _, from := range []rotation.Revision{"", passed, "no-such-revision", "999999"} {
			_, err := p.setState(p.Context(), []byte(`{"lost":true}`), from)
			p.mustBe(fmt.Sprintf("SetState from %q", from), err, rotation.ErrConflict)
		}
		p.mustState(doc)
	}
}

// Obligation 10: what a standby or a cache has is not what State returns.
func checkStateStale(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	p.Need(p.place.Lag != nil, "the harness serves nothing that is out of date (StorePlace.Lag)")
	from := p.mustSetState([]byte(`{"n":1}`))
	settle := p.place.Lag()
	defer settle()
	_, err := p.setState(p.Context(), []byte(`{"n":2}`), from)
	p.must("SetState", err)
	switch doc, _, err := p.with(p.other()).state(p.Context()); {
	case err != nil && !errors.Is(err, keyprovider.ErrUnavailable):
		p.Errorf("State while a standby lags: %v", err)
	case err == nil && string(doc) != `{"n":2}`:
		p.Error("State is out of date")
	}
}

// document returns one of size bytes, of the kind that a Rotator writes.
func document(size int) []byte {
	type record struct {
		ID, Name, Fingerprint string
		At                    int64
	}
	var records []record
	for i := 0; ; i++ {
		sum := sha256.Sum256([]byte(strconv.Itoa(i)))
		id := hex.EncodeToString(sum[:])
		records = append(records, record{"key_" + id[:16], "keybearer/0011aabb-ccddee/" + strconv.Itoa(i) + "/1", id[20:32], 1764000000 + int64(i)*86400})
		doc, err := json.Marshal(map[string]any{"records": records, "pad": ""})
		if err != nil {
			panic(err)
		}
		if pad := size - len(doc); pad < 160 {
			text := make([]byte, max(pad, 0))
			for i := range text {
				text[i] = "0123456789abcdef"[sum[i%32]&15]
			}
			doc, err = json.Marshal(map[string]any{"records": records, "pad": string(text)})
			if err != nil {
				panic(err)
			}
			return doc
		}
	}
}

// Obligation 10: 16 KiB fit, and no more.
func checkStateSize(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	whole := document(maxState)
	if len(whole) != maxState {
		p.Fatalf("rotationtest: the document has %d bytes, want %d", len(whole), maxState)
	}
	p.mustSetState(whole)
	from := p.with(p.other()).mustState(whole)
	_, err := p.setState(p.Context(), document(maxState+1), from)
	p.mustBe("SetState of more than 16 KiB", err, keyprovider.ErrInvalid)
	p.mustState(whole)
	small := []byte(`{}`)
	p.mustSetState(small)
	p.mustState(small)
}

// Obligation 10: many count together, and miss no count.
func checkStateRace(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	p.mustSetState([]byte("0"))
	var mu sync.Mutex
	given := make(map[rotation.Revision]bool)
	var counting sync.WaitGroup
	for range writers {
		s := p.other()
		counting.Go(func() {
			for {
				doc, from, err := s.State(p.Context())
				n, bad := strconv.Atoi(string(doc))
				if err != nil || bad != nil {
					p.Errorf("State beside writers: %.20q, %v", doc, err)
					return
				}
				r, err := s.SetState(p.Context(), strconv.AppendInt(nil, int64(n)+1, 10), from)
				p.vet("SetState beside others", err)
				if errors.Is(err, rotation.ErrConflict) {
					continue
				}
				if err != nil {
					p.Errorf("SetState beside others: %v, want nil or ErrConflict", err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if given[r] {
					p.Errorf("two documents have the revision %q", r)
				}
				given[r] = true
				return
			}
		})
	}
	p.Within("SetState by many at one time", counting.Wait)
	p.mustState(strconv.AppendInt(nil, writers, 10))
}

// Obligation 10: readers of the key see nothing of the state.
func checkStateApart(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	p.mustSetState([]byte(`{"api_key":"state"}`))
	if k, err := p.place.Reader.Fetch(p.Context(), ""); err == nil {
		p.Errorf("readers of a place that has a state and no key see %v", k)
	}
	p.mustCurrent(nil)
	k := p.mustPromote()
	held := p.mustRead(k)
	p.mustSetState([]byte(`{"api_key":"state2"}`))
	switch again, err := p.place.Reader.Fetch(p.Context(), held.Version()); {
	case errors.Is(err, keyprovider.ErrNotModified):
	case err != nil:
		p.Errorf("readers fail after SetState: %v", err)
	case !again.Equal(k) || again.Version() != held.Version():
		p.Error("readers see another key after SetState")
	}
}
