package gcpstore

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

func (w *world) annotations(of string) (all map[string]string) {
	w.do(func() { all = clone(w.secrets[of].pb).Annotations })
	return all
}

func (w *world) setState(doc string, from rotation.Revision) rotation.Revision {
	w.Helper()
	to, err := w.store.SetState(w.Context(), []byte(doc), from)
	if err != nil {
		w.Fatalf("SetState: %v", err)
	}
	return to
}

// The document is in annotations, among those of others, which stay.
func TestStateAmongOthers(t *testing.T) {
	bubble(t, Options{}, func(w *world) {
		w.do(func() { w.secrets[pendingName].pb.Annotations = map[string]string{"owner": "team-a"} })
		if from := w.setState(`{"n":1}`, ""); from == "" {
			t.Error("the revision is empty")
		}
		w.promoted()
		got := w.annotations(pendingName)
		if got["owner"] != "team-a" || got[documentKey] != `{"n":1}` || len(got) != 4 {
			t.Errorf("the annotations are %q", got)
		}
		if got := w.annotations(mainName); len(got) != 0 {
			t.Errorf("the annotations of the main secret are %q", got)
		}
	})
}

// Whoever changes something else of the secret meanwhile delays a document, and
// loses nothing by it; whoever sets another document wins.
func TestStateContended(t *testing.T) {
	bubble(t, Options{}, func(w *world) {
		from := w.setState(`{"n":1}`, "")
		times := 3
		w.do(func() {
			w.before = func(_ context.Context, m, _ string) error {
				if m == "update" && times > 0 {
					times--
					w.do(func() {
						pb := w.secrets[pendingName].pb
						pb.Annotations["other"], pb.Etag = strings.Repeat("x", times), w.etag()
					})
				}
				return nil
			}
		})
		from2 := w.setState(`{"n":2}`, from)
		if got := w.annotations(pendingName); got["other"] != "" || got[documentKey] != `{"n":2}` {
			t.Errorf("the annotations are %q", got)
		}
		times = 1000
		_, err := w.store.SetState(w.Context(), []byte(`{"n":3}`), from2)
		w.wantConflict(err, "the secret openai-pending is being changed by others")
		w.do(func() {
			w.before = func(_ context.Context, m, _ string) error {
				if m == "update" {
					w.do(func() { w.before = nil })
					_, err := open(w.T, w.service, Options{}).SetState(w.Context(), []byte(`{"n":4}`), from2)
					return err
				}
				return nil
			}
		})
		_, err = w.store.SetState(w.Context(), []byte(`{"n":3}`), from2)
		w.wantConflict(err, "the state document has changed")
	})
}

// A document that somebody edits by hand is another revision, however little
// they touch; one that is no document is invalid.
func TestStateByHand(t *testing.T) {
	bubble(t, Options{}, func(w *world) {
		from := w.setState(`{"n":1}`, "")
		edit := func(key, value string) { w.do(func() { w.secrets[pendingName].pb.Annotations[key] = value }) }
		revisions := map[rotation.Revision]bool{from: true}
		for i, change := range []struct{ key, value string }{{documentKey, `{"n":2}`}, {generationKey, "-1"}, {generationKey, ""}, {generationKey, "9223372036854775807"}, {generationKey, "x"}} {
			edit(change.key, change.value)
			_, r, err := w.store.State(w.Context())
			if err != nil || revisions[r] {
				t.Errorf("edit %d: revision %q, %v", i, r, err)
			}
			revisions[r] = true
			if next := w.setState(`{"n":2}`, r); revisions[next] {
				t.Errorf("after edit %d: revision %q again", i, next)
			}
		}
		bomb := must(pack(bytes.Repeat([]byte{0xff}, 1<<20), maxDocument))
		for _, text := range []string{packed, packed + "!", packed + base64.StdEncoding.EncodeToString([]byte("no gzip")), strings.Repeat("x", maxDocument+1), bomb} {
			edit(documentKey, text)
			if doc, _, err := w.store.State(w.Context()); !errors.Is(err, keyprovider.ErrInvalid) {
				t.Errorf("a document of %.20q: %d bytes, %v", text, len(doc), err)
			}
		}
	})
}

func must(text string, ok bool) string {
	if !ok {
		panic("no room")
	}
	return text
}

