// Package gcpstore lets a rotation.Rotator keep a key in Google Secret Manager,
// where package keyprovider/gcpsm reads it.
//
//	store, err := gcpstore.New(ctx, "projects/my-project/secrets/openai", nil)
//	defer store.Close()
//
// # Two secrets
//
// A version is the latest from the moment that it is added, so nothing is added
// to the secret that readers read before it is promoted. A second secret,
// openai-pending, stages the new key as its newest version and keeps the state
// of the rotation in its annotations:
//
//	keybearer-state             the state document; compressed where it is large
//	keybearer-state-generation  how often one was written
//	keybearer-promotion         who promotes just now (readers of the latest)
//
// They are written by compare-and-set on the secret's etag. Other annotations
// stay as they are; together all have to stay below 16 KiB.
//
// # How a key is promoted
//
// Where readers take a version alias ([Options.Alias]), the new version is
// added first and the alias is moved by a compare-and-set on the main secret's
// etag: exactly one of several promotions succeeds, and a hand that moves the
// alias meanwhile is never overruled.
//
// Where readers take the latest version, adding one is all there is to it, and
// the service knows no condition for that. Stores keep each other off by the
// claim in the second secret, which is a compare-and-set. Against others who add
// versions there is none: the Store looks right before it adds a version, and
// knows by its number whether somebody came in between. If so, these are the
// facts: their version was the latest for a moment, ours has been since. The
// Store then adds theirs once more, as the newest, and answers
// rotation.ErrConflict, so that nobody's value stays hidden; readers may have
// seen theirs, ours and theirs again, all of which are alive. If that fails, or
// theirs is disabled by then, the error says which version hides which. Who
// wants none of this uses an alias.
//
// # Consistency
//
// Only reads by number are strongly consistent. The Store finds the newest
// version by asking for the number after the one that latest gives, until there
// is none, so that Current is true even while latest lags behind. Metadata, in
// which aliases and the state are, may be read old for minutes, rarely hours: a
// Store never takes back what it has written itself, and nothing that is
// decided on an old read can be written, because its etag is refused.
//
// The lag of readers is why [Store.MinOverlap] is a day: see
// [Options.MinOverlap].
//
// # Lost answers
//
// Adding a version is not idempotent. Where the answer is lost, the Store reads
// the numbers that follow: a version that holds what was sent is taken for its
// own, anything else is left to the caller as keyprovider.ErrUnavailable. Calls
// that change something are repeated only when the service says that nothing
// was done.
//
// # What is kept
//
// Members of the stored JSON object other than the key and its description, such
// as a base URL, are carried over from the current version to the next.
//
// Versions of the main secret are never disabled or destroyed: the last 16 are
// where a rollback looks. Remove old ones by hand, or with a delay by
// version_destroy_ttl, and never the newest, which would leave readers of the
// latest without a key. Keys that are no longer staged are destroyed.
//
// docs/gcp.md has the roles and commands.
package gcpstore
