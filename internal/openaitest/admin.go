package openaitest

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"time"
)

// Permissions of an admin key (see [AdminMintOptions.Scopes]). The two of
// management include the four of keys and accounts.
const (
	ScopeManagementRead  = "api.management.read"
	ScopeManagementWrite = "api.management.write"
	ScopeKeysRead        = "api.organization.projects.api_keys.read"
	ScopeKeysWrite       = "api.organization.projects.api_keys.write"
	ScopeAccountsRead    = "api.organization.projects.service_accounts.read"
	ScopeAccountsWrite   = "api.organization.projects.service_accounts.write"
	ScopeUsageRead       = "api.usage.read"
)

// AdminBehaviour is how the Admin API behaves. The zero value is OpenAI's of
// November 2026, with changes that are felt at once.
type AdminBehaviour struct {
	// NewKeyDelay is how long a key that the API has made is refused at first,
	// and DeadKeyDelay how long one that it has deleted is still let in. [0]
	NewKeyDelay, DeadKeyDelay time.Duration

	// UsageDelay is how long a call takes to show in the usage. [0]
	UsageDelay time.Duration

	// MaxLifetime is the policy of an organization: a new key must say that it
	// expires within this time. [none]
	MaxLifetime time.Duration

	// RefuseKeyDelete refuses to delete a key of a service account with 400, as
	// deployments before October 2026 did.
	RefuseKeyDelete bool

	// NoAccountKeys is a deployment before July 2026: a service account has the
	// key that it was made with, and the route for a further one does not exist.
	NoAccountKeys bool

	// NoExpiry is one before September 2026: expires_in_seconds is ignored, and
	// keys do not tell their end.
	NoExpiry bool
}

// AdminMintOptions describe an admin key. The zero value works at once, for all
// of the Admin API, until it is revoked.
type AdminMintOptions struct {
	Name        string
	Scopes      []string // [all]
	ActiveAfter time.Duration
	RevokeDelay time.Duration
	ExpiresAt   time.Time // [never]
}

// MintAdmin creates an admin key, which the routes below /v1/organization take
// and all others refuse, and returns its secret. Revoke, Expire, Key and the
// rest know it too.
func (s *Server) MintAdmin(opts AdminMintOptions) string {
	secret := "sk-" + "admin-" + randomHex(24)
	now := s.opts.Now()
	s.keys.put(&key{
		id: s.nextID("key_"), secret: secret, name: opts.Name, admin: true, scopes: slices.Clone(opts.Scopes),
		created: now, revokeDelay: opts.RevokeDelay, active: now.Add(opts.ActiveAfter), expires: opts.ExpiresAt,
	})
	return secret
}

// adminRoutes are the routes that rotating a key takes. OpenAI has more.
func (s *Server) adminRoutes() []*route {
	const (
		accounts = "/v1/organization/projects/{project}/service_accounts"
		keys     = "/v1/organization/projects/{project}/api_keys"
		read     = ScopeManagementRead
		write    = ScopeManagementWrite
	)
	table := []*route{
		{method: "GET", pattern: accounts, scope: ScopeAccountsRead, admin: read, serve: (*call).listAccounts},
		{method: "POST", pattern: accounts, scope: ScopeAccountsWrite, admin: write, serve: (*call).createAccount},
		{method: "GET", pattern: accounts + "/{account}", scope: ScopeAccountsRead, admin: read, serve: (*call).getAccount},
		{method: "DELETE", pattern: accounts + "/{account}", scope: ScopeAccountsWrite, admin: write, serve: (*call).deleteAccount},
		{method: "GET", pattern: keys, scope: ScopeKeysRead, admin: read, serve: (*call).listKeys},
		{method: "GET", pattern: keys + "/{key}", scope: ScopeKeysRead, admin: read, serve: (*call).getKey},
		{method: "POST", pattern: keys + "/{key}", scope: ScopeKeysWrite, admin: write, serve: (*call).updateKey},
		{method: "DELETE", pattern: keys + "/{key}", scope: ScopeKeysWrite, admin: write, serve: (*call).deleteKey},
		{method: "GET", pattern: "/v1/organization/admin_api_keys", scope: read, admin: read, serve: (*call).listAdminKeys},
		{method: "GET", pattern: "/v1/organization/admin_api_keys/{key}", scope: read, admin: read, serve: (*call).getAdminKey},
	}
	for _, kind := range usageKinds {
		table = append(table, &route{method: "GET", pattern: "/v1/organization/usage/" + kind,
			scope: ScopeUsageRead, admin: ScopeUsageRead, serve: func(c *call) { c.usageOf(kind) }})
	}
	if !s.opts.Admin.NoAccountKeys {
		table = append(table, &route{method: "POST", pattern: accounts + "/{account}/api_keys",
			scope: ScopeKeysWrite, admin: write, serve: (*call).createKey})
	}
	return table
}

