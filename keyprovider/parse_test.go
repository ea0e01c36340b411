package keyprovider_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func TestParseKey(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	other := keyprovidertest.NewSecret()
	tests := []struct{ name, payload, field string }{
		{"bare", secret, ""},
		{"line break", secret + "\n", ""},
		{"DOS line break", secret + "\r\n", ""},
		{"bare, though a field is named", secret, "token"},
		{"object", `{"api_key":"` + secret + `"}`, ""},
		{"the default field by name", `{"api_key":"` + secret + `"}`, "api_key"},
		{"another field", `{"api_key":"` + other + `","token":"` + secret + `"}`, "token"},
		{"spread out", " \r\n\t{\n \"a\": [{\"api_key\": \"" + other + "\"}],\n \"api_key\" : \"" + secret + "\"\n}\n\n", ""},
		{"line break in the field", `{"api_key":"` + secret + `\n"}`, ""},
		{"DOS line break in the field", `{"api_key":"` + secret + `\r\n"}`, ""},
		{"escapes", `{"\u0061pi_key":"\u0073` + secret[1:] + `"}`, ""},
		{"JSON string", `"` + secret + `"`, ""},
		{"JSON string and line breaks", "\"" + secret + "\\n\"\n", ""},
		{"names differ by case", `{"API_KEY":"` + other + `","api_key":"` + secret + `"}`, ""},
		{"the field within another object is no second one", `{"old":{"api_key":"` + other + `"},"api_key":"` + secret + `"}`, ""},
		{"other fields may repeat", `{"a":1,"a":2,"api_key":"` + secret + `"}`, ""},
		{"an odd name", `{"":"` + other + `","a.b c":"` + secret + `"}`, "a.b c"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, err := keyprovider.ParseKey([]byte(tt.payload), tt.field, keyprovider.Info{Version: "7"})
			if err != nil {
				t.Fatal(err)
			}
			if k.Reveal() != secret {
				t.Error("another secret")
			}
			if k.Version() != "7" {
				t.Errorf("Version = %q, want that of base", k.Version())
			}
		})
	}
}

func TestParseKeyRefuses(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	tests := []struct{ name, payload, field, says string }{
		{"nothing", "", "", "empty"},
		{"blanks", " \r\n\t", "", "empty"},
		{"two line breaks", secret + "\n\n", "", "line break"},
		{"old Mac line break", secret + "\r", "", "line break"},
		{"blank before", " " + secret, "", "white space"},
		{"two lines", secret + "\n" + secret, "", "line break"},
		{"a shell's assignment", "export OPENAI_API_KEY=" + secret, "", "white space"},
		{"byte order mark", "\ufeff" + secret, "", "byte order mark"},
		{"byte order mark before JSON", "\ufeff" + `{"api_key":"` + secret + `"}`, "", "byte order mark"},
		{"UTF-16", "s\x00k\x00", "", "control character"},
		{"too long", secret + strings.Repeat("k", 64<<10), "", "more than 65536"},
		{"array", `["` + secret + `"]`, "", "neither a bare key nor"},
		{"single quotes", `'` + secret + `'`, "", "neither a bare key nor"},
		{"backquotes", "`" + secret + "`", "", "neither a bare key nor"},
		{"cut object", `{"api_key":"` + secret, "", "not valid JSON (byte"},
		{"cut string", `"` + secret, "", "not valid JSON"},
		{"text after the object", `{"api_key":"` + secret + `"} ` + secret, "", "not valid JSON"},
		{"two objects", `{"api_key":"` + secret + `"}{}`, "", "not valid JSON"},
		{"Python's quotes", `{'api_key':'` + secret + `'}`, "", "not valid JSON"},
		{"trailing comma", `{"api_key":"` + secret + `",}`, "", "not valid JSON"},
		{"braces, not JSON", `{{ .Secret }}`, "", "not valid JSON"},
		{"no such field", `{"key":"` + secret + `"}`, "", `no field "api_key"`},
		{"empty object", `{}`, "", `no field "api_key"`},
		{"other case", `{"API_KEY":"` + secret + `"}`, "", `no field "api_key"`},
		{"a key pasted as the field", `{"api_key":"x"}`, secret, "no field of the configured name"},
		{"null", `{"api_key":null}`, "", "not a string"},
		{"number", `{"api_key":17}`, "", "not a string"},
		{"nested", `{"api_key":{"api_key":"` + secret + `"}}`, "", "not a string"},
		{"list", `{"api_key":["` + secret + `"]}`, "", "not a string"},
		{"empty key", `{"api_key":""}`, "", "empty"},
		{"two line breaks in the field", `{"api_key":"` + secret + `\n\n"}`, "", "line break"},
		{"NUL in the field", `{"api_key":"` + secret + `\u0000"}`, "", "control character"},
		{"lone surrogate in the field", `{"api_key":"` + secret + `\ud800"}`, "", "not ASCII"},
		{"twice", `{"api_key":"` + keyprovidertest.NewSecret() + `","api_key":"` + secret + `"}`, "", "more than once"},
		{"twice, once escaped", `{"api_key":"` + secret + `","\u0061pi_key":"` + secret + `"}`, "", "more than once"},
		{"its own id", `{"api_key":"` + secret + `","rotation_id":"r-` + secret + `"}`, "", "repeats the key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, err := keyprovider.ParseKey([]byte(tt.payload), tt.field, keyprovider.Info{})
			if k != nil || err == nil {
				t.Fatalf("ParseKey = %v, %v, want an error", k, err)
			}
			wantInvalid(t, err, secret)
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %q, want it to say %q", err, tt.says)
			}
		})
	}
}