// 16 KiB hold the keys and values of all annotations. A large document is
// compressed, and one that does not fit even so is refused before it is sent.
func TestStateRoom(t *testing.T) {
	bubble(t, Options{}, func(w *world) {
		large := `{"text":"` + strings.Repeat("keybearer ", 1200) + `"}`
		from := w.setState(large, "")
		if w.annotations(pendingName)[documentKey] != large {
			t.Error("a document that fits is not kept as it is")
		}
		w.do(func() { w.secrets[pendingName].pb.Annotations["other"] = strings.Repeat("x", 8<<10) })
		from = w.setState(large, from)
		text := w.annotations(pendingName)[documentKey]
		if !strings.HasPrefix(text, packed) || len(text) > 8<<10 {
			t.Errorf("the document is kept as %.20q of %d bytes", text, len(text))
		}
		if doc, _, err := w.store.State(w.Context()); err != nil || string(doc) != large {
			t.Errorf("State: %d bytes, %v", len(doc), err)
		}
		w.promoted() // has room for its claim

		noise := make([]byte, 8<<10)
		random := rand.NewChaCha8([32]byte{})
		_, _ = random.Read(noise)
		w.take()
		_, err := w.store.SetState(w.Context(), noise, from)
		if !errors.Is(err, keyprovider.ErrInvalid) || !strings.Contains(err.Error(), "bytes are left of 16 KiB") {
			t.Errorf("SetState of what does not fit: %v", err)
		}
		if calls := strings.Join(w.take(), " "); strings.Contains(calls, "update") {
			t.Errorf("it was sent: %s", calls)
		}
		_, err = w.store.SetState(w.Context(), make([]byte, maxDocument+1), from)
		if !errors.Is(err, keyprovider.ErrInvalid) {
			t.Errorf("SetState of too much: %v", err)
		}
	})
}

// A lost answer of an update is made up for by what can be read.
func TestStateLost(t *testing.T) {
	bubble(t, Options{}, func(w *world) {
		from := w.setState(`{"n":1}`, "")
		w.do(func() { w.after = failing("update", pendingName, codes.Unavailable) })
		to, err := w.store.SetState(w.Context(), []byte(`{"n":2}`), from)
		if err != nil {
			t.Errorf("SetState whose answer was lost: %v", err)
		}
		w.do(func() { w.before, w.after = failing("update", pendingName, codes.Unavailable), nil })
		if _, err := w.store.SetState(w.Context(), []byte(`{"n":3}`), to); !errors.Is(err, keyprovider.ErrUnavailable) {
			t.Errorf("SetState that was not made: %v", err)
		}
		w.do(func() { w.before = nil })
		w.setState(`{"n":3}`, to)
	})
}

// Without an etag there is no compare-and-set, so nothing is written.
func TestNoEtag(t *testing.T) {
	bubble(t, Options{}, func(w *world) {
		w.do(func() { w.secrets[pendingName].pb.Etag = "" })
		w.take()
		_, err := w.store.SetState(w.Context(), []byte(`{}`), "")
		if !errors.Is(err, keyprovider.ErrUnavailable) || !strings.Contains(err.Error(), "no etag") {
			t.Errorf("SetState: %v", err)
		}
		if err := w.store.Promote(w.Context(), w.key(), ""); !errors.Is(err, keyprovider.ErrUnavailable) {
			t.Errorf("Promote: %v", err)
		}
		for _, call := range w.take() {
			if strings.HasPrefix(call, "update") || strings.HasPrefix(call, "add") {
				t.Errorf("the store made the call %s", call)
			}
		}
	})
}

func FuzzPack(f *testing.F) {
	f.Add([]byte(`{"n":1}`), 100)
	f.Add([]byte(packed+"x"), 1000)
	f.Add([]byte{0xff, 0xfe}, 1000)
	f.Fuzz(func(t *testing.T, doc []byte, room int) {
		if len(doc) > maxDocument {
			return
		}
		text, ok := pack(doc, room)
		if !ok {
			return
		}
		if len(text) > room {
			t.Errorf("%d bytes of text have no room in %d", len(text), room)
		}
		if back, err := unpack(text); err != nil || string(back) != string(doc) {
			t.Errorf("%q came back as %q, %v", doc, back, err)
		}
	})
}

func FuzzUnpack(f *testing.F) {
	f.Add(`{"n":1}`)
	f.Add(packed)
	f.Add(must(pack([]byte{0xff}, 100)))
	f.Fuzz(func(t *testing.T, text string) {
		if doc, err := unpack(text); err == nil && len(doc) > maxDocument {
			t.Errorf("a document of %d bytes", len(doc))
		}
	})
}
