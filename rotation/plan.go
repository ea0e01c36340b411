package rotation

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	metricnoop "go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

// A Plan is what the next steps would be, if nothing changed meanwhile.
type Plan struct {
	// Store, Domain, Rotation and Phase are as in RotatorStatus.
	Store, Domain, Rotation string
	Phase                   Phase
	// Steps are the changes in the order in which they would be made.
	Steps []PlannedStep
	// Problem is what would keep the rotation from going further; nil: nothing.
	Problem error
}

// A PlannedStep is one change that would be made.
type PlannedStep struct {
	At time.Time
	Do string // "mint keybearer/..."
}

// String prints the plan, a step a line, for a terminal.
func (p Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", p.Store, p.Phase)
	if p.Rotation != "" {
		fmt.Fprintf(&b, ", rotation %s", p.Rotation)
	}
	for _, s := range p.Steps {
		fmt.Fprintf(&b, "\n  %s  %s", s.At.UTC().Format("2006-01-02 15:04:05"), s.Do)
	}
	switch {
	case p.Problem != nil:
		fmt.Fprintf(&b, "\n  then: %v", p.Problem)
	case len(p.Steps) == 0:
		b.WriteString("\n  nothing to do")
	}
	return b.String()
}

const (
	maxRehearsed = 400         // steps
	never100     = 36525 * day // as good as never
)

// Plan returns what the next steps would be, up to the end of the next
// rotation: the very steps of the Rotator, taken on a copy of what the store and
// the issuer show, with a clock that jumps. It reads, probes the keys that are
// current or staged, and changes nothing.
//
// A plan takes it that the service accepts the new key, and that nobody uses the
// old one any more once it is replaced.
func (r *Rotator) Plan(ctx context.Context) (Plan, error) {
	h, err := newRehearsal(ctx, r)
	if err != nil {
		return Plan{Store: r.name}, err
	}
	plan := Plan{Store: r.name}
	rehearsed := h.rotator(r)
	var over bool
	for n := range maxRehearsed {
		p, err := rehearsed.step(ctx)
		if n == 0 {
			plan.describe(h.begun)
		}
		if err != nil {
			plan.Problem = err
			break
		}
		st := rehearsed.seen.known()
		over = over || lastPast(st) != lastPast(h.begun)
		resting := p.Did == "" && (st.Phase == PhaseIdle || st.Phase == PhaseFailed)
		if ctx.Err() != nil || resting && (over || p.Until.Sub(h.now) > never100/2) {
			break
		}
		if p.Until.After(h.now) {
			h.now = p.Until
		}
	}
	plan.Steps = h.steps
	if err := ctx.Err(); err != nil {
		return plan, r.about("plan", err)
	}
	return plan, nil
}

// lastPast returns the last rotation that ended.
func lastPast(st *state) PastRotation {
	if st == nil || len(st.History) == 0 {
		return PastRotation{}
	}
	return st.History[len(st.History)-1]
}

// describe says where the rotation stands.
func (p *Plan) describe(st *state) {
	if p.Phase = PhaseIdle; st != nil {
		p.Domain, p.Rotation, p.Phase = st.Domain, st.id(), st.Phase
	}
}

// rotator returns a Rotator like r that works on the rehearsal and tells nobody.
func (h *rehearsal) rotator(r *Rotator) *Rotator {
	o := r.opts
	o.now = func() time.Time { return h.now }
	o.OnEvent, o.Logger = nil, slog.New(slog.DiscardHandler)
	o.TracerProvider, o.MeterProvider = tracenoop.NewTracerProvider(), metricnoop.NewMeterProvider()
	c := newRotator(h, h, r.name, o, r.interval)
	c.looks, c.visit = nil, never100
	return c
}
