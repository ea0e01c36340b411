package rotation

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// sample is a state in a phase, with all that the phase needs.
func sample(phase Phase) *state {
	at := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	s := &state{
		Format: stateFormat, Store: "memory:test", Domain: "0123abcd-45ef67", Rotation: 7, Attempt: 2,
		Phase: phase, Since: at, Began: at, Holder: "host-1-abcd", LeaseUntil: at.Add(time.Minute),
		Request: askRotate, RotatedAt: at, NotBefore: at, Failures: 1,
		Trace:    "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01",
		Orphans:  []orphan{{KeyRecord: KeyRecord{ID: "key_o", Name: "keybearer/0123abcd-45ef67/7/1", Rotation: 7, Attempt: 1}}},
		Reported: []ReportedKey{{ID: "key_r", Why: "because", At: at}},
		History:  []PastRotation{{Rotation: "0123abcd-45ef67/6", Outcome: "rotated", Began: at, Ended: at}},
	}
	record := func(n int64, attempt int, fingerprint string) *KeyRecord {
		return &KeyRecord{
			ID: "key_" + fingerprint, AccountID: "svc_1", Name: keyName(s.Domain, n, attempt), Fingerprint: fingerprint,
			Rotation: n, Attempt: attempt, MintedAt: at, ExpiresAt: at.Add(90 * day),
		}
	}
	s.Current = record(6, 1, "aaaaaaaaaaaa")
	switch phase {
	case PhaseStaged, PhaseTested, PhasePromoting:
		s.Next = record(7, 2, "bbbbbbbbbbbb")
	case PhaseDraining, PhaseRevoking, PhaseRollback, PhaseRestoring:
		s.Former, s.Current, s.PromotedAt = s.Current, record(7, 2, "bbbbbbbbbbbb"), at
	case PhaseReverting:
		s.Former, s.PromotedAt = record(7, 2, "bbbbbbbbbbbb"), at
	case PhaseStopped:
		s.Stopped = "because"
	}
	return s
}

func TestStateRoundTrip(t *testing.T) {
	for _, phase := range phases {
		want := sample(phase)
		doc, err := want.encode()
		if err != nil {
			t.Errorf("%s: %v", phase, err)
			continue
		}
		got, err := decode(doc)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v, want %+v", phase, got, err, want)
		}
	}
}

// The longest state that can be fits into a document.
func TestStateIsBounded(t *testing.T) {
	s := sample(PhaseDraining)
	long := strings.Repeat("x", 128)
	s.Store, s.Holder, s.Condemned = strings.Repeat("s", 512), long, long
	for _, r := range []*KeyRecord{s.Current, s.Former} {
		r.ID, r.AccountID = r.Fingerprint+long[:100], long
	}
	s.Orphans, s.Reported, s.History = nil, nil, nil
	for i := range maxOrphans {
		s.Orphans = append(s.Orphans, orphan{Parked: "cccccccccccc", KeyRecord: KeyRecord{
			ID: long[:127] + string(rune('a'+i)), AccountID: long, Name: keyName(s.Domain, 5, i+1), Rotation: 5, Attempt: i + 1,
			MintedAt: s.Since, ExpiresAt: s.Since, Fingerprint: strings.Repeat(string(rune('0'+i)), 12),
		}})
	}
	for range maxReported {
		s.Reported = append(s.Reported, ReportedKey{ID: long, Name: keyName(s.Domain, 5, 1), Why: strings.Repeat("w", 150), At: s.Since})
	}
	for range maxHistory {
		s.History = append(s.History, PastRotation{Rotation: s.id(), Outcome: "rolled back", Why: strings.Repeat("w", 150), KeyID: long, Began: s.Since, Ended: s.Since})
	}
	doc, err := s.encode()
	if err != nil {
		t.Fatalf("%d bytes: %v", len(doc), err)
	}
	t.Logf("%d bytes", len(doc))
}

