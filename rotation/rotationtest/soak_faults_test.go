package rotationtest

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// soakNetwork answers from the fake. Requests of the Admin API get lost, on the
// way there or back, or meet an overloaded server.
type soakNetwork struct {
	s      *soak
	faulty bool
}

func (n soakNetwork) RoundTrip(req *http.Request) (*http.Response, error) {
	if n.faulty && n.s.draw(40) {
		return nil, io.ErrUnexpectedEOF
	}
	served := req.Clone(req.Context())
	served.RequestURI = req.URL.RequestURI()
	if served.Body == nil {
		served.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	if n.faulty && n.s.draw(40) {
		w.WriteHeader(http.StatusServiceUnavailable)
	} else {
		n.s.server.Handler().ServeHTTP(w, served)
	}
	if req.Body != nil {
		req.Body.Close()
	}
	if n.faulty && n.s.draw(40) {
		return nil, io.ErrUnexpectedEOF
	}
	resp := w.Result()
	resp.Request = req
	return resp, nil
}

// soakStore is the file store of one process, which fails, loses answers, is
// slow, and crashes.
type soakStore struct {
	rotation.Store
	s     *soak
	crash context.CancelFunc
	dead  context.Context
}

// change does f, which changes something, with what may happen to it.
func (d soakStore) change(f func() error) error {
	switch {
	case d.dead.Err() != nil:
		return errCrashed
	case d.s.draw(50):
		return unavailable(nil)
	case d.s.draw(200):
		d.die()
		return errCrashed
	case d.s.draw(200):
		time.Sleep(d.s.between(time.Second, time.Minute)) // it may land when nobody waits any more
	}
	err := f()
	switch {
	case d.s.draw(200):
		d.die()
		return errCrashed
	case err == nil && d.s.draw(50):
		return because("soak", keyprovider.ErrUnavailable, "the answer was lost")
	}
	return err
}

func (d soakStore) die() {
	d.s.crashes.Add(1)
	d.crash()
}

func (d soakStore) Stage(ctx context.Context, k *keyprovider.Key) error {
	return d.change(func() error { return d.Store.Stage(context.WithoutCancel(ctx), k) })
}

func (d soakStore) Unstage(ctx context.Context, fingerprint string) error {
	return d.change(func() error { return d.Store.Unstage(context.WithoutCancel(ctx), fingerprint) })
}

func (d soakStore) Promote(ctx context.Context, k *keyprovider.Key, from rotation.Revision) error {
	return d.change(func() error { return d.Store.Promote(context.WithoutCancel(ctx), k, from) })
}

func (d soakStore) SetState(ctx context.Context, doc []byte, from rotation.Revision) (r rotation.Revision, err error) {
	err = d.change(func() (err error) {
		r, err = d.Store.SetState(context.WithoutCancel(ctx), doc, from)
		return err
	})
	return r, err
}
