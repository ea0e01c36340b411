// Package openaiadmin is the rotation.Issuer of OpenAI's Admin API. It mints
// further keys of one service account, scoped and expiring, so that identity,
// roles and usage go on as they were, and ends them one by one.
//
// # The admin key
//
// New takes the source of an admin key, never the key: a *rotation.Source over
// any keyprovider.KeyProvider. It goes only to [Options].Origin, on the few
// routes of the one project that the Issuer needs; every other request fails
// before a byte leaves. Variables such as OPENAI_ADMIN_KEY and OPENAI_BASE_URL
// are not read.
//
// An organization owner makes the key at Settings, Admin keys. "Restricted" is
// enough, with
//
//	Organization administration: Write   api.management.read, api.management.write
//	Usage: Read                          api.usage.read (for Issuer.Usage alone)
//
// or, where single permissions can be chosen, in place of the two of management
//
//	api.organization.projects.api_keys.read
//	api.organization.projects.api_keys.write
//	api.organization.projects.service_accounts.write (for AccountPerRotation alone)
//
// with which [Issuer.CredentialExpiry] has to rely on what the store says of the
// key. Give it an expiry. A key that lacks a permission gets ErrDenied, and the
// error names the permission.
//
// # The service account
//
// Make one for each application and give it no key of its own:
//
//	curl https://api.openai.com/v1/organization/projects/$PROJECT/service_accounts \
//	  -H "Authorization: Bearer $ADMIN_KEY" -H "Content-Type: application/json" \
//	  -d '{"name":"billing-bot","create_service_account_only":true}'
//
// Without create_service_account_only the account is a member of the project at
// once, and the answer holds a key that may do everything. With it the account
// has no role: grant it one through a group.
//
// # What is certain of a key
//
// A key carries exactly the scopes of [Options].Scopes, which OpenAI takes for
// everything if they are empty: so an empty list is refused here, unless
// AllPermissions says that it is meant, and is never sent. A key whose name or
// end is not what was asked for is revoked, not returned.
//
// No error, and nothing that prints one, shows the admin key or a new key.
package openaiadmin
