package awsclient

import (
	"strings"
	"testing"

	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

const complete = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/openai-AbCdEf"

func TestSecretIs(t *testing.T) {
	for _, tt := range []struct {
		place, arn, name string
		want             bool
	}{
		{complete, complete, "", true},
		{strings.TrimSuffix(complete, "-AbCdEf"), complete, "prod/openai", true},
		{strings.TrimSuffix(complete, "enai-AbCdEf"), complete, "", false},
		{complete, strings.TrimSuffix(complete, "-AbCdEf"), "prod/openai", false},
		{complete, "", "prod/openai", false},
		{"prod/openai", complete, "prod/openai", true},
		{"prod/openai", complete, "", true},
		{"prod/openai", "", "prod/openai", true},
		{"prod/openai", complete, "prod/other", false},
		{"prod/openai", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x", "", false},
		{"prod/openai", "prod/openai-AbCdEf", "", false},
		{"prod", complete, "", false},
	} {
		s, err := ParseSecret(tt.place)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Is(tt.arn, tt.name); got != tt.want {
			t.Errorf("%s.Is(%q, %q) = %v, want %v", tt.place, tt.arn, tt.name, got, tt.want)
		}
	}
}

func FuzzParseSecret(f *testing.F) {
	f.Add(complete)
	f.Add("prod/openai")
	f.Add("arn:aws:secretsmanager:::secret:")
	key := keyprovidertest.NewSecret()
	f.Fuzz(func(t *testing.T, place string) {
		s, err := ParseSecret(place)
		switch {
		case err == nil && (s.ID != place || strings.HasPrefix(place, "arn:") == (s.Region == "")):
			t.Errorf("ParseSecret(%q) = %+v", place, s)
		case err == nil && strings.ContainsAny(place, " \r\n\t?#%\x00"):
			t.Errorf("ParseSecret(%q) accepts it", place)
		}
		if _, err := ParseSecret(place + "/" + key); err == nil || keyprovidertest.Leaks(err.Error(), key) {
			t.Errorf("with a key: %v", err)
		}
	})
}

func TestCheckURL(t *testing.T) {
	for raw, want := range map[string]string{
		"https://host/1/q": "", "http://127.0.0.1:5000": "", "//host": "absolute", "host": "absolute", "ftp://host": "absolute",
		"https://u@host": "user", "https://host?q": "query", "https://host#f": "fragment", "https://[": "well-formed",
	} {
		err := CheckURL(raw)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("CheckURL(%s) = %v, want %q", raw, err, want)
		}
	}
}

func TestSettingsCheck(t *testing.T) {
	for _, s := range []Settings{{Region: "EU"}, {Region: "x"}, {Region: "a.b"}, {Endpoint: "x"}, {Profile: keyprovidertest.NewSecret()}} {
		if s.Check() == nil {
			t.Errorf("%+v: no error", s)
		}
	}
	if err := (Settings{Region: "eu-west-1", Profile: "prod", Endpoint: "https://vpce-1.secretsmanager.eu-west-1.vpce.amazonaws.com"}).Check(); err != nil {
		t.Error(err)
	}
}
