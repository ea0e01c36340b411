// Package awsstore keeps the key that a rotation.Rotator rotates in a secret of
// AWS Secrets Manager.
//
//	store, err := awsstore.New(ctx, "prod/openai", nil)
//	rotator, err := rotation.NewRotator(issuer, store, nil)
//
// The secret is given by its name or ARN and has to exist; region, profile and
// credentials are those that the SDK finds. Services read the key with
// keyprovider/awssm, or with anything else that reads the secret.
//
// # Labels
//
// A version of a secret never changes: the labels on the versions do.
//
//	AWSCURRENT         the key that readers get
//	AWSPREVIOUS        the one before, which AWS labels itself
//	AWSPENDING         a key that is staged: minted, not yet promoted
//	KEYBEARER_FORMER   the key before the last promotion, also after somebody
//	                   has edited the secret by hand
//
// To promote a key, or to go back to the former one, is to move AWSCURRENT from
// one version to another, which AWS does in one step and only if it is still on
// the version that it is to be moved from. A promotion is sent once: an error
// of class keyprovider.ErrUnavailable may mean that it took effect, and the next
// read tells.
//
// The first version of a secret becomes current at once, whatever its labels. To
// stage a key in a secret without a value, a placeholder that holds no key is
// stored first; until the first promotion readers find that there is no key.
//
// # The state
//
// The rotator's state is the current version of a secret of its own, by default
// that with ".rotation" after the name. It holds no key, and no reader needs
// access to it. AWS deletes no version that is younger than 24 hours and
// refuses more than about a hundred, so that there can be about a hundred
// changes of the state in a day, where a rotation makes about eight. Beyond
// that SetState is keyprovider.ErrDenied until versions have come of age; keys
// serve on, and the rotation goes on then.
//
// # What stays beside the key
//
// The key is in the field "api_key", or in the one that Options.Field names. The
// fields key_id, service_account_id, rotation_id, created_at and expires_at
// describe it and are replaced with it. All other fields of the secret, such as
// an organization or a base URL that services read from there too, stay as they
// are in the current version, also when a former key is put back. A secret is
// for one key: a second one in another field of it cannot be rotated.
//
// # Consistency
//
// All operations of Secrets Manager are eventually consistent. A label is
// compared where it is moved, so that of many writers one wins, whatever they
// have read. A read that brings what this Store has replaced itself a moment ago
// is repeated, for up to two seconds, and never returned. What another process
// has just replaced may be read for a moment: that loses a comparison, no more.
//
// # Other rotations
//
// A secret that AWS rotates itself is refused, unless Options.Lambda is set: AWS
// and a Rotator would take the label AWSPENDING from each other. Package
// awslambda is for those.
//
// # Errors
//
//   - rotation.ErrConflict: somebody else moved the label first; nothing was
//     changed.
//   - keyprovider.ErrNotFound: there is no key, nothing is staged, or New finds
//     no such secret.
//   - keyprovider.ErrDenied: AWS does not accept the credentials, they lack a
//     permission, which is named, or the quota of versions is used up.
//   - keyprovider.ErrInvalid: the secret holds no key in this field, or it is one
//     that cannot be driven: marked for deletion, deleted, a replica, managed by
//     another service, rotated by AWS.
//   - keyprovider.ErrUnavailable: AWS cannot be reached, is overloaded, cannot
//     use the KMS key, or answers with the past. Only after this one a write may
//     have taken effect.
//
// They hold no key, and no text of the service's.
package awsstore
