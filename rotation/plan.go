package rotation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Plan is what the next steps would be, if nothing changed meanwhile.
type Plan struct {
	// Store, Domain, Rotation and Phase are as in RotatorStatus.
	Store, Domain, Rotation string
	Phase                   Phase
	// Steps are in the order in which they would be taken.
	Steps []PlannedStep
	// Problem is what would keep the rotation from going further; nil: nothing.
	Problem error
}

// A PlannedStep is one change that would be made.
type PlannedStep struct {
	At time.Time
	Do string // "mint key keybearer/..."
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
	if p.Problem != nil {
		fmt.Fprintf(&b, "\n  then: %v", p.Problem)
	}
	return b.String()
}

// Plan returns what the next steps would be, up to the end of the next
// rotation. It reads, and changes nothing.
func (r *Rotator) Plan(ctx context.Context) (Plan, error) {
	return Plan{}, errors.New("rotation: Plan: not yet")
}
