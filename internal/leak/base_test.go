//go:build !race

package leak

import (
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// baseHolds is where the http.Transport under ours keeps keys, and all of it:
//   - HTTP/1.1: the request in flight, which the http.Transport has in a map to
//     cancel it by, and the write buffer of an idle connection, until the next
//     request is written over it;
//   - HTTP/2: the table of header fields that a connection has sent (HPACK).
//
// It is a limit that SECURITY.md states: change both.
var baseHolds = map[string][]string{
	"HTTP/1.1": {"bufio.Writer.buf", "http.Request.Header"},
	"HTTP/2":   {"hpack.HeaderField.Value", "hpack.pairNameValue.value"},
}

// TestBaseHoldsTheKey: a dumper that follows unexported pointers finds the key
// in the http.Transport under ours, there and nowhere else. So does fmt by a verb
// that does not fit, such as %q; %v follows no pointer and does not find it, nor
// does an encoder. Nothing else that a program holds leads to the Base:
// TestNothingShowsAKey tells.
//
// It is not built for the race detector, because it reads what belongs to the
// connections' goroutines.
func TestBaseHoldsTheKey(t *testing.T) {
	w := New(t)
	secrets := slices.Clone(w.Secrets)
	for _, secret := range w.Secrets {
		// As the Huffman code of HPACK writes it in a frame.
		secrets = append(secrets, string(hpack.AppendHuffmanString(nil, "Bearer "+secret)))
	}
	for _, s := range w.Bases {
		t.Run(s.Name, func(t *testing.T) {
			protocol, _, _ := strings.Cut(s.Name, " ")
			got, want := Reach(s.Value, secrets...), baseHolds[protocol]
			for _, place := range got {
				if !slices.Contains(want, place) {
					t.Errorf("the key can be reached at %s too", place)
				}
			}
			if !slices.Equal(got, want) {
				report := t.Logf // another Go may keep less
				if strings.HasPrefix(runtime.Version(), "go1.26") {
					report = t.Errorf
				}
				report("the key is at %v, no longer at each of %v: state less in SECURITY.md", got, want)
			}
			for _, p := range printers {
				if p.name != "fmt's verbs" {
					check(t, w, s, p)
				}
			}
		})
	}
}
