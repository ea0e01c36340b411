package nearest

import (
	"slices"
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	parameters := []string{"field", "namespace", "version"}
	schemes := []string{"awssm", "command", "env", "file", "gcpsm", "vault", "workload"}
	for _, test := range []struct {
		written string
		known   []string
		want    string
	}{
		{"namspace", parameters, "namespace"},
		{"Field", parameters, "field"},
		{"vaultt", schemes, "vault"},
		{"Valut", schemes, "vault"},
		{"aws", schemes, "awssm"},
		{"envv", schemes, "env"},
		{"zzzzzzzz", parameters, ""},
		{"https", schemes, ""},
		{"x", schemes, ""},
		{"", schemes, ""},
		{"vaul", nil, ""},
		{strings.Repeat("vault", 1<<16), schemes, ""},
		{"ab", []string{"ac", "aa"}, "ac"},
	} {
		if got := Name(test.written, test.known); got != test.want {
			t.Errorf("Name(%.20q, %q) = %q, want %q", test.written, test.known, got, test.want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"kitten", "sitting", 3}, {"region", "regoin", 2}} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("distance(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
	}
}

// Whatever is written, the answer is a known name or none, and each known name
// with a slip in it is found.
func FuzzName(f *testing.F) {
	f.Add("vaultt", 2)
	f.Add("", 0)
	known := []string{"awssm", "command", "workload"}
	f.Fuzz(func(t *testing.T, written string, at int) {
		if got := Name(written, known); got != "" && !slices.Contains(known, got) {
			t.Errorf("Name(%q) = %q", written, got)
		}
		for _, k := range known {
			at := min(max(at, 0), len(k))
			if got := Name(k[:at]+"x"+k[at:], known); got != k {
				t.Errorf("a letter too many in %s, at %d: got %q", k, at, got)
			}
		}
	})
}
