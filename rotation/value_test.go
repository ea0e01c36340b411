package rotation_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

func TestEncodeValueIsReadByParseKey(t *testing.T) {
	created := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	full := keyprovider.Info{ID: "key_1", ServiceAccountID: "svc_1", RotationID: "r1",
		CreatedAt: created, StatedExpiry: created.Add(30 * 24 * time.Hour)}
	for name, info := range map[string]keyprovider.Info{"described": full, "bare": {}} {
		for _, field := range []string{"", "openai"} {
			secret := keyprovidertest.NewSecret()
			k, err := keyprovider.NewKey(secret, info)
			if err != nil {
				t.Fatal(err)
			}
			value, err := rotation.EncodeValue(k, field)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got, err := keyprovider.ParseKey(value, field, keyprovider.Info{})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got.Reveal() != secret {
				t.Errorf("%s: another secret came back", name)
			}
			if got.Info() != k.Info() {
				t.Errorf("%s: Info %+v, want %+v", name, got.Info(), k.Info())
			}
		}
	}
}

func TestEncodeValueRefusesATakenField(t *testing.T) {
	k, err := keyprovider.NewKey(keyprovidertest.NewSecret(), keyprovider.Info{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rotation.EncodeValue(k, "key_id"); !errors.Is(err, keyprovider.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
}

func TestUpdateValueKeepsWhatIsNotTheKeys(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	k, err := keyprovider.NewKey(secret, keyprovider.Info{ID: "key_2"})
	if err != nil {
		t.Fatal(err)
	}
	described := `"api_key":"` + secret + `","key_id":"key_2"`
	for before, want := range map[string]string{
		"":              `{` + described + `}`,
		"a bare value":  `{` + described + `}`,
		`["a", "list"]`: `{` + described + `}`,
		`null`:          `{` + described + `}`,
		`{"api_key":"old","key_id":"key_1","rotation_id":"r1","expires_at":"x"}`: `{` + described + `}`,
		`{"organization":"org_1","api_key":"old","limits":{"a<b":1.50}}`:         `{` + described + `,"limits":{"a<b":1.50},"organization":"org_1"}`,
	} {
		got, err := rotation.UpdateValue([]byte(before), k, "")
		if err != nil {
			t.Errorf("%s: %v", before, err)
		}
		if string(got) != want {
			t.Errorf("before %s: another value than %s", before, strings.ReplaceAll(want, secret, "..."))
		}
	}
}
