package keyprovider_test

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// newKey returns a key of a fresh secret, and the secret.
func newKey(t testing.TB, info keyprovider.Info) (*keyprovider.Key, string) {
	t.Helper()
	secret := keyprovidertest.NewSecret()
	k, err := keyprovider.NewKey(secret, info)
	if err != nil {
		t.Fatal(err)
	}
	return k, secret
}

// wantInvalid checks that err is of class ErrInvalid and shows no secret.
func wantInvalid(t testing.TB, err error, secrets ...string) {
	t.Helper()
	if !errors.Is(err, keyprovider.ErrInvalid) || keyprovider.Class(err) != keyprovider.ErrInvalid {
		t.Errorf("error %v, want one of class ErrInvalid", err)
	}
	wantHidden(t, err, secrets...)
}

func TestNewKeyRefuses(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	tests := []struct {
		name, secret string
		info         keyprovider.Info
		says         string
	}{
		{"nothing", "", keyprovider.Info{}, "empty"},
		{"LF at the end", secret + "\n", keyprovider.Info{}, "line break"},
		{"CR within", secret + "\rX: y", keyprovider.Info{}, "line break"},
		{"space", secret + " x", keyprovider.Info{}, "white space"},
		{"tab", "\t" + secret, keyprovider.Info{}, "white space"},
		{"NUL", secret + "\x00", keyprovider.Info{}, "control character"},
		{"DEL", secret + "\x7f", keyprovider.Info{}, "control character"},
		{"Latin", secret + "é", keyprovider.Info{}, "not ASCII"},
		{"invalid UTF-8", secret + "\xff", keyprovider.Info{}, "not ASCII"},
		{"byte order mark", "\ufeff" + secret, keyprovider.Info{}, "byte order mark"},
		{"too long", secret + strings.Repeat("k", keyprovider.MaxKeyLen), keyprovider.Info{}, "more than 8192"},
		{"version repeats it", secret, keyprovider.Info{Version: keyprovider.Version("v/" + secret)}, "repeats the key"},
		{"id repeats it", secret, keyprovider.Info{ID: secret}, "repeats the key"},
		{"account repeats it", secret, keyprovider.Info{ServiceAccountID: secret}, "repeats the key"},
		{"rotation repeats it", secret, keyprovider.Info{RotationID: secret}, "repeats the key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, err := keyprovider.NewKey(tt.secret, tt.info)
			if k != nil || err == nil {
				t.Fatalf("NewKey = %v, %v, want an error", k, err)
			}
			wantInvalid(t, err, secret)
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %q, want it to say %q", err, tt.says)
			}
		})
	}
}

// TestNewKeyAccepts: every byte that a header may carry, the longest key, and a
// short one that its version contains by chance.
func TestNewKeyAccepts(t *testing.T) {
	var visible []byte
	for c := byte('!'); c <= '~'; c++ {
		visible = append(visible, c)
	}
	for _, secret := range []string{string(visible), strings.Repeat("k", keyprovider.MaxKeyLen), "7"} {
		k, err := keyprovider.NewKey(secret, keyprovider.Info{Version: "17"})
		if err != nil {
			t.Errorf("NewKey of %d bytes: %v", len(secret), err)
			continue
		}
		if k.Reveal() != secret {
			t.Error("Reveal returns another secret")
		}
	}
}

func TestKeyAccessors(t *testing.T) {
	at := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	info := keyprovider.Info{
		Version: "7", ID: "key_1", ServiceAccountID: "svc_1", RotationID: "r1",
		CreatedAt: at, RefreshAfter: at.Add(1), ExpiresAt: at.Add(2), StatedExpiry: at.Add(3),
	}
	named, secret := newKey(t, info)
	if got := named.Info(); got != info {
		t.Errorf("Info = %+v, want %+v", got, info)
	}
	if got := named.Version(); got != "7" {
		t.Errorf("Version = %q, want the store's", got)
	}
	unnamed, err := keyprovider.NewKey(secret, keyprovider.Info{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := unnamed.Version(), keyprovider.Version("fp-"+unnamed.Fingerprint()); got != want {
		t.Errorf("derived Version = %q, want %q", got, want)
	}
	if got := unnamed.Info().Version; got != "" {
		t.Errorf("Info().Version = %q of a derived version, want none", got)
	}
	if b, err := hex.DecodeString(named.Fingerprint()); err != nil || len(b) != 6 {
		t.Errorf("Fingerprint = %q, want 12 hexadecimal digits", named.Fingerprint())
	}
	if named.Fingerprint() != unnamed.Fingerprint() {
		t.Error("one secret has two fingerprints")
	}
}

// TestFingerprintIsStable: logs of different versions of this module can be
// compared.
func TestFingerprintIsStable(t *testing.T) {
	k, err := keyprovider.NewKey("fixed", keyprovider.Info{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := k.Fingerprint(), "e0d245cd79d1"; got != want {
		t.Errorf("Fingerprint = %s, want %s", got, want)
	}
}

func TestKeyEqual(t *testing.T) {
	a, secret := newKey(t, keyprovider.Info{Version: "1"})
	b, _ := newKey(t, keyprovider.Info{Version: "1"})
	again, err := keyprovider.NewKey(secret, keyprovider.Info{Version: "2"})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		x, y *keyprovider.Key
		want bool
	}{
		{"itself", a, a, true},
		{"same secret, other version", a, again, true},
		{"other secret, same version", a, b, false},
		{"nil and nil", nil, nil, true},
		{"nil and a key", nil, a, false},
		{"a key and nil", a, nil, false},
		{"a key and the zero Key", a, new(keyprovider.Key), false},
	}
	for _, tt := range tests {
		if got := tt.x.Equal(tt.y); got != tt.want {
			t.Errorf("%s: Equal = %t, want %t", tt.name, got, tt.want)
		}
	}
}

// TestNoKey: a nil Key and the zero one hold nothing and break nothing.
func TestNoKey(t *testing.T) {
	for name, k := range map[string]*keyprovider.Key{"nil": nil, "zero": {}} {
		if k.Reveal() != "" || k.Version() != "" || k.Fingerprint() != "" || k.Info() != (keyprovider.Info{}) {
			t.Errorf("the %s Key holds something", name)
		}
	}
}

func FuzzNewKey(f *testing.F) {
	canary := keyprovidertest.NewSecret()
	for _, s := range []string{"", canary, canary + "\n", "a b", "\ufeff" + canary, "\x00", "é", strings.Repeat("k", keyprovider.MaxKeyLen+1)} {
		f.Add(s, "", "")
		f.Add(s, s, "7")
		f.Add(s, "7", s)
	}
	f.Fuzz(func(t *testing.T, secret, version, id string) {
		k, err := keyprovider.NewKey(secret, keyprovider.Info{Version: keyprovider.Version(version), ID: id})
		if err != nil {
			wantInvalid(t, err)
			// A short text may stand in the error's own words.
			if len(secret) >= 16 && strings.Contains(err.Error(), secret) {
				t.Errorf("the error repeats the secret: %q", err)
			}
			return
		}
		if k.Reveal() != secret {
			t.Fatalf("Reveal = %q, want %q", k.Reveal(), secret)
		}
		for i := range len(secret) {
			if secret[i] <= ' ' || secret[i] >= 0x7f {
				t.Fatalf("NewKey accepts byte %#x, which a header must not carry", secret[i])
			}
		}
		if k.Version() == "" {
			t.Error("the key has no version")
		}
		if len(secret) >= 16 && strings.Contains(k.String(), secret) {
			t.Error("String shows the secret")
		}
	})
}