// A document that somebody wrote more tersely than this package would, and that
// would not fit any more when it is written again, is refused.
func TestStateThatGrows(t *testing.T) {
	s := sample(PhaseIdle)
	s.Reported = nil
	for range maxReported {
		s.Reported = append(s.Reported, ReportedKey{Why: strings.Repeat("x", 290), At: s.Since})
	}
	doc, err := s.encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := decode(doc); err != nil {
		t.Fatal(err)
	}
	if _, err := decode(bytes.ReplaceAll(doc, []byte("x"), []byte("<"))); err == nil {
		t.Error("it was taken")
	}
}

// A document that this package would not have written is refused.
func TestHostileState(t *testing.T) {
	set := func(change func(*state)) func() []byte {
		return func() []byte {
			s := sample(PhaseDraining)
			change(s)
			doc, err := json.Marshal(s)
			if err != nil {
				panic(err)
			}
			return doc
		}
	}
	text := func(s string) func() []byte { return func() []byte { return []byte(s) } }
	for name, doc := range map[string]func() []byte{
		"empty":             text(""),
		"no object":         text("[]"),
		"null":              text("null"),
		"another format":    set(func(s *state) { s.Format = 2 }),
		"too long":          func() []byte { return append(set(func(*state) {})(), bytes.Repeat([]byte(" "), maxState)...) },
		"something follows": func() []byte { return append(set(func(*state) {})(), "{}"...) },
		"an unknown member": func() []byte {
			return bytes.Replace(set(func(*state) {})(), []byte(`"phase"`), []byte(`"x":1,"phase"`), 1)
		},
		"a number for a text":  func() []byte { return bytes.Replace(set(func(*state) {})(), []byte(`"draining"`), []byte(`7`), 1) },
		"unknown phase":        set(func(s *state) { s.Phase = "melting" }),
		"unknown request":      set(func(s *state) { s.Request = "revoke everything" }),
		"no store":             set(func(s *state) { s.Store = "" }),
		"malformed domain":     set(func(s *state) { s.Domain = "../../admin" }),
		"negative rotation":    set(func(s *state) { s.Rotation = -1 }),
		"huge rotation":        set(func(s *state) { s.Rotation = 1 << 60 }),
		"a time long ago":      set(func(s *state) { s.PromotedAt = time.Date(1, 2, 3, 0, 0, 0, 0, time.UTC) }),
		"a time far ahead":     set(func(s *state) { s.Since = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC) }),
		"an absurd expiry":     set(func(s *state) { s.Current.ExpiresAt = time.Date(5000, 1, 1, 0, 0, 0, 0, time.UTC) }),
		"never promoted":       set(func(s *state) { s.PromotedAt = time.Time{} }),
		"no former":            set(func(s *state) { s.Former = nil }),
		"no current":           set(func(s *state) { s.Current = nil }),
		"former is current":    set(func(s *state) { *s.Former = *s.Current }),
		"one id twice":         set(func(s *state) { s.Former.ID = s.Current.ID }),
		"one print twice":      set(func(s *state) { s.Former.Fingerprint = s.Current.Fingerprint }),
		"a key of no name":     set(func(s *state) { s.Former.Name = "" }),
		"another's name":       set(func(s *state) { s.Former.Name = "billing-bot" }),
		"another domain":       set(func(s *state) { s.Former.Name = keyName("0123abcd-000000", 6, 1) }),
		"another attempt":      set(func(s *state) { s.Former.Attempt = 5 }),
		"a later former":       set(func(s *state) { s.Former.Rotation, s.Former.Name = 8, keyName(s.Domain, 8, 1) }),
		"a foreign new key":    set(func(s *state) { *s.Current = KeyRecord{Fingerprint: "bbbbbbbbbbbb", Foreign: true} }),
		"foreign, with a name": set(func(s *state) { s.Former.Foreign = true }),
		"no fingerprint":       set(func(s *state) { s.Former.Fingerprint = "" }),
		"an id with a space":   set(func(s *state) { s.Former.ID = "key_1 /../key_2" }),
		"orphan in use":        set(func(s *state) { s.Orphans[0].ID = s.Current.ID }),
		"orphan without name":  set(func(s *state) { s.Orphans[0].Name = "" }),
		"foreign orphan":       set(func(s *state) { s.Orphans[0].KeyRecord = KeyRecord{ID: "x", Foreign: true} }),
		"too many orphans": set(func(s *state) {
			for i := range 20 {
				s.Orphans = append(s.Orphans, orphan{KeyRecord: KeyRecord{ID: "k" + string(rune('a'+i)), Name: keyName(s.Domain, 1, i+1), Rotation: 1, Attempt: i + 1}})
			}
		}),
		"stopped, no reason":  set(func(s *state) { s.Phase = PhaseStopped }),
		"a reason, running":   set(func(s *state) { s.Stopped = "x" }),
		"a malformed trace":   set(func(s *state) { s.Trace = "00-xyz" }),
		"a holder with quote": set(func(s *state) { s.Holder = "a\"b" }),
		"a long text":         set(func(s *state) { s.Failure = strings.Repeat("x", 1000) }),
	} {
		if s, err := decode(doc()); err == nil {
			t.Errorf("%s: accepted as %+v", name, s)
		}
	}
}

