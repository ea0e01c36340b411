package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/keybearer/keybearer/rotation"
)

// redraw is how often a terminal is drawn anew, for the time that is left.
const redraw = time.Second

// drive runs the rotator, and shows what it waits for, until done says of the
// state that it is enough or ctx ends, which is no error. A nil done is never.
func (o *operator) drive(ctx context.Context, done func(rotation.RotatorStatus) bool) error {
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- o.rotator.Run(running) }()
	err := o.follow(running, done)
	stop()
	err = errors.Join(err, <-ended)
	o.out.clear()
	return err
}

// follow reads the state again and again, and shows it.
func (o *operator) follow(ctx context.Context, done func(rotation.RotatorStatus) bool) error {
	read := time.NewTicker(o.poll)
	defer read.Stop()
	draw := time.NewTicker(redraw)
	defer draw.Stop()
	var status rotation.RotatorStatus
	var until time.Time
	for {
		if now, err := o.rotator.Status(ctx); err == nil || errors.Is(err, rotation.ErrStopped) {
			status = now // else the rotator's own events tell what is wrong
			if done != nil && done(status) {
				o.settle(ctx, status)
				return nil
			}
			until = o.until(ctx, status)
		}
		for fresh := true; fresh; {
			if done == nil || !resting(status) {
				o.show(status, until)
			}
			select {
			case <-draw.C:
			case <-read.C:
				fresh = false
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// horizon is how far a step looks ahead at most.
const horizon = time.Hour

// until returns when what is waited for is over, as far as can be told; the zero
// time: it cannot. For what is further away than a step looks, the plan knows,
// which takes a few calls and is asked for once in a phase.
func (o *operator) until(ctx context.Context, s rotation.RotatorStatus) time.Time {
	switch {
	case s.Phase == rotation.PhaseIdle:
		return s.Due
	case s.Phase == rotation.PhaseFailed:
		return s.NotBefore
	case s.Last.Phase != s.Phase || !o.out.live:
		return time.Time{}
	case time.Until(s.Last.Until) < horizon-time.Minute:
		return s.Last.Until
	}
	if phase := s.Rotation + " " + string(s.Phase); o.planned != phase {
		o.planned, o.step = phase, time.Time{}
		if plan, err := o.rotator.Plan(ctx); err == nil && len(plan.Steps) > 0 {
			o.step = plan.Steps[0].At
		}
	}
	return o.step
}

// settle waits until the step that was seen in the state has ended here too, if
// it was taken here: to interrupt it would lose the event that tells of it.
func (o *operator) settle(ctx context.Context, seen rotation.RotatorStatus) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for ctx.Err() == nil {
		now, err := o.rotator.Status(ctx)
		if err == nil && now.Last.Phase == seen.Phase && now.Last.Rotation == seen.Rotation {
			return
		}
		select {
		case <-time.After(min(o.poll, redraw/10)):
		case <-ctx.Done():
		}
	}
}

// show says where the rotation stands.
func (o *operator) show(s rotation.RotatorStatus, until time.Time) {
	phase := string(s.Phase)
	if phase == "" {
		phase = "starting"
	}
	if s.Emergency {
		phase = "EMERGENCY " + phase
	}
	why, left := s.Last.Why, ""
	if s.Last.Phase != s.Phase {
		why = "" // another replica is ahead of this one
	}
	if why == "" && s.Holder != "" && o.out.live { // no wait that is worth a line
		why = s.Holder + " is at work"
	}
	if s.Phase == rotation.PhaseIdle && !s.Due.IsZero() && why != "" {
		why = "the next rotation is due at " + at(s.Due)
	}
	if wait := time.Until(until); wait >= time.Second {
		left = short(wait) + " left"
	}
	o.out.show(phase, why, left)
}

// short is a duration for a person.
func short(d time.Duration) string {
	switch {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours())/24)
}

// serveHealth serves the rotator's health: to alert by, not to restart by, since
// a restart cures none of what it tells of.
func (o *operator) serveHealth(address string) (stop func(), err error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, wrongUsage("-listen is not an address that this process can listen on, such as :8080")
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if err := o.rotator.Health(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(listener) // ends by Close
	}()
	o.out.say("health", "is at http://%s/healthz", listener.Addr())
	return func() { _ = server.Close(); <-ended }, nil
}
