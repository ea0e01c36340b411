package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/keybearer/keybearer/rotation"
)

func noStamp() string { return "now" }

// seen returns what a person sees of an output: what was erased is gone.
func seen(out string) string {
	var lines []string
	for _, line := range strings.Split(out, "\n") {
		if i := strings.LastIndex(line, "\r\x1b[K"); i >= 0 {
			line = line[i+len("\r\x1b[K"):]
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestTerminal(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	s := newScreen(&out, true, noStamp)
	s.width = 40
	s.show("draining", "the overlap lasts", "12s left")
	s.show("draining", "the overlap lasts", "11s left")
	if got, want := seen(out.String()), "draining · 11s left · the overlap lasts"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	s.say("rotator", "did something")
	if got, want := seen(out.String()), "now  rotator   did something\ndraining · 11s left · the overlap lasts"; got != want {
		t.Errorf("got %q, want the line above, and %q below it again", got, want)
	}
	s.show("draining", "a reason\nthat is\x1b[2J much too long for a line", "")
	below := seen(out.String())[strings.Index(seen(out.String()), "\n")+1:]
	if n := len([]rune(below)); n > 39 || strings.Contains(below, "\x1b") || !strings.HasSuffix(below, "…") {
		t.Errorf("got %q, %d wide, want one line of 39 without control characters", below, n)
	}
	s.clear()
	s.say("rotator", "ended")
	if got, want := seen(out.String()), "now  rotator   did something\nnow  rotator   ended\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPlainLines(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	s := newScreen(&out, false, noStamp)
	s.show("draining", "the overlap lasts", "12s left")
	s.show("draining", "the overlap lasts", "11s left")
	s.show("draining", "", "11s left")
	s.show("draining", "the old key is in use", "")
	s.say("rotator", "did something")
	s.clear()
	want := "now  waits     draining: the overlap lasts\nnow  waits     draining: the old key is in use\nnow  rotator   did something\n"
	if got := out.String(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestEventLines(t *testing.T) {
	t.Parallel()
	cases := []struct {
		event rotation.RotatorEvent
		want  string
	}{
		{rotation.RotatorEvent{Kind: rotation.RotationMinted, KeyName: "keybearer/d/2/1", KeyID: "key_2", Fingerprint: "0123"},
			"key keybearer/d/2/1 (fingerprint 0123) is minted and staged, where no reader sees it"},
		{rotation.RotatorEvent{Kind: rotation.RotationReported, KeyID: "key_0", Why: "somebody else made it"},
			"key key_0 needs your attention; it is left alone: somebody else made it"},
		{rotation.RotatorEvent{Kind: rotation.RotationVetoed, Fingerprint: "0123", Why: "used 5s ago"},
			"the key with the fingerprint 0123 is not revoked yet: used 5s ago"},
		{rotation.RotatorEvent{Kind: rotation.RotationFailed, Rotation: "d/3", Why: "refused", Err: errors.New("no")},
			"rotation d/3 FAILED: refused: no"},
		{rotation.RotatorEvent{Kind: rotation.RotationRequested, Rotation: "d/3", Why: "rollback"}, "records what was asked for: rollback"},
		{rotation.RotatorEvent{Kind: "novel"}, "the rotation novel"},
	}
	for _, tc := range cases {
		if got := describe(tc.event); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
	var out strings.Builder
	newScreen(&out, false, noStamp).event(rotation.RotatorEvent{Kind: rotation.RotationFinished, Rotation: "d/2", Dropped: 3})
	if got, want := out.String(), "now  rotator   3 events were lost\nnow  rotator   rotation d/2 is complete\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestShort(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		1400 * time.Millisecond: "1s", 61 * time.Second: "1m01s", 90 * time.Minute: "1h30m", 30*time.Hour + time.Second: "30h00m", 72 * time.Hour: "3 days",
	} {
		if got := short(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}

func TestStatusRows(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	s := rotation.RotatorStatus{
		Store: "file:host:/x", Domain: "d", Rotation: "d/2", Phase: rotation.PhaseDraining, Since: now.Add(-90 * time.Minute), Emergency: true,
		Request: "rotate", Holder: "host-1", LeaseUntil: now.Add(time.Minute), PromotedAt: now.Add(-90 * time.Minute),
		Current: &rotation.KeyRecord{ID: "key_2", Name: "keybearer/d/2/1", Fingerprint: "fp2", ExpiresAt: now.Add(time.Hour)},
		Next:    &rotation.KeyRecord{ID: "key_3", Name: "keybearer/d/3/1", Fingerprint: "fp3"},
		Former:  &rotation.KeyRecord{ID: "key_1", Fingerprint: "fp1", Foreign: true},
		Due:     now.Add(time.Hour), NotBefore: now.Add(time.Hour), Failures: 2, Stopped: "a third value",
		Orphans:  []rotation.KeyRecord{{ID: "key_9", Name: "keybearer/d/1/2", Fingerprint: "fp9"}},
		Reported: []rotation.ReportedKey{{ID: "key_0", Why: "foreign"}},
		History:  []rotation.PastRotation{{Rotation: "d/1", Outcome: "rotated", Ended: now}},
	}
	var text strings.Builder
	for _, row := range rows(s, now) {
		text.WriteString(row[0] + "=" + row[1] + "\n")
	}
	for _, want := range []string{
		"phase=draining for 1h30m, an emergency\n", "asked for=rotate\n", "current=keybearer/d/2/1 (key_2), fingerprint fp2, ends 2026-11-23 13:00\n",
		"next=keybearer/d/3/1 (key_3), fingerprint fp3\n", "former=key_1 (not minted here: never revoked), fingerprint fp1, drains since 2026-11-23 10:30:00\n",
		"driven by=host-1\n", "due=2026-11-23 13:00:00\n", "not before=", "failures=2 in a row\n", "orphan=keybearer/d/1/2", "look at=key_0 : foreign\n",
		"history=2026-11-23 12:00:00  d/1 rotated", "stopped=a third value\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the status lacks %q:\n%s", want, text.String())
		}
	}
	if err := concern(s, now.Add(2*time.Hour)); err == nil || !strings.Contains(err.Error(), "2 rotations failed") || !strings.Contains(err.Error(), "has expired") {
		t.Errorf("got %v, want the failures and the expiry", err)
	}
	idle := rotation.RotatorStatus{Phase: rotation.PhaseIdle, Due: now}
	if err := concern(idle, now.Add(time.Minute)); err != nil {
		t.Errorf("got %v, want nothing to worry about", err)
	}
	if err := concern(idle, now.Add(2*time.Hour)); err == nil || !strings.Contains(err.Error(), "is a run up?") {
		t.Errorf("got %v, want that nobody drives it", err)
	}
}
