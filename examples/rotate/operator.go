package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keybearer/keybearer/rotation"
)

// The modes of an emergency.
const (
	modeReplace   = "replace"
	modeRevokeNow = "revoke-now"
)

// An operator carries out commands with a Rotator.
type operator struct {
	rotator *rotation.Rotator
	out     *screen
	poll    time.Duration // how often the state is read for the display

	planned string    // the rotation and phase whose next step is known
	step    time.Time // when it is due
}

func (o *operator) carryOut(ctx context.Context, s *settings) error {
	switch s.command {
	case "run":
		if s.once {
			return o.once(ctx)
		}
		return o.run(ctx, s.listen)
	case "now":
		return o.ask(ctx, s.detach, o.rotator.Rotate, "rotated")
	case "rollback":
		return o.ask(ctx, s.detach, o.rotator.Rollback, "rolled back", "failed")
	case "emergency":
		if s.mode == modeRevokeNow {
			o.out.say("operator", "revokes the current key: calls fail until the next one has arrived")
			return o.ask(ctx, s.detach, o.rotator.RevokeNow, "rotated")
		}
		return o.ask(ctx, s.detach, o.rotator.ReplaceThenRevoke, "rotated")
	case "plan":
		return o.plan(ctx)
	case "adopt":
		return o.adopt(ctx)
	}
	return o.status(ctx)
}

// run rotates by the schedule until ctx ends.
func (o *operator) run(ctx context.Context, listen string) error {
	if listen != "" {
		stop, err := o.serveHealth(listen)
		if err != nil {
			return err
		}
		defer stop()
	}
	return o.drive(ctx, nil)
}

// patience is how soon the next step must be due for once to wait for it.
const patience = 30 * time.Second

// once takes the steps that can be taken now.
func (o *operator) once(ctx context.Context) error {
	for {
		p, err := o.rotator.Step(ctx)
		if err != nil {
			return err
		}
		wait := time.Until(p.Until)
		if wait > patience {
			o.out.show(string(p.Phase), p.Why, "")
			o.out.clear()
			return o.rotator.Health()
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
	}
}

// ask asks for something and, unless it is left to others, drives it to its end,
// which must be one of the outcomes wanted.
func (o *operator) ask(ctx context.Context, detach bool, request func(context.Context) error, want ...string) error {
	before, err := o.rotator.Status(ctx)
	if err != nil {
		return err
	}
	if err := request(ctx); err != nil {
		return err
	}
	if detach {
		o.out.say("operator", "has asked for it; whoever runs the rotator carries it out")
		return nil
	}
	var end rotation.RotatorStatus
	if err := o.drive(ctx, func(s rotation.RotatorStatus) bool {
		end = s
		return over(before, s)
	}); err != nil {
		return err
	}
	last := lastOf(end)
	switch {
	case ctx.Err() != nil && !over(before, end):
		return errors.New("interrupted; nothing is lost: any run goes on with it")
	case end.Stopped != "":
		return fmt.Errorf("%w: %s", rotation.ErrStopped, end.Stopped)
	}
	for _, outcome := range want {
		if last.Outcome == outcome {
			o.out.say("operator", "%s: rotation %s, key %s", last.Outcome, last.Rotation, keyLine(end.Current))
			return nil
		}
	}
	return fmt.Errorf("rotation %s ended as %q: %s", last.Rotation, last.Outcome, last.Why)
}

// over reports whether what was asked for has come to an end: another rotation
// ended since, and none is under way or waiting.
func over(before, now rotation.RotatorStatus) bool {
	if now.Stopped != "" {
		return true
	}
	return resting(now) && now.Request == "" && !now.Emergency && lastOf(now) != lastOf(before)
}

// resting reports whether no rotation is under way.
func resting(s rotation.RotatorStatus) bool {
	return s.Phase == rotation.PhaseIdle || s.Phase == rotation.PhaseFailed
}

// lastOf returns the rotation that ended last.
func lastOf(s rotation.RotatorStatus) rotation.PastRotation {
	if len(s.History) == 0 {
		return rotation.PastRotation{}
	}
	return s.History[len(s.History)-1]
}

func (o *operator) adopt(ctx context.Context) error {
	if err := o.rotator.Adopt(ctx); err != nil {
		return err
	}
	return o.status(ctx)
}

func (o *operator) plan(ctx context.Context) error {
	plan, err := o.rotator.Plan(ctx)
	if err != nil {
		return err
	}
	o.out.print("%s", plan)
	return plan.Problem
}
