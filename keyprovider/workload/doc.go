// Package workload provides OpenAI access tokens to a workload that has an
// identity of its own, so that no key is stored anywhere.
//
// The workload's platform (Kubernetes, a cloud, GitHub Actions, SPIFFE) signs a
// short-lived token that says who the workload is. OpenAI's token endpoint takes
// it, by the rules of RFC 8693, for an access token of a service account, which
// serves as the key for an hour or less:
//
//	provider, err := workload.New(ctx, &workload.Options{
//		IdentityProviderID: "wip_...",
//		ServiceAccountID:   "svc_...",
//		Subject:            workload.File("/var/run/secrets/openai/token"),
//	})
//	keys, err := rotation.NewSource(ctx, provider, nil)
//
// An organization's owner sets this up once: the identity provider that OpenAI
// trusts, and which of its identities may act as which service account.
//
// # Environment
//
// What Options leaves empty is read from OPENAI_IDENTITY_PROVIDER_ID,
// OPENAI_SERVICE_ACCOUNT_ID and OPENAI_IDENTITY_TOKEN_FILE; an empty variable
// counts as unset.
//
// # Identity tokens
//
// [File] reads a token that the platform keeps fresh, [Google], [Azure] and
// [GitHub] ask the platform's own service, package awstoken asks AWS STS, and
// [Func] calls a function of yours. Every exchange gets the token anew. It has to
// be issued for OpenAI, with an audience of its own: never send the default token
// of a Kubernetes service account, which opens the cluster's API.
//
// [Options.Certificate] is for a workload whose identity is an X.509 certificate;
// see there.
//
// # Renewal
//
// A token is renewed after two thirds of its life, varied by a tenth, however
// short that is; it counts as expired when the token of the platform expires, at
// the latest. Times are taken from the answer and measured by this machine's own
// clock, so that a clock that is wrong by hours does no harm.
//
// A refused token is replaced by a new exchange, one at a time for all callers.
// Twenty exchanges before their time are made as they come, then one every half
// minute: an API that refuses good tokens for an hour costs 140 at most, and one
// that refuses all of them far fewer, because a rotation.Source asks ever more
// seldom.
//
// # What goes where
//
// The exchange goes to https://auth.openai.com (or mtls.auth.openai.com) and
// nowhere else; there is no option for another host. It follows no redirect, and
// goes through a transport of its own, never through one that puts keys on
// requests. The access token goes where transport.Options.Origins allows;
// [Provider.Origins] lists where it is valid. It is not valid for the Admin API.
//
// # URIs
//
// Importing the package registers the scheme workload for keyprovider.Open:
//
//	workload:?identity_provider_id=wip_1&service_account_id=svc_1&token_file=/var/run/secrets/openai/token
//	workload:?source=google
//	workload:?source=azure&audience=api://11111111-2222-3333-4444-555555555555
//
// The parameters are identity_provider_id, service_account_id and timeout as the
// fields of [Options]; token_file, or source (google, azure, github) with audience
// and, for azure, client_id; certificate_file and private_key_file for X.509.
//
// # Errors
//
//   - keyprovider.ErrNotFound: the file with the identity token does not exist.
//   - keyprovider.ErrDenied: OpenAI does not accept the identity, or maps it to
//     no such service account; the platform gives the workload no identity.
//   - keyprovider.ErrInvalid: what should be an identity token is none; OpenAI
//     does not understand the request, or the answer is malformed.
//   - keyprovider.ErrUnavailable: the endpoint or the platform's service cannot
//     be reached, fails, or does not answer in time; tokens are being refused
//     faster than new ones may be asked for.
//
// OAuth's error code is printed. Its description is not: servers repeat there
// what they were given.
package workload
