// Package crossing lets a transport tell a source that a refused call began
// before its key was first accepted: its refusal has crossed the acceptance, as
// one part of the service may take a key before another knows it. It is kept out
// of both their interfaces, for it is about nothing else than their own timing.
package crossing

import "context"

type key struct{}

// With returns a context for the report of such a refusal.
func With(ctx context.Context) context.Context { return context.WithValue(ctx, key{}, true) }

// In reports whether ctx is of With's.
func In(ctx context.Context) bool { return ctx.Value(key{}) != nil }
