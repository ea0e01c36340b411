package vault

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func TestAlone(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	for data, want := range map[string]string{
		`{"api_key":"` + secret + `"}`:            secret,
		`{"api_key":"` + secret + `\n"}`:          secret,
		`{"api_key":"` + secret + `","note":"x"}`: "",
		`{"note":"x","api_key":"` + secret + `"}`: "",
		`{"api_key":"a","api_key":"b"}`:           "",
		`{"api_key":{"a":"b"}}`:                   "",
		`{"api_key":"{\"a\":\"b\"}"}`:             "",
		`{"api_key":""}`:                          "",
		`{"api_key":7}`:                           "",
		`{"other":"x"}`:                           "",
		`{}`:                                      "",
		`null`:                                    "",
	} {
		key := alone([]byte(data), "api_key", keyprovider.Info{Version: "1"})
		switch {
		case (key != nil) != (want != ""):
			t.Errorf("%s: %v", data, key)
		case key != nil && (key.Reveal() != want || key.Version() != "1"):
			t.Errorf("%s: %v with another secret or version", data, key)
		}
	}
}

// FuzzAlone: what is taken for a key alone is the same key to whoever looks at
// all of the secret.
func FuzzAlone(f *testing.F) {
	for _, data := range []string{`{"api_key":"abc"}`, `{"api_key":"abc\r\n"}`, `{"api_key":"a","b":"c"}`, `{"api_key":"a\"}`, `{"api_key":"[1]"}`, `{"api_key":"a" }`, `{"api_key":"`} {
		f.Add(data)
	}
	base := keyprovider.Info{Version: "1", CreatedAt: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)}
	f.Fuzz(func(t *testing.T, data string) {
		if !json.Valid([]byte(data)) { // the server's answer was decoded before
			return
		}
		for _, field := range []string{"api_key", "a", `a":"b","a`} {
			key := alone([]byte(data), field, base)
			if key == nil {
				continue
			}
			want, err := keyprovider.ParseKey([]byte(data), field, base)
			if err != nil || !key.Equal(want) || key.Info() != want.Info() {
				t.Errorf("alone(%q, %q) = %v, ParseKey gives %v, %v", data, field, key, want, err)
			}
		}
	})
}
