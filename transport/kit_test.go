package transport

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
)

// canary is in every key of these tests, and may be in nothing that is shown. It
// is put together at run time, like the keys, so that no scanner of sources takes
// it for a real one.
var canary = strings.Repeat("Canary7", 3)

// newKey returns a key whose secret holds the canary, in the form of OpenAI's.
func newKey(tb testing.TB, name string) *keyprovider.Key {
	tb.Helper()
	return secretKey(tb, "sk-"+"proj-"+canary+"-"+name, name)
}

func secretKey(tb testing.TB, secret, version string) *keyprovider.Key {
	tb.Helper()
	k, err := keyprovider.NewKey(secret, keyprovider.Info{Version: keyprovider.Version(version)})
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func bearer(k *keyprovider.Key) string { return "Bearer " + k.Reveal() }

// mustNotShow fails the test if text holds a key, in any case of its letters.
func mustNotShow(tb testing.TB, what, text string) {
	tb.Helper()
	if text, canary := strings.ToLower(text), strings.ToLower(canary); strings.Contains(text, canary) {
		tb.Errorf("%s shows the key: %s", what, strings.ReplaceAll(text, canary, "<THE KEY>"))
	}
}

// scripted is a KeySource that hands out keys in order, one more with each
// Reject of the current one.
type scripted struct {
	mu       sync.Mutex
	keys     []*keyprovider.Key // keys[0] is current
	rejected []*keyprovider.Key
	accepted []*keyprovider.Key

	keyErr, rejectErr error
	onReject          func(ctx context.Context) error
}

// always is a source of one key that has no other.
func always(k *keyprovider.Key) *scripted { return sequence(k) }

func sequence(keys ...*keyprovider.Key) *scripted { return &scripted{keys: keys} }

func (s *scripted) Key(context.Context) (*keyprovider.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keyErr != nil {
		return nil, s.keyErr
	}
	return s.keys[0], nil
}

func (s *scripted) Reject(ctx context.Context, refused *keyprovider.Key) (*keyprovider.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rejected = append(s.rejected, refused)
	switch {
	case s.onReject != nil:
		if err := s.onReject(ctx); err != nil {
			return nil, err
		}
	case s.rejectErr != nil:
		return nil, s.rejectErr
	}
	if s.keys[0] == refused {
		if len(s.keys) == 1 {
			return nil, keyprovider.ErrNoReplacement
		}
		s.keys = s.keys[1:]
	}
	return s.keys[0], nil
}

func (s *scripted) Accept(k *keyprovider.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted = append(s.accepted, k)
}

// rotate makes the next key the current one.
func (s *scripted) rotate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = s.keys[1:]
}

// reports returns the versions that were rejected and accepted, in order.
func (s *scripted) reports() (rejected, accepted string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return versions(s.rejected), versions(s.accepted)
}

func versions(keys []*keyprovider.Key) string {
	var names []string
	for _, k := range keys {
		names = append(names, string(k.Version()))
	}
	return strings.Join(names, " ")
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func newTestTransport(tb testing.TB, keys KeySource, opts *Options) *Transport {
	tb.Helper()
	rt, err := New(keys, opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(rt.CloseIdleConnections)
	return rt
}

// ownBase returns a base with connections of its own, closed with the test.
func ownBase(tb testing.TB) *http.Transport {
	base := &http.Transport{}
	tb.Cleanup(base.CloseIdleConnections)
	return base
}

func newRequest(tb testing.TB, method, url string, body io.Reader) *http.Request {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), method, url, body)
	if err != nil {
		tb.Fatal(err)
	}
	return req
}

// countedBody counts its closes.
type countedBody struct {
	io.Reader
	mu     sync.Mutex
	closes int
}

func (b *countedBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closes++
	return nil
}

func (b *countedBody) closed() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closes
}

// answer is a response of a base that is no network.
func answer(status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status,
		Header:     http.Header{"Content-Type": {"application/json"}},
		Body:       io.NopCloser(strings.NewReader(body)),
	}
}

// deadKey is OpenAI's answer to a key that it does not know.
const deadKey = `{"error":{"message":"Incorrect API key provided: ***.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`

var errTest = errors.New("test failure")

func readAll(tb testing.TB, resp *http.Response) string {
	tb.Helper()
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}
