package keyprovidertest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
)

func TestNewSecret(t *testing.T) {
	a, b := NewSecret(), NewSecret()
	if a == b {
		t.Error("two calls gave the same secret")
	}
	if _, err := keyprovider.NewKey(a, keyprovider.Info{}); err != nil {
		t.Errorf("NewKey refuses a NewSecret: %v", err)
	}
	if !strings.HasPrefix(a, "sk-") {
		t.Errorf("the secret does not begin like a key, so that nothing would take it for one")
	}
}

func TestLeaks(t *testing.T) {
	secret := NewSecret()
	inner, err := json.Marshal(map[string][]byte{"key": []byte("a " + secret + " b")})
	if err != nil {
		t.Fatal(err)
	}
	odd := "quote\"back\\slash\x01"
	tests := []struct {
		name, output, secret string
		want                 bool
	}{
		{"as it is", "Authorization: Bearer " + secret, secret, true},
		{"a part", "key " + secret[10:24] + " refused", secret, true},
		{"bytes in decimal", fmt.Sprintf("%v", []byte(secret)), secret, true},
		{"bytes in a struct", fmt.Sprintf("%#v", struct{ b []byte }{[]byte(secret)}), secret, true},
		{"hexadecimal", fmt.Sprintf("%x", secret), secret, true},
		{"upper hexadecimal", fmt.Sprintf("%X", secret), secret, true},
		{"base64", base64.StdEncoding.EncodeToString([]byte(secret)), secret, true},
		{"base64 within", string(inner), secret, true},
		{"base64 within, other alignment", base64.URLEncoding.EncodeToString([]byte("abc " + secret)), secret, true},
		{"quoted", fmt.Sprintf("%q", odd), odd, true},
		{"the common prefix alone", "keys begin with " + secret[:8], secret, false},
		{"another secret", NewSecret(), secret, false},
		{"a short secret", "the hunter2 is here", "hunter2", true},
		{"no secret", "anything", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Leaks(tt.output, tt.secret); got != tt.want {
				t.Errorf("Leaks = %t, want %t", got, tt.want)
			}
		})
	}
	if !Leaks("x"+secret, NewSecret(), secret) {
		t.Error("Leaks overlooks the second secret")
	}
}
