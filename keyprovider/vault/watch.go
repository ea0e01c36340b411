package vault

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/keybearer/keybearer/internal/vaultlogin"
	"github.com/keybearer/keybearer/keyprovider"
)

// events remembers whether the server has any.
type events struct {
	mu      sync.Mutex
	without time.Time // until when the server is taken to have none
}

// withoutEvents is for how long a server that has no events is not asked again.
const withoutEvents = time.Hour

// Watch implements keyprovider.Watcher by the server's events: those of Vault
// Enterprise, and of Vault's community edition from 1.13 to 1.15 with the
// experiment events.alpha1. It needs `read` on sys/events/subscribe/kv-v2/* (or
// kv-v1/*), and on Vault 1.16 and later the capability `subscribe` on the
// secret's path.
//
// Where the server has no events, or the policy does not allow them, Watch says
// so once, with an error of class keyprovider.ErrNotFound or
// keyprovider.ErrDenied, and then waits for an hour before it asks again:
// polling has to do. A dynamic secret has no events: Info.RefreshAfter tells
// when it changes, and Watch waits for ctx.
func (p *Provider) Watch(ctx context.Context, last keyprovider.Version) error {
	err := p.watch(ctx, last)
	if err != nil && ctx.Err() != nil {
		err = &keyprovider.Error{Class: keyprovider.ErrUnavailable, Err: ctx.Err()}
	}
	return vaultlogin.Named(p.name, err)
}

func (p *Provider) watch(ctx context.Context, last keyprovider.Version) error {
	if p.opts.DisableWatch {
		<-ctx.Done()
		return ctx.Err()
	}
	if err := p.events.wait(ctx); err != nil {
		return err
	}
	if p.closed.Load() {
		return &keyprovider.Error{Class: keyprovider.ErrUnavailable, Err: keyprovider.Reason("the provider is closed", nil)}
	}
	for {
		hint, err := p.watchToken(ctx, last)
		if hint || err != nil {
			return err
		}
	}
}

// watchToken watches until a hint comes or the token ends under which it
// subscribed: a subscription outlives its token on some servers and dies unseen
// on others.
func (p *Provider) watchToken(ctx context.Context, last keyprovider.Version) (hint bool, err error) {
	grant, err := p.session.Grant(ctx)
	if err != nil {
		return false, err
	}
	mount, err := p.located(ctx, grant)
	if err != nil {
		return false, err
	}
	if p.leases.held() != nil {
		<-ctx.Done()
		return false, ctx.Err()
	}
	sub, err := subscribe(ctx, grant.Client, mount.KV)
	if err != nil {
		if !errors.Is(err, keyprovider.ErrUnavailable) {
			p.events.none()
		}
		return false, err
	}
	defer sub.close()
	// What happened before the subscription brings no event.
	if p.news(ctx, last) {
		return true, nil
	}
	if !grant.Expires.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, grant.Expires, errTokenEnds)
		defer cancel()
	}
	looked, stop := context.WithCancelCause(ctx)
	var looking sync.WaitGroup
	looking.Go(func() {
		// The server agrees to a subscription a moment before it begins, and
		// says nothing of what happens in between.
		if rest(looked, settle) == nil && p.news(looked, last) {
			stop(errNews)
		}
	})
	defer looking.Wait()
	defer stop(nil)
	if err := sub.wait(looked, mount, p.path); err != nil {
		switch context.Cause(looked) {
		case errTokenEnds:
			return false, nil
		case errNews:
			return true, nil
		}
		return false, err
	}
	return true, nil
}

// settle is how long after the server's agreement its events are certain to come.
const settle = time.Second

var (
	errTokenEnds = errors.New("the token ends")
	errNews      = errors.New("the secret has changed")
)

// news reports whether the secret is another than the caller knows. One that
// cannot be read is no news.
func (p *Provider) news(ctx context.Context, last keyprovider.Version) bool {
	key, err := p.fetch(ctx, last)
	return err == nil && key.Version() != last
}

// located returns where the secret is, with a read if that is not known yet.
func (p *Provider) located(ctx context.Context, grant *vaultlogin.Grant) (vaultlogin.Mount, error) {
	if m := p.mount.Load(); m != nil {
		return *m, nil
	}
	m, err := vaultlogin.Locate(ctx, grant.Client, p.path)
	return p.mounted(m), err
}

// none notes that the server has no events for us.
func (e *events) none() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.without = time.Now().Add(withoutEvents)
}

// wait returns when the server may be asked for events.
func (e *events) wait(ctx context.Context) error {
	e.mu.Lock()
	pause := time.Until(e.without)
	e.mu.Unlock()
	if pause <= 0 {
		return nil
	}
	return rest(ctx, pause)
}

// rest waits for a time, or until ctx ends.
func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