// Whatever is decoded can be written and read again, and changes nothing.
func FuzzState(f *testing.F) {
	for _, phase := range phases {
		doc, err := sample(phase).encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(doc)
	}
	f.Add([]byte(`{"format":1}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		s, err := decode(doc)
		if err != nil {
			return
		}
		again, err := s.encode()
		if err != nil {
			if len(again) > maxState {
				return // it was denser than we write
			}
			t.Fatalf("what was read cannot be written: %v", err)
		}
		twice, err := decode(again)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if last, err := twice.encode(); err != nil || !bytes.Equal(again, last) {
			t.Fatalf("got %s, %v, want %s", last, err, again)
		}
	})
}

func TestKeyName(t *testing.T) {
	name := keyName("0123abcd-45ef67", 12, 3)
	if want := "keybearer/0123abcd-45ef67/12/3"; name != want {
		t.Errorf("got %q, want %q", name, want)
	}
	if d, n, a, ok := parseName(name); !ok || d != "0123abcd-45ef67" || n != 12 || a != 3 {
		t.Errorf("parsed as %q, %d, %d, %t", d, n, a, ok)
	}
	for _, bad := range []string{
		"", "keybearer", "keybearer/", "0123abcd-45ef67/12/3", "keybearer/0123abcd-45ef67/12", "keybearer/0123abcd-45ef67/12/3/",
		"keybearer/0123abcd-45ef67/012/3", "keybearer/0123abcd-45ef67/+12/3", "keybearer/0123abcd-45ef67/0/1", "keybearer/0123abcd-45ef67/1/0",
		"keybearer/0123ABCD-45ef67/1/1", "keybearer/0123abcd-45ef6/1/1", "Keybearer/0123abcd-45ef67/1/1", "keybearer/0123abcd-45ef67/1/1 ",
		"keybearer/0123abcd-45ef67/99999999999999999999/1",
	} {
		if _, _, _, ok := parseName(bad); ok {
			t.Errorf("%q counts as a name", bad)
		}
	}
}

// A domain follows from the store and the option, so that neither can be taken
// for the other.
func TestDomainRoot(t *testing.T) {
	roots := map[string]string{}
	for _, d := range [][2]string{{"a", ""}, {"b", ""}, {"a", "b"}, {"ab", ""}, {"", "ab"}} {
		root := domainRoot(d[0], d[1])
		if before, ok := roots[root]; ok {
			t.Errorf("%q has the root of %s", d, before)
		}
		roots[root] = d[0] + "," + d[1]
	}
}
