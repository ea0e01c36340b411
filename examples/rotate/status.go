package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keybearer/keybearer/rotation"
)

// status prints what the state document says, and fails if somebody should look.
func (o *operator) status(ctx context.Context) error {
	s, err := o.rotator.Status(ctx)
	if err != nil && !errors.Is(err, rotation.ErrStopped) {
		return err
	}
	for _, row := range rows(s, time.Now()) {
		o.out.print("%-10s %s", row[0], row[1])
	}
	if err == nil && s.Phase == "" {
		return errors.New("no rotator has run here yet: is this the place?")
	}
	return errors.Join(err, concern(s, time.Now()))
}

// rows are what a status says, in the order in which it matters.
func rows(s rotation.RotatorStatus, now time.Time) [][2]string {
	list := [][2]string{{"store", s.Store}}
	if s.Phase == "" { // there is no state, or none that can be read
		return list
	}
	phase := string(s.Phase)
	if !s.Since.IsZero() {
		phase += " for " + short(now.Sub(s.Since))
	}
	if s.Emergency {
		phase += ", an emergency"
	}
	list = append(list, [2]string{"domain", s.Domain}, [2]string{"phase", phase})
	add := func(name, text string) {
		if text != "" {
			list = append(list, [2]string{name, text})
		}
	}
	add("rotation", s.Rotation)
	add("asked for", s.Request)
	add("current", keyLine(s.Current))
	if s.Next != nil {
		add("next", keyLine(s.Next))
	}
	if s.Former != nil {
		add("former", keyLine(s.Former)+", drains since "+at(s.PromotedAt))
	}
	switch {
	case s.Holder != "" && s.LeaseUntil.After(now):
		add("driven by", s.Holder)
	case s.Request != "" && s.Stopped == "": // the state does not tell since when
		add("driven by", "nobody yet: a run takes up what was asked for within a minute or so. Is one up?")
	}
	add("due", at(s.Due))
	if s.NotBefore.After(now) {
		add("not before", at(s.NotBefore))
	}
	if s.Failures > 0 {
		add("failures", fmt.Sprintf("%d in a row", s.Failures))
	}
	for _, k := range s.Orphans {
		add("orphan", keyLine(&k)+": will be revoked")
	}
	for _, k := range s.Reported {
		add("look at", fmt.Sprintf("%s %s: %s", k.ID, k.Name, k.Why))
	}
	for _, h := range s.History {
		add("history", fmt.Sprintf("%s  %s %s %s", at(h.Ended), h.Rotation, h.Outcome, h.Why))
	}
	add("stopped", s.Stopped)
	return list
}

// concern says why somebody should look, from the state document alone.
func concern(s rotation.RotatorStatus, now time.Time) error {
	var errs []error
	if s.Stopped != "" {
		errs = append(errs, fmt.Errorf("%w: look, then run adopt", rotation.ErrStopped))
	}
	if s.Failures > 0 {
		errs = append(errs, fmt.Errorf("the last %d rotations failed", s.Failures))
	}
	if !s.Due.IsZero() && now.Sub(s.Due) > time.Hour && s.Phase == rotation.PhaseIdle && now.After(s.NotBefore) {
		errs = append(errs, errors.New("a rotation is due and nobody drives it: is a run up?"))
	}
	if k := s.Current; k != nil && !k.ExpiresAt.IsZero() && !k.ExpiresAt.After(now) {
		errs = append(errs, errors.New("the current key has expired"))
	}
	return errors.Join(errs...)
}

func at(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}