// inProject answers a request for another project, and reports whether the call
// goes on.
func (c *call) inProject() bool {
	if id := c.r.PathValue("project"); id != c.s.opts.Project {
		c.fail(noSuch("project", id))
		return false
	}
	return true
}

// fields decodes a JSON object that may have these members and no others. It
// reports whether the call goes on.
func (c *call) fields(known ...string) (map[string]json.RawMessage, bool) {
	members := map[string]json.RawMessage{}
	if c.readBody(); c.bodyErr == nil && len(c.body) == 0 {
		return members, true
	}
	if !c.decode(&members) {
		return nil, false
	}
	for name := range members {
		if !slices.Contains(known, name) {
			c.fail(unknownParameter(name))
			return nil, false
		}
	}
	return members, true
}

// member decodes a member into v, if it is there. A null is refused unless
// nullable, and then as good as absent. It reports whether it was there, and
// whether the call goes on.
func (c *call) member(members map[string]json.RawMessage, name string, nullable bool, v any) (present, ok bool) {
	raw, present := members[name]
	switch isNull := bytes.Equal(raw, jsonNull); {
	case !present || isNull && nullable:
		return false, true
	case isNull || json.Unmarshal(raw, v) != nil:
		c.fail(invalidParameter(name, "invalid_type", "it has the wrong type."))
		return true, false
	}
	return true, true
}

// lifetime reads expires_in_seconds under the organization's policy; 0 is none.
// It reports whether the call goes on.
func (c *call) lifetime(members map[string]json.RawMessage, nullable, required bool) (time.Duration, bool) {
	const name, year = "expires_in_seconds", 31_536_000
	var seconds int64
	present, ok := c.member(members, name, nullable, &seconds)
	policy := c.s.opts.Admin.MaxLifetime
	switch {
	case !ok:
		return 0, false
	case present && (seconds < 1 || seconds > year):
		c.fail(invalidParameter(name, "invalid_value", "expected an integer from 1 to 31536000."))
		return 0, false
	case !present && required && policy > 0:
		c.fail(missingParameter(name))
		return 0, false
	case policy > 0 && time.Duration(seconds)*time.Second > policy:
		c.fail(invalidParameter(name, "invalid_value", "it exceeds the maximum lifetime of this organization."))
		return 0, false
	case c.s.opts.Admin.NoExpiry:
		return 0, true
	}
	return time.Duration(seconds) * time.Second, true
}

// page answers with the part of a list that after and limit ask for.
func page[T any](c *call, all []T, id func(T) string, render func(T) any) {
	query := c.r.URL.Query()
	limit := 20
	if raw := query.Get("limit"); raw != "" {
		n, err := strconv.Atoi(raw)
		if err != nil || n < 1 || n > 100 {
			c.fail(invalidParameter("limit", "invalid_value", "expected an integer from 1 to 100."))
			return
		}
		limit = n
	}
	if after := query.Get("after"); after != "" {
		i := slices.IndexFunc(all, func(item T) bool { return id(item) == after })
		if i < 0 {
			c.fail(invalidParameter("after", "invalid_value", "there is no such object."))
			return
		}
		all = all[i+1:]
	}
	list := struct {
		Object  string  `json:"object"`
		Data    []any   `json:"data"`
		FirstID *string `json:"first_id"`
		LastID  *string `json:"last_id"`
		HasMore bool    `json:"has_more"`
	}{Object: "list", Data: []any{}, HasMore: len(all) > limit}
	for _, item := range all[:min(limit, len(all))] {
		list.Data = append(list.Data, render(item))
	}
	if n := len(list.Data); n > 0 {
		list.FirstID, list.LastID = orNull(id(all[0])), orNull(id(all[n-1]))
	}
	c.json(list)
}

// deleted is the answer to a DELETE.
func (c *call) deleted(object, id string) {
	c.json(struct {
		Object  string `json:"object"`
		ID      string `json:"id"`
		Deleted bool   `json:"deleted"`
	}{object + ".deleted", id, true})
}

// unixOrNull is a time as the Admin API has it.
func unixOrNull(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	n := t.Unix()
	return &n
}
