package sourceuri

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
)

func TestQuery(t *testing.T) {
	known := []string{"field", "namespace", "version"}
	for _, test := range []struct{ name, uri, want string }{
		{"none", "vault://a/b", ""},
		{"all", "vault://a/b?field=x&namespace=y&version=3", ""},
		{"slip", "vault://a/b?namspace=y", "the nearest is namespace"},
		{"case", "vault://a/b?Field=y", "the nearest is field"},
		{"other word", "vault://a/b?zzzzzzzz=y", "known: field, namespace, version)"},
		{"twice", "vault://a/b?field=x&field=y", "parameter field is given more than once"},
		{"empty", "vault://a/b?field=", "parameter field is empty"},
		{"fragment", "vault://a/b#x", "fragment"},
		{"malformed", "vault://a/b?field=%zz", "malformed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			u, err := url.Parse(test.uri)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Query(u, known...)
			if test.want == "" {
				if err != nil {
					t.Fatalf("got %v, want no error", err)
				}
				return
			}
			if !errors.Is(err, keyprovider.ErrInvalid) || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want ErrInvalid with %q", err, test.want)
			}
		})
	}
}

func FuzzQuery(f *testing.F) {
	f.Add("field=x&canary0123456789=y")
	f.Fuzz(func(t *testing.T, raw string) {
		const canary = "CANARY-in-the-query"
		for _, q := range []string{raw + canary, canary + "=" + raw, raw + "&" + canary, "field=" + canary + raw} {
			u := &url.URL{Scheme: "vault", Host: "a", RawQuery: q, Fragment: ""}
			if _, err := Query(u, "field"); err != nil && strings.Contains(err.Error(), canary) {
				t.Fatalf("error repeats its input: %v", err)
			}
		}
	})
}
