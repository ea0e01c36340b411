package aws

import (
	"errors"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/faulttable"
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

// Each fault lasts while calls go on without pause and the key is rotated in
// the store; the old key is revoked once the new one serves. No call may fail.
func TestFaults(t *testing.T) {
	endpoint := sharedMoto(t)
	var rows []faulttable.Row
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
			r.Fault = tt.name
			_, r.StoreCalls = front.took()
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
		r.Fault = "server killed, restarted empty"
		_, r.StoreCalls = front.took()
		rows = append(rows, r)
	})
	if err := faulttable.Write(os.Stdout, "AWS Secrets Manager (moto 5.2.1), two callers, polls of 100 ms, 400 ms a call of AWS; a fault lasts a second:", rows); err != nil {
		t.Error(err)
	}
}

const faultLasts = time.Second

// underFault puts a fault in place under load, rotates the key meanwhile,
// mends it, and waits for the new key.
func underFault(t *testing.T, st *store, endpoint string, class error, begin, mend func()) faulttable.Row {
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
	r := faulttable.Row{KeyAge: time.Since(began), Recover: time.Since(mended)}
	if class != nil {
		r.Reported = class.Error()
	}
	service.Revoke(old)
	if err := s.call(false); err != nil {
		t.Errorf("after the recovery: %v", err)
	}
	s.end()
	if err := s.source.Health(); err != nil {
		t.Errorf("after the recovery Health = %v", err)
	}
	r.Calls, r.Failed = s.calls.Load(), s.failed.Load()
	if r.Failed != 0 || r.Calls == 0 {
		t.Errorf("%d of %d calls failed", r.Failed, r.Calls)
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
