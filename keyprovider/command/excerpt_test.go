package command

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func TestExcerpt(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	const withheld = "withheld"
	tests := map[string]struct {
		stderr, want string
		secrets      []string
	}{
		"nothing":            {stderr: " \n", want: ""},
		"a message":          {stderr: "[ERROR] 2026/11/23 08:00:00 could not read secret op://prod/openai/key: not signed in\n", want: ": [ERROR] 2026/11/23 08:00:00 could not read secret op://prod/openai/key: not signed in"},
		"lines":              {stderr: "a\n\x1b[31mb\x07\r\nc", want: ": a [31mb c"},
		"a key":              {stderr: "bad " + secret + " given", want: ": bad [...] given"},
		"a key in quotes":    {stderr: `bad {"k":"` + secret + `"} given`, want: ": bad [...] given"},
		"a UUID":             {stderr: "id 0b7c4a52-9d1e-4f6a-8b3c-2d5e6f7a8b9c given", want: ": id [...] given"},
		"half a key":         {stderr: "bad " + secret[:len(secret)/2] + " given", secrets: []string{secret}, want: withheld},
		"a known short one":  {stderr: "bad hunter2 given", secrets: []string{"hunter2\n"}, want: withheld},
		"a known tiny one":   {stderr: "bad x given", secrets: []string{"x"}, want: ": bad x given"},
		"long":               {stderr: strings.Repeat("word ", 100), want: ": [...] " + strings.TrimSpace(strings.Repeat("word ", 40))},
		"one endless word":   {stderr: strings.Repeat("-", 3000), want: ": [...]"},
		"one long last word": {stderr: "x " + strings.Repeat("-", 150), want: ": x [...]"},
		"not UTF-8":          {stderr: "a\xff\xfe", want: ": a?"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := excerpt([]byte(test.stderr), test.secrets)
			if test.want == withheld {
				if !strings.Contains(got, withheld) {
					t.Errorf("excerpt = %q, want it withheld", got)
				}
			} else if got != test.want {
				t.Errorf("excerpt = %q, want %q", got, test.want)
			}
		})
	}
}

// Whatever surrounds it, a part of a key that the helper was given or printed is
// not in the excerpt; nor is the whole of a key that is not known.
func FuzzExcerpt(f *testing.F) {
	f.Add("error: ", "", 0, 40)
	f.Add("{\"key\": \"", "\"}", 3, 20)
	f.Add("\x1b[0m=", "\n", 0, 9)
	secret := keyprovidertest.NewSecret()
	f.Fuzz(func(t *testing.T, before, after string, from, length int) {
		from = min(max(from, 0), len(secret))
		part := secret[from:min(from+min(max(length, 0), len(secret)), len(secret))]
		for what, got := range map[string]string{
			"a part of a known key": excerpt([]byte(before+part+after), []string{secret}),
			"an unknown key":        excerpt([]byte(before+secret+after), nil),
		} {
			if !utf8.ValidString(got) || len(got) > 300 || strings.ContainsAny(got, "\n\r\x1b") {
				t.Errorf("excerpt = %q", got)
			}
			if keyprovidertest.Leaks(got, secret) {
				t.Errorf("excerpt of %s shows it: %q", what, got)
			}
		}
	})
}
