// Package awssm provides an API key from AWS Secrets Manager.
//
//	provider, err := awssm.New(ctx, "prod/openai", nil)
//	keys, err := rotation.NewSource(ctx, provider, nil)
//
// The secret holds the bare key, or a JSON object with the key in a field, as
// the console writes; see keyprovider.ParseKey. It may be a string or binary.
// A place is a secret's name or its ARN; the ARN also gives the region, and a
// secret of another account needs it, complete.
//
// # Permissions
//
// secretsmanager:GetSecretValue on the secret is enough. Where the secret is
// encrypted with a KMS key of its own, the caller also needs kms:Decrypt on
// that key. secretsmanager:DescribeSecret is optional: with it, a poll that
// finds no change neither moves the key over the network nor asks KMS. The
// provider tries it, and where it is not granted goes over to plain reads by
// itself, for good, and logs one line.
//
// # Rotation
//
// A fetch follows a staging label, AWSCURRENT unless the options name another:
// when the label moves, the next fetch brings the version that bears it now,
// an older one included. Secrets Manager is eventually consistent; the key's
// CreatedAt is filled, so that a rotation.Source does not take a late read of
// the previous version for a rotation.
//
// # Push
//
// With [Options.QueueURL] the provider learns of a rotation within a second or
// two instead of at the next poll. The queue is one of SQS, fed by an
// EventBridge rule for the event "Secret Label Updated", which Secrets Manager
// sends by itself:
//
//	{"source": ["aws.secretsmanager"], "detail-type": ["Secret Label Updated"],
//	 "resources": ["<the secret's ARN>"], "detail": {"labelUpdated": ["AWSCURRENT"]}}
//
// SQS gives a message to one reader: each replica needs a queue of its own, or
// the others learn by polling. Messages also may come through SNS. The provider
// needs sqs:ReceiveMessage and sqs:DeleteMessage, and deletes every message
// that it receives: the queue is its own. A message is a hint to look and never
// data, and polling goes on beside it.
//
// # URIs
//
// Importing the package registers the scheme awssm for keyprovider.Open:
//
//	awssm://prod/openai?region=eu-west-1&stage=AWSCURRENT
//	awssm:arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/openai-AbCdEf
//	awssm:///name/that/begins/with/a/slash
//
// Its parameters are region, stage, version, field, profile, endpoint, timeout
// and queue, as the fields of [Options]. What is special in a URI is
// percent-encoded; a name with an @ is written awssm:name%40example. An
// existing SDK client and a logger cannot be written in a URI: use [New].
//
// # Errors
//
// They are classified by the service's error codes:
//
//   - keyprovider.ErrNotFound: no such secret, version or stage, or the secret
//     is marked for deletion.
//   - keyprovider.ErrDenied: a permission is missing, for the secret or its KMS
//     key; AWS refuses the credentials; there are none.
//   - keyprovider.ErrInvalid: the stored value holds no key, or AWS does not
//     accept a parameter.
//   - keyprovider.ErrUnavailable: throttling, failures of the service or of
//     KMS, the network, and whatever does not answer in time, the instance
//     metadata service included.
//
// The SDK's error is wrapped, for errors.As with smithy.APIError, and its text
// is not printed. The SDK's log of requests and responses is off for the
// provider's calls, also on a client that has it on: it would show the key.
package awssm
