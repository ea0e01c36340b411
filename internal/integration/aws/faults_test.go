package aws

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/awssm"
	"github.com/keybearer/keybearer/rotation"
)

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// row is what one fault did.
type row struct {
	fault          string
	calls, failed  int64
	stale, recover time.Duration
	storeCalls     int
	class          error // what Status said meanwhile
}

// Each fault lasts while calls go on without pause and the key is rotated in
// the store; the old key is revoked once the new one serves. No call may fail.
func TestFaults(t *testing.T) {
	endpoint := sharedMoto(t)
	var rows []row
	for _, tt := range []struct {
		name  string
		fault fault
		class error // that Status has to show; nil: the fault is got over
	}{
		{"access denied", answers(400, "AccessDeniedException", "no"), keyprovider.ErrDenied},
		{"credentials revoked", answers(400, "UnrecognizedClientException", "no"), keyprovider.ErrDenied},
		{"credentials expired", answers(400, "ExpiredTokenException", "no"), keyprovider.ErrDenied},
		{"KMS key disabled", answers(400, "DecryptionFailure", "no"), keyprovider.ErrUnavailable},
		{"secret gone", answers(400, "ResourceNotFoundException", "no"), keyprovider.ErrNotFound},
		{"throttled", answers(400, "ThrottlingException", "Rate exceeded"), keyprovider.ErrUnavailable},
		{"internal errors", answers(500, "InternalServiceError", "no"), keyprovider.ErrUnavailable},
		{"503 of a proxy", page(503), keyprovider.ErrUnavailable},
		{"200 of a portal", page(200), keyprovider.ErrUnavailable},
		{"slow (200 ms)", slow(200 * time.Millisecond), nil},
		{"starved of bandwidth", starved, keyprovider.ErrUnavailable},
		{"half-open", halfOpen, keyprovider.ErrUnavailable},
		{"connection reset", reset, keyprovider.ErrUnavailable},
		{"answers cut", cut, keyprovider.ErrUnavailable},
		{"clock skew (1 h)", skewed, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st, front := newStore(t, endpoint), newProxy(t, endpoint)
			r := underFault(t, st, front.URL, tt.class, func() { front.set(tt.fault) }, func() { front.set(nil) })
			r.fault = tt.name
			_, r.storeCalls = front.took()
			rows = append(rows, r)
		})
	}
	t.Run("server killed", func(t *testing.T) {
		server := ownMoto(t)
		st, front := newStore(t, server.URL), newProxy(t, server.URL)
		r := underFault(t, st, front.URL, keyprovider.ErrUnavailable, server.Kill, func() {
			if err := server.Restart(); err != nil {
				t.Fatal(err)
			}
			st.arn = "" // moto forgets
		})
		r.fault = "server killed, restarted empty"
		_, r.storeCalls = front.took()
		rows = append(rows, r)
	})
	printRows(rows)
}

const faultLasts = time.Second

// underFault puts a fault in place under load, rotates the key meanwhile,
// mends it, and waits for the new key.
func underFault(t *testing.T, st *store, endpoint string, class error, begin, mend func()) row {
	service := openaitest.New(nil)
	t.Cleanup(service.Close)
	old, fresh := service.Mint(openaitest.MintOptions{}), service.Mint(openaitest.MintOptions{})
	st.set([]byte(old))
	s := newStack(t, service, st.provide(endpoint, awssm.Options{Timeout: 400 * time.Millisecond}), rotation.SourceOptions{
		PollInterval: 100 * time.Millisecond, MinRefresh: 20 * time.Millisecond, FetchTimeout: 2 * time.Second})
	s.load(2)

	begin()
	began := time.Now()
	if class != nil {
		s.awaitClass(class)
		if s.source.Health() == nil {
			t.Error("Health is nil during the fault")
		}
	}
	gone := errors.Is(class, keyprovider.ErrUnavailable) && st.unreachable()
	if !gone {
		st.set([]byte(fresh))
	}
	if class != nil {
		time.Sleep(time.Until(began.Add(faultLasts))) // how long the fault lasts
	}
	mend()
	mended := time.Now()
	if gone {
		st.set([]byte(fresh))
	}
	s.await(st.latest, 30*time.Second)
	r := row{stale: time.Since(began), recover: time.Since(mended), class: class}
	service.Revoke(old)
	if err := s.call(false); err != nil {
		t.Errorf("after the recovery: %v", err)
	}
	s.end()
	if err := s.source.Health(); err != nil {
		t.Errorf("after the recovery Health = %v", err)
	}
	r.calls, r.failed = s.calls.Load(), s.failed.Load()
	if r.failed != 0 || r.calls == 0 {
		t.Errorf("%d of %d calls failed", r.failed, r.calls)
	}
	return r
}

// awaitClass returns once Status shows a failed fetch of this class.
func (s *stack) awaitClass(class error) {
	s.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for keyprovider.Class(s.source.Status().LastErr) != class {
		if time.Now().After(deadline) {
			s.Fatalf("Status shows %v, want %v", s.source.Status().LastErr, class)
		}
		time.Sleep(5 * time.Millisecond) // a Status has nothing to wait on
	}
}

// unreachable reports whether the administrator cannot reach the store either.
func (s *store) unreachable() bool {
	request, err := http.NewRequestWithContext(s.ctx(), http.MethodGet, *s.client.Options().BaseEndpoint, nil)
	s.ok(err)
	response, err := s.client.Options().HTTPClient.Do(request)
	if err != nil {
		return true
	}
	response.Body.Close()
	return false
}

// printRows prints the table, also without -v.
func printRows(rows []row) {
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "\nAWS Secrets Manager (moto 5.2.1): fault\tcalls made\tfailed\tlongest key age\ttime to recover\tstore calls\treported as")
	for _, r := range rows {
		reported := "-"
		if r.class != nil {
			reported = r.class.Error()
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%v\t%v\t%d\t%s\n", r.fault, r.calls, r.failed, r.stale.Round(time.Millisecond), r.recover.Round(time.Millisecond), r.storeCalls, reported)
	}
	w.Flush()
}
