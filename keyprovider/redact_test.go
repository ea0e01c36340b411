package keyprovider_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// verbs are fmt's, a few that it does not know, and flags.
var verbs = []string{
	"%v", "%+v", "%#v", "%s", "%+s", "%q", "%#q", "%x", "%X", "% x", "%#x", "%d", "%+d", "%o", "%b", "%c", "%U", "%#U",
	"%e", "%E", "%f", "%g", "%G", "%t", "%T", "%p", "%w", "%y", "%!", "%10.3v", "%-200s", "%020d", "%*d",
}

// wantHidden checks that no way of printing v shows a secret.
func wantHidden(t testing.TB, v any, secrets ...string) {
	t.Helper()
	var out strings.Builder
	for _, verb := range verbs {
		if _, isError := v.(error); isError && verb == "%w" {
			// Outside of fmt.Errorf, where vet refuses it, fmt asks no method of
			// an error; the cause is a field of it.
			continue
		}
		fmt.Fprintf(&out, verb+"\n", v)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
	json.NewEncoder(&out).Encode(v)
	if keyprovidertest.Leaks(out.String(), secrets...) {
		t.Errorf("the secret shows in:\n%s", out.String())
	}
}

// TestKeyPrints: every verb and encoder prints which key it is. That none
// prints the secret, of what holds a key too, is the subject of internal/leak.
func TestKeyPrints(t *testing.T) {
	k, secret := newKey(t, keyprovider.Info{Version: "7"})
	want := `Key(version="7" fingerprint=` + k.Fingerprint() + `)`
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%t", "%10.3v"} {
		if got := fmt.Sprintf(verb, k); got != want {
			t.Errorf("%s prints %s, want %s", verb, got, want)
		}
	}
	if k.String() != want || k.GoString() != want {
		t.Errorf("String = %s, GoString = %s, want %s", k.String(), k.GoString(), want)
	}
	wantHidden(t, k, secret)
	wantHidden(t, *k, secret)

	if b, err := k.MarshalText(); err != nil || string(b) != want {
		t.Errorf("MarshalText = %s, %v", b, err)
	}
	if b, err := xml.Marshal(k); err != nil || !strings.Contains(string(b), k.Fingerprint()) {
		t.Errorf("xml.Marshal = %s, %v", b, err)
	}
	if b, err := json.Marshal(map[*keyprovider.Key]int{k: 1}); err != nil || !strings.Contains(string(b), k.Fingerprint()) {
		t.Errorf("json.Marshal of a map = %s, %v", b, err)
	}
	var buf bytes.Buffer
	if err := gob.NewEncoder(&buf).Encode(k); err != nil || !strings.Contains(buf.String(), want) {
		t.Errorf("gob = %q, %v", buf.String(), err)
	}
}

func TestKeyLogs(t *testing.T) {
	k, _ := newKey(t, keyprovider.Info{Version: "7"})
	var out strings.Builder
	logger := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	logger.Info("x", "key", k, "none", (*keyprovider.Key)(nil))
	want := "level=INFO msg=x key.version=7 key.fingerprint=" + k.Fingerprint() + " none=Key(nil)\n"
	if out.String() != want {
		t.Errorf("slog writes %q, want %q", out.String(), want)
	}
}

// TestKeyOddVersion: a store's version can be any text. It breaks neither a
// line of a log nor a JSON document.
func TestKeyOddVersion(t *testing.T) {
	for _, version := range []keyprovider.Version{"a\nlevel=ERROR", `a"b\c`, "\x00\x7f", "\xff", "é", "\U0001F511", "\u2028"} {
		k, _ := newKey(t, keyprovider.Info{Version: version})
		if strings.ContainsAny(k.String(), "\n\x00") {
			t.Errorf("String of version %q breaks the line: %q", version, k.String())
		}
		b, err := json.Marshal(k)
		if err != nil {
			t.Errorf("json.Marshal of version %q: %v", version, err)
			continue
		}
		var back string
		if err := json.Unmarshal(b, &back); err != nil || back != k.String() {
			t.Errorf("JSON of version %q reads back as %q, want %q", version, back, k.String())
		}
	}
}

func TestNilKeyPrints(t *testing.T) {
	var k *keyprovider.Key
	if got := fmt.Sprintf("%s %v", k, k); got != "Key(nil) Key(nil)" {
		t.Errorf("a nil Key prints %q", got)
	}
	if b, err := json.Marshal(k); err != nil || string(b) != "null" {
		t.Errorf("json.Marshal of a nil Key = %s, %v", b, err)
	}
	if got := fmt.Sprint(new(keyprovider.Key)); got != `Key(version="" fingerprint=)` {
		t.Errorf("the zero Key prints %q", got)
	}
}