// TestParseKeyBombs: a payload that is cheap to store is cheap to refuse.
func TestParseKeyBombs(t *testing.T) {
	deep := func(open, end string) string {
		return `{"a":` + strings.Repeat(open, 15000) + strings.Repeat(end, 15000) + `,"api_key":"x"}`
	}
	for name, payload := range map[string]string{
		"arrays":      deep("[", "]"),
		"objects":     `{"a":` + strings.Repeat(`{"a":`, 10000) + "1" + strings.Repeat("}", 10000) + `}`,
		"open arrays": `{"api_key":` + strings.Repeat("[", 60000),
		"fields":      "{" + strings.Repeat(`"a":0,`, 10000) + `"b":0}`,
	} {
		_, err := keyprovider.ParseKey([]byte(payload), "", keyprovider.Info{})
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		wantInvalid(t, err)
	}
}

func TestParseKeyDescribes(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	at := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	full := `{"api_key":"` + secret + `","key_id":"key_1","service_account_id":"svc_1","rotation_id":"r1",
		"created_at":"2026-11-23T08:00:00Z","expires_at":"2026-11-24T08:00:00Z"}`
	tests := []struct {
		name, payload string
		base, want    keyprovider.Info
	}{
		{"all", full, keyprovider.Info{},
			keyprovider.Info{ID: "key_1", ServiceAccountID: "svc_1", RotationID: "r1", CreatedAt: at, StatedExpiry: at.AddDate(0, 0, 1)}},
		{"base wins", full,
			keyprovider.Info{Version: "7", ID: "b", ServiceAccountID: "b", RotationID: "b", CreatedAt: at.Add(1), StatedExpiry: at.Add(2), ExpiresAt: at.Add(3), RefreshAfter: at.Add(4)},
			keyprovider.Info{Version: "7", ID: "b", ServiceAccountID: "b", RotationID: "b", CreatedAt: at.Add(1), StatedExpiry: at.Add(2), ExpiresAt: at.Add(3), RefreshAfter: at.Add(4)}},
		{"a description that cannot be read", `{"api_key":"` + secret + `","key_id":17,"rotation_id":null,"service_account_id":["x"],"created_at":"yesterday","expires_at":{}}`,
			keyprovider.Info{}, keyprovider.Info{}},
		{"another key where an id belongs", `{"api_key":"` + secret + `","key_id":"` + keyprovidertest.NewSecret() + `"}`,
			keyprovider.Info{}, keyprovider.Info{}},
		{"a bare key keeps base", secret, keyprovider.Info{ID: "b"}, keyprovider.Info{ID: "b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, err := keyprovider.ParseKey([]byte(tt.payload), "", tt.base)
			if err != nil {
				t.Fatal(err)
			}
			if got := k.Info(); got != tt.want {
				t.Errorf("Info = %+v\nwant  %+v", got, tt.want)
			}
		})
	}
}

