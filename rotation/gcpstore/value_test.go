package gcpstore

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

// What somebody keeps beside the key stays, what describes the key goes with it.
func TestMembers(t *testing.T) {
	each(t, func(w *world, alias string) {
		by := w.key()
		w.hand(mainName, alias, []byte(`{"api_key":"`+by.Reveal()+`","key_id":"key_0","expires_at":"2026-01-01T00:00:00Z","base_url":"https://x","limits":{"rpm":12345678901234567890}}`))
		for range 2 {
			k := w.promoted()
			var got map[string]json.RawMessage
			w.do(func() {
				versions := w.secrets[mainName].versions
				if err := json.Unmarshal(versions[len(versions)-1].data, &got); err != nil {
					w.Error(err)
				}
			})
			if string(got["base_url"]) != `"https://x"` || string(got["limits"]) != `{"rpm":12345678901234567890}` || string(got["key_id"]) != `"key_1"` || len(got) != 5 {
				w.Errorf("the value has the members %q, %q, %q of %d", got["base_url"], got["limits"], got["key_id"], len(got))
			}
			w.current(w.store, k)
		}
		w.hand(mainName, alias, []byte(`{"api_key":"`+by.Reveal()+`","note":"`+strings.Repeat("x", maxPayload-80)+`"}`))
		from := w.current(w.store, by)
		if err := w.store.Promote(w.Context(), w.key(), from); !errors.Is(err, keyprovider.ErrInvalid) || !strings.Contains(err.Error(), "64 KiB") {
			w.Errorf("Promote beside what leaves no room: %v", err)
		}
		w.current(w.store, by)
	})
}

func FuzzOver(f *testing.F) {
	for _, before := range []string{"", "bare", "null", "[]", "{}", `{"api_key":"a","x":1}`, `{"x":1,"x":2}`, `{"API_KEY":"b"}`, "{"} {
		f.Add([]byte(before), "")
		f.Add([]byte(before), "x")
	}
	f.Fuzz(func(t *testing.T, before []byte, field string) {
		if !utf8.ValidString(field) {
			return // which New refuses
		}
		s := &Store{opts: Options{Field: field}}
		k, err := keyprovider.NewKey(keyprovidertest.NewSecret(), keyprovider.Info{ID: "key_1"})
		if err != nil {
			t.Fatal(err)
		}
		value, err := rotation.EncodeValue(k, field)
		if err != nil {
			return
		}
		merged, err := s.over(before, value)
		if err != nil {
			return
		}
		got, err := keyprovider.ParseKey(merged, field, keyprovider.Info{})
		if err != nil || !got.Equal(k) || got.Info().ID != "key_1" || got.Info().RotationID != "" {
			t.Errorf("over %q: %v, %v", before, got, err)
		}
	})
}
