package conformance

import (
	"context"
	"crypto/rand"
	"errors"
	"log"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// Each thing that a probe is there to notice, it notices.
func TestProbe(t *testing.T) {
	const moment = 10 * time.Millisecond
	a, b := errors.New("class a"), errors.New("class b")
	secret := "sk-" + "test-" + rand.Text()
	probe := func(f func(p *Probe)) func(testing.TB) {
		return func(tb testing.TB) {
			p := NewProbe(tb, 0)
			p.Know(secret)
			f(p)
		}
	}
	over := make(chan struct{})
	defer close(over)
	tests := []struct {
		name  string
		want  string // in the only failure; "": none
		check func(testing.TB)
	}{
		{"a call that returns", "", probe(func(p *Probe) { p.Within("it", func() {}) })},
		{"a call that hangs", "it has not returned", func(tb testing.TB) { NewProbe(tb, moment).Within("it", func() { <-over }) }},
		{"an error of one class", "", probe(func(p *Probe) { p.VetError("it", a, a, b) })},
		{"an error of none", "wraps 0 of the classes", probe(func(p *Probe) { p.VetError("it", errors.New("c"), a, b) })},
		{"an error of two", "wraps 2 of the classes", probe(func(p *Probe) { p.VetError("it", errors.Join(a, b), a, b) })},
		{"a struct without a secret", "", probe(func(p *Probe) { p.ScanAll("it", struct{ Text string }{"no key"}) })},
		{"the context's error", "", probe(func(p *Probe) {
			for what, ctx := range p.DoneContexts() {
				p.MustWrap(ctx, what, ctx.Err())
			}
		})},
		{"another error", "wraps the context's", probe(func(p *Probe) { p.MustWrap(p.DoneContexts()["past its deadline"], "it", context.Canceled) })},
		{"a Close that fails", "Close: class a", probe(func(p *Probe) { p.CloseAtEnd(closer{a}) })},
		{"a goroutine that stays", "is left", func(tb testing.TB) {
			CountGoroutines(tb, moment)
			go func() { <-over }()
		}},
		{"a goroutine that ends", "", func(tb testing.TB) {
			CountGoroutines(tb, 0)
			go func() {}()
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			failures := Record(t, tt.check).Failures()
			if got := strings.Join(failures, "; "); (got == "") != (tt.want == "") || len(failures) > 1 || !strings.Contains(got, tt.want) {
				t.Errorf("failures: %q, want %q", failures, tt.want)
			}
		})
	}

	r := Record(t, probe(func(p *Probe) { p.ScanAll("it", struct{ Text string }{"a key: " + secret}) }))
	for _, want := range []string{"it, printed with %v", "it, printed with %x", "a struct with it", "it as JSON", "it, logged"} {
		if !strings.Contains(strings.Join(r.Failures(), "; "), want) {
			t.Errorf("a secret: %q, want %q among it", r.Failures(), want)
		}
	}
	if Leaks(strings.Join(r.Failures(), ""), secret) {
		t.Error("the report shows the secret")
	}
}

type closer struct{ err error }

func (c closer) Close() error { return c.err }

// What is reported after the end of the test is dropped.
func TestProbeAfterTheEnd(t *testing.T) {
	var p *Probe
	r := Record(t, func(tb testing.TB) { p = NewProbe(tb, 0) })
	p.Error("too late")
	if got := r.Failures(); len(got) > 0 {
		t.Errorf("failures: %q, want none", got)
	}
}

func TestNeed(t *testing.T) {
	for can, want := range map[bool]string{true: "", false: "skipped: for a reason"} {
		reached := false
		r := Record(t, func(tb testing.TB) {
			NewProbe(tb, 0).Need(can, "for a reason")
			reached = true
		})
		if got := r.Reason(); got != want || reached != can || r.Failed() {
			t.Errorf("Need(%t): %q, went on: %t, failures %q", can, got, reached, r.Failures())
		}
	}
}

func TestCatchLog(t *testing.T) {
	before := slog.Default()
	var logged *Log
	Record(t, func(tb testing.TB) {
		logged = CatchLog(tb)
		slog.Debug("by slog")
		log.Print("by log")
	})
	for _, want := range []string{"by slog", "by log"} {
		if got := logged.String(); !strings.Contains(got, want) {
			t.Errorf("caught %q, want %q in it", got, want)
		}
	}
	if slog.Default() != before {
		t.Error("the default logger is not what it was")
	}
}