func TestParseKeyTimes(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	at := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	for raw, want := range map[string]time.Time{
		`"2026-11-23T09:00:00+01:00"`:     at,
		`"2026-11-23T08:00:00.5Z"`:        at.Add(time.Second / 2),
		fmt.Sprint(at.Unix()):             at,
		fmt.Sprint(at.Unix()) + ".75":     at,
		"1.7957376e9":                     time.Unix(1795737600, 0),
		fmt.Sprint(at.UnixMilli()):        {}, // milliseconds would be the year 58000
		"253402300799":                    time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		"253402300800":                    {},
		"0":                               {},
		"-1":                              {},
		"1e400":                           {},
		`"2026-11-23"`:                    {},
		`"` + fmt.Sprint(at.Unix()) + `"`: {},
		`""`:                              {},
		"null":                            {},
		"true":                            {},
	} {
		k, err := keyprovider.ParseKey([]byte(`{"api_key":"`+secret+`","expires_at":`+raw+`}`), "", keyprovider.Info{})
		if err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		if got := k.Info().StatedExpiry; !got.Equal(want) || got.IsZero() != want.IsZero() {
			t.Errorf("expires_at %s is read as %v, want %v", raw, got, want)
		}
		if !k.Info().ExpiresAt.IsZero() {
			t.Errorf("expires_at %s stops the key", raw)
		}
	}
}

// TestParseKeyCopies: a provider may reuse its buffer.
func TestParseKeyCopies(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	for _, payload := range []string{secret, `{"api_key":"` + secret + `","key_id":"key_1"}`} {
		buf := []byte(payload)
		k, err := keyprovider.ParseKey(buf, "", keyprovider.Info{})
		if err != nil {
			t.Fatal(err)
		}
		clear(buf)
		if k.Reveal() != secret || strings.Contains(k.Info().ID, "\x00") {
			t.Error("the key changes with the buffer that it was read from")
		}
	}
}

func FuzzParseKey(f *testing.F) {
	// Each process of a fuzzer has a canary of its own: it is put in by the target.
	const mark = "CANARY"
	canary := keyprovidertest.NewSecret()
	for _, payload := range []string{
		"", mark, mark + "\r\n", `"` + mark + `"`, `{"api_key":"` + mark + `"}`, `{"api_key":"` + mark,
		`{"key":"` + mark + `"}`, `{"api_key":"` + mark + `","api_key":"x"}`, `[]`, "\ufeff{}", `{"api_key":{"a":1}}`,
		`{"api_key":"x","key_id":"` + mark + `","created_at":1e9,"expires_at":"2026-11-23T08:00:00Z"}`,
	} {
		f.Add([]byte(payload), "")
		f.Add([]byte(payload), "key")
		f.Add([]byte(payload), mark)
	}
	f.Fuzz(func(t *testing.T, payload []byte, field string) {
		payload = bytes.ReplaceAll(payload, []byte(mark), []byte(canary))
		field = strings.ReplaceAll(field, mark, canary)
		before := bytes.Clone(payload)
		k, err := keyprovider.ParseKey(payload, field, keyprovider.Info{})
		if !bytes.Equal(payload, before) {
			t.Fatal("ParseKey changes the payload")
		}
		if err != nil {
			wantInvalid(t, err, canary)
			return
		}
		if !bytes.Contains(payload, []byte(k.Reveal())) && !bytes.ContainsRune(payload, '\\') {
			t.Error("the key is none that the payload holds")
		}
		if text := bytes.TrimLeft(payload, " \t\r\n"); text[0] == '{' && !json.Valid(payload) {
			t.Error("what begins with a brace is not JSON, and yet accepted")
		}
		if again, err := keyprovider.NewKey(k.Reveal(), k.Info()); err != nil || !again.Equal(k) {
			t.Errorf("NewKey refuses what ParseKey accepts: %v", err)
		}
	})
}
