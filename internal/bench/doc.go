// Package bench measures what keybearer costs, beside the libraries that do the
// nearest thing, in one run and on one machine. It is a module of its own, so
// that no peer becomes a dependency of keybearer's. README.md has the goals,
// the figures and how to take them.
//
//   - BenchmarkKey: one read of a credential that is held in memory.
//   - BenchmarkRoundTrip: what an http.RoundTripper adds to a call, over a base
//     that answers at once; without telemetry, with providers that do nothing,
//     and with a span on OpenTelemetry's SDK.
//   - BenchmarkTelemetry: what a call adds with everything on (spans of GenAI and
//     of HTTP, metrics, usage), over the same base, with an SDK whose exporters
//     throw all away: a chat of 1 KB, a prompt of 100 KB, a stream of 1,000 events.
//   - BenchmarkStream: such streams over a socket, against a bare http.Client.
//   - BenchmarkLoopback: the CPU time of a whole call over a socket, against an
//     http.Client that sets the header itself.
//   - BenchmarkInline: the time within the RoundTripper during such calls.
//
// All but the last report CPU time beside the time on the clock, because a machine that does
// something else besides moves the one far less than the other. It is what the
// goals are held against.
//
// Each proves once, before it measures, that the credential arrives. The tests
// prove the same, and hold those goals that do not depend on a clock.
package bench
