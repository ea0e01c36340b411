// Package rotation holds the current key of a store and swaps it when the
// store's changes.
//
// A [Source] fetches from a keyprovider.KeyProvider: when the provider's watch
// says there is news, at each poll, before a key expires, when the service
// refuses a key, and on demand. Readers call [Source.Key], which is one atomic
// load. Package transport calls it for every request, and reports what the
// service said of the key by [Source.Reject] and [Source.Accept].
//
// # What decides
//
// Whether a key is alive is for the service to say, not for the store. A store
// that is down, a policy that was edited wrongly, a file that is half written:
// none of them takes the last good key away, though Health says so at once. A
// bound can be set: MaxStale and DeniedGrace in [SourceOptions].
//
// A swap is decided by the secret. A longer lease of the same secret is no
// swap, and a key that was stored before the one that serves is set aside for
// two minutes as the answer of a replica that lags, unless the service refused
// the one that serves.
//
// # Refusals
//
// A refused key causes one unconditional fetch for all callers. What that
// brings serves from then on. If it brings nothing new, and the refused key was
// swapped in recently and never accepted, the previous key serves until the new
// one is accepted or the overlap ends: a new key may take a while to spread
// within the service. It is tried again at growing intervals, by Validate where
// there is one, by live calls otherwise. Once it is accepted, the previous key is
// only lent to calls that were sent before that and are refused all the same. A
// key that was accepted once is never given up for a refusal that the store does
// not confirm.
//
// # Time
//
// Deadlines hold on the monotonic clock and on the wall clock, which is looked
// at once a minute at least: a laptop that slept or a virtual machine that was
// paused finds its key expired within a minute of waking. A process that is
// frozen between requests should call Refresh when it thaws.
//
// # Driving a rotation
//
// A [Rotator] makes the new keys: it mints one by an [Issuer], stages and tests
// it in a [Store], makes it the current one, waits until the old one is idle, and
// revokes that. What it knows stands in a state document in the store, every
// change of which is a compare-and-set: it may be killed at any moment, and any
// number of replicas may run it. A key is revoked only if the Rotator recorded
// that it minted it, the issuer shows it under exactly the name that it was given,
// in an account of ours, and the store names another key, which is known and
// alive. What it cannot explain stops it, and what it did not mint it reports.
package rotation
