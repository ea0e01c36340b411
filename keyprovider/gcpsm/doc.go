// Package gcpsm provides the API key that is stored in Google Secret Manager.
//
//	provider, err := gcpsm.New(ctx, "projects/my-project/secrets/openai", nil)
//	keys, err := rotation.NewSource(ctx, provider, nil)
//
// The place is a secret's resource name. What follows decides the version:
//
//	projects/P/secrets/S                      the version created last ("latest")
//	projects/P/secrets/S/versions/latest      the same
//	projects/P/secrets/S/versions/7           that version and no other
//	projects/P/secrets/S/versions/prod        the version that the alias names
//	projects/P/locations/L/secrets/S          a regional secret, at its region's own endpoint
//
// Credentials are Google's application default credentials. As a URI the place
// is gcpsm://projects/P/secrets/S/versions/latest, with the parameters field,
// newest_enabled, subscription, endpoint and timeout; Client and Subscriber
// exist in code alone.
//
// # Permissions and cost
//
// One permission is enough: secretmanager.versions.access, which
// roles/secretmanager.secretAccessor grants; grant it on the secret, not on
// the project. A Fetch is one call of AccessSecretVersion, whose answer names
// the version; there is no call for metadata, whose quota is 150 times
// smaller. Only where an answer is known to lag behind (see below) a second
// call follows.
//
// # What latest means
//
// To the service, latest is the version that was created last, in whatever
// state. When somebody disables or destroys that one, Fetch answers
// [keyprovider.ErrNotFound], and a Source goes on with the key it has. With
// [Options.NewestEnabled] Fetch takes the newest version that is enabled
// instead, as most people expect; that needs secretmanager.versions.list
// (roles/secretmanager.viewer), which is used in that state alone.
//
// # Consistency
//
// Reads by number are consistent. Reads by latest or by an alias are not: for
// minutes, rarely hours, they may answer with an older version, also after
// they have answered with the newer. latest never goes back by intention, so a
// Fetch that gets a lower version than the caller holds, or than a
// notification has announced, reads that version by its number, and believes
// the answer. A secret that was deleted and made anew under the same name,
// whose numbers begin again, is found out by that as well. An alias may go
// back by intention, so its answers are passed on as they come.
//
// AccessSecretVersion does not tell when a version was created, so
// Info.CreatedAt is set only where the stored value states it (the created_at
// of [keyprovider.ParseKey]'s JSON form, which this module's rotator writes).
// A holder that compares it has that to go by for aliases.
//
// # Push
//
// With [Options.Subscription] the provider is told of changes by Pub/Sub and
// Watch returns at each; without, Watch blocks until its context is done and
// polling alone finds changes. The secret needs a topic (gcloud secrets update
// --add-topics), and every replica a subscription of its own, because each
// message goes to one puller of a subscription: give them to it by
// roles/pubsub.subscriber on the subscription. Messages about other secrets,
// and about nothing that could change the key, are acknowledged and ignored,
// so the subscription must serve nobody else.
//
// # Errors
//
// gRPC codes become classes: NOT_FOUND, and FAILED_PRECONDITION for a version
// that is disabled or destroyed, [keyprovider.ErrNotFound]; PERMISSION_DENIED,
// UNAUTHENTICATED and missing credentials [keyprovider.ErrDenied];
// INVALID_ARGUMENT [keyprovider.ErrInvalid]; everything else, and a payload
// that does not match its checksum, [keyprovider.ErrUnavailable]. What may
// pass is tried three times within the caller's context; a quota that is used
// up is not tried again. The texts of Google's client are wrapped, for
// errors.As, and never printed.
//
// # Security
//
// The clients that this package makes have their debug log and their telemetry
// switched off: with GOOGLE_SDK_GO_LOGGING_LEVEL=debug they would write every
// answer, and so the key, to standard error. A client given as
// [Options.Client] does what it was made to do: make it with
// option.WithLogger(slog.New(slog.DiscardHandler)) where that variable may be
// set. GODEBUG=http2debug=2 prints the frames of every HTTP/2 connection of the
// process, which nothing here can prevent.
package gcpsm
