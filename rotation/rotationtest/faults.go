package rotationtest

import (
	"context"
	"sync"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// Faults is what a [Memory] and a [ServiceIssuer] can be told to do wrong. The
// zero value does nothing wrong. It is safe for concurrent use.
type Faults struct {
	mu    sync.Mutex
	fail  error
	hang  chan struct{}
	lose  bool
	delay time.Duration
}

// Fail makes calls fail with an error of class, before they take effect, until
// it is called with nil.
func (f *Faults) Fail(class error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = class
}

// Lose makes calls that change something take effect and then fail with
// keyprovider.ErrUnavailable, as if the answer had been lost, until restore is
// called.
func (f *Faults) Lose() (restore func()) {
	f.setLose(true)
	return func() { f.setLose(false) }
}

func (f *Faults) setLose(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lose = on
}

// Hang makes calls wait, until release is called or their context ends.
func (f *Faults) Hang() (release func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	hang := make(chan struct{})
	f.hang = hang
	return sync.OnceFunc(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		close(hang)
		if f.hang == hang {
			f.hang = nil
		}
	})
}

// Delay makes each call take d, before it takes effect.
func (f *Faults) Delay(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.delay = d
}

// begin is the start of a call at the place of that name.
func (f *Faults) begin(ctx context.Context, name string) error {
	if ctx.Err() != nil {
		return failure(name, keyprovider.ErrUnavailable, ctx.Err())
	}
	f.mu.Lock()
	hang, delay, fail := f.hang, f.delay, f.fail
	f.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-ctx.Done():
			return failure(name, keyprovider.ErrUnavailable, ctx.Err())
		}
	}
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return failure(name, keyprovider.ErrUnavailable, ctx.Err())
		}
	}
	if fail != nil {
		return failure(name, fail, keyprovider.Reason("the test says so", nil))
	}
	return nil
}

// answer is the end of a call that changed something.
func (f *Faults) answer(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lose {
		return failure(name, keyprovider.ErrUnavailable, keyprovider.Reason("the answer was lost: the test says so", nil))
	}
	return nil
}

func failure(name string, class, cause error) error {
	return &keyprovider.Error{Provider: name, Class: class, Err: cause}
}

// because is a failure with a text for its reason.
func because(name string, class error, why string) error {
	return failure(name, class, keyprovider.Reason(why, nil))
}
