package command

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

var now = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

func TestParse(t *testing.T) {
	const in1h = "2026-11-23T09:00:00Z"
	tests := map[string]struct {
		output, field string
		expires       string
		class         error // nil: the key is parsed
		says          string
	}{
		"bare":                       {output: "%s\n"},
		"self-describing":            {output: `{"api_key":"%s","key_id":"key_1"}`},
		"named field":                {output: `{"token":"%s"}`, field: "token"},
		"process":                    {output: `{"Version":1,"ApiKey":"%s"}`},
		"process, expiring":          {output: `{"Version":1,"ApiKey":"%s","Expiration":"` + in1h + `"}`, expires: in1h},
		"process, no version":        {output: `{"api_key":"%s","Expiration":"` + in1h + `"}`, expires: in1h},
		"process, named field":       {output: `{"Version":1,"Token":"%s","Expiration":"` + in1h + `"}`, field: "Token", expires: in1h},
		"process, null":              {output: `{"ApiKey":"%s","Expiration":null}`},
		"process, other version":     {output: `{"Version":2,"ApiKey":"%s"}`, class: keyprovider.ErrInvalid, says: "Version"},
		"process, no time":           {output: `{"ApiKey":"%s","Expiration":"tomorrow"}`, class: keyprovider.ErrInvalid, says: "RFC 3339"},
		"process, a number":          {output: `{"ApiKey":"%s","Expiration":1795000000}`, class: keyprovider.ErrInvalid, says: "RFC 3339"},
		"process, expired":           {output: `{"ApiKey":"%s","Expiration":"2026-11-23T08:00:00Z"}`, class: keyprovider.ErrUnavailable, says: "expired"},
		"process, two keys":          {output: `{"ApiKey":"%s","ApiKey":"b"}`, class: keyprovider.ErrInvalid, says: "more than once"},
		"AWS credentials":            {output: `{"Version":1,"AccessKeyId":"a","SecretAccessKey":"%s"}`, class: keyprovider.ErrInvalid, says: "AWS credentials"},
		"a Version of the user's":    {output: `{"Version":"prod","api_key":"%s"}`},
		"ExecCredential":             {output: `{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"%s"}}`},
		"ExecCredential, expiring":   {output: `{"kind":"ExecCredential","status":{"token":"%s","expirationTimestamp":"` + in1h + `"}}`, expires: in1h},
		"ExecCredential, no token":   {output: `{"kind":"ExecCredential","status":{"clientKeyData":"%s"}}`, class: keyprovider.ErrInvalid, says: "status.token"},
		"ExecCredential, no status":  {output: `{"kind":"ExecCredential","token":"%s"}`, class: keyprovider.ErrInvalid, says: "status.token"},
		"ExecCredential, odd status": {output: `{"kind":"ExecCredential","status":["%s"]}`, class: keyprovider.ErrInvalid, says: "status.token"},
		"cut JSON":                   {output: `{"api_key":"%s"`, class: keyprovider.ErrInvalid, says: "not valid JSON"},
		"two lines":                  {output: "%s\nsecond", class: keyprovider.ErrInvalid, says: "line break"},
		"white space":                {output: " \n", class: keyprovider.ErrInvalid, says: "printed nothing"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			secret := keyprovidertest.NewSecret()
			output := strings.Replace(test.output, "%s", secret, 1)
			key, err := parse([]byte(output), test.field, now)
			if test.class != nil {
				if keyprovider.Class(err) != test.class || !strings.Contains(fmt.Sprint(err), test.says) {
					t.Errorf("parse: %v, want %v with %q", err, test.class, test.says)
				}
				if keyprovidertest.Leaks(fmt.Sprintf("%v %#v", err, err), secret) {
					t.Errorf("the error shows the key: %v", err)
				}
				return
			}
			if err != nil || key.Reveal() != secret {
				t.Fatalf("parse: %v, %v, want the key", key, err)
			}
			got := key.Info().ExpiresAt
			if want, _ := time.Parse(time.RFC3339, test.expires); !got.Equal(want) {
				t.Errorf("ExpiresAt = %v, want %v", got, want)
			}
			if refresh := key.Info().RefreshAfter; refresh.IsZero() != got.IsZero() || refresh.After(got) {
				t.Errorf("RefreshAfter = %v for ExpiresAt %v", refresh, got)
			}
		})
	}
}

func TestRefreshIn(t *testing.T) {
	for left, want := range map[time.Duration][2]time.Duration{
		time.Hour:        {36 * time.Minute, 44 * time.Minute},
		time.Minute:      {30 * time.Second, 44 * time.Second},
		20 * time.Second: {20 * time.Second, 20 * time.Second},
	} {
		for range 100 {
			if got := refreshIn(left); got < want[0] || got > want[1] {
				t.Errorf("refreshIn(%v) = %v, want within %v", left, got, want)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("key\n"), "")
	f.Add([]byte(`{"Version":1,"ApiKey":"a","Expiration":"2026-11-23T09:00:00Z"}`), "ApiKey")
	f.Add([]byte(`{"kind":"ExecCredential","status":{"token":"a","expirationTimestamp":"2026-11-23T09:00:00+01:00"}}`), "")
	f.Add([]byte(`{"apiVersion":"client.authentication.k8s.io/v1beta1","status":null}`), "x")
	f.Fuzz(func(t *testing.T, output []byte, field string) {
		key, err := parse(output, field, now)
		switch {
		case (key == nil) == (err == nil):
			t.Fatalf("parse = %v, %v", key, err)
		case err != nil:
			if !errors.Is(err, keyprovider.ErrInvalid) && !errors.Is(err, keyprovider.ErrUnavailable) {
				t.Errorf("parse: %v, want a class", err)
			}
		case !key.Info().ExpiresAt.IsZero() && !key.Info().ExpiresAt.After(now):
			t.Errorf("parse took a key that has expired")
		}
	})
}
