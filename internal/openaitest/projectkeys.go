package openaitest

import (
	"time"
)

const keyObject = "organization.project.api_key"

type keyView struct {
	Object     string    `json:"object"`
	Redacted   string    `json:"redacted_value"`
	Name       string    `json:"name"`
	CreatedAt  int64     `json:"created_at"`
	LastUsedAt *int64    `json:"last_used_at"`
	ExpiresAt  *int64    `json:"expires_at"`
	ID         string    `json:"id"`
	Access     string    `json:"owner_project_access"`
	Owner      ownerView `json:"owner"`

	hidden bool // from a list that does not ask for any owner
}

type ownerView struct {
	Type           string            `json:"type"`
	User           *userView         `json:"user,omitempty"`
	ServiceAccount *ownerAccountView `json:"service_account,omitempty"`
}

type userView struct {
	ID        string `json:"id"`
	Email     string `json:"email"`
	Name      string `json:"name"`
	Role      string `json:"role"`
	CreatedAt int64  `json:"created_at"`
}

type ownerAccountView struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Role      string `json:"role"`
	CreatedAt int64  `json:"created_at"`
}

// inAPI says whether the Admin API still shows a key of the project: a deleted
// one is gone at once, whatever it takes to spread; an expired one stays. The
// caller holds the lock.
func (k *key) inAPI() bool { return !k.admin && k.revoked.IsZero() }

// Deactivate takes the access to the project from the owner of the key of this
// id, as an operator can: the Admin API hides the key, unless asked for those of
// any owner. It reports whether there is such a key.
func (s *Server) Deactivate(id string) bool {
	s.keys.mu.Lock()
	defer s.keys.mu.Unlock()
	for _, k := range s.keys.order {
		if k.id == id && !k.admin {
			k.inactive = true
			return true
		}
	}
	return false
}

// view needs the lock.
func (ks *keyStore) view(k *key) keyView {
	v := keyView{
		Object: keyObject, Redacted: redact(k.secret), Name: k.name, CreatedAt: k.created.Unix(), LastUsedAt: k.lastUsedUnix(),
		ExpiresAt: unixOrNull(k.expires), ID: k.id, Access: "active", hidden: k.inactive,
	}
	if k.inactive {
		v.Access = "inactive"
	}
	if k.user != "" {
		v.Owner = ownerView{Type: "user", User: &userView{k.user, k.user + "@example.com", k.user, "member", k.created.Unix()}}
		return v
	}
	a := ks.account(k.account)
	if a == nil {
		a = &account{id: k.account, name: "deleted", role: roleNone, created: k.created}
	}
	v.Owner = ownerView{Type: "service_account", ServiceAccount: &ownerAccountView{a.id, a.name, a.role, a.created.Unix()}}
	// The documented rule is only that membership decides, and that it may
	// omit enabled keys: an account without a role is no member.
	v.hidden = v.hidden || a.role == roleNone
	return v
}

func (k *key) lastUsedUnix() *int64 {
	n := k.lastUsed.Load()
	if n == 0 {
		return nil
	}
	return unixOrNull(time.Unix(0, n))
}

func (c *call) listKeys() {
	if !c.inProject() {
		return
	}
	access := c.r.URL.Query().Get("owner_project_access")
	switch access {
	case "", "any", "active", "inactive":
	default:
		c.fail(invalidParameter("owner_project_access", "invalid_value", "expected active, inactive or any."))
		return
	}
	ks := &c.s.keys
	ks.mu.RLock()
	var all []keyView
	for _, k := range ks.order {
		if !k.inAPI() {
			continue
		}
		v := ks.view(k)
		if access == "any" || access == v.Access || access == "" && !v.hidden {
			all = append(all, v)
		}
	}
	ks.mu.RUnlock()
	page(c, all, func(v keyView) string { return v.ID }, func(v keyView) any { return v })
}

// withKey calls do with the key that the path names, under the lock, and
// answers what do returns; it answers 404 itself.
func (c *call) withKey(do func(ks *keyStore, k *key) any) {
	if !c.inProject() {
		return
	}
	id := c.r.PathValue("key")
	ks := &c.s.keys
	ks.mu.Lock()
	var answer any
	for _, k := range ks.order {
		if k.id == id && k.inAPI() {
			answer = do(ks, k)
		}
	}
	ks.mu.Unlock()
	switch answer := answer.(type) {
	case nil:
		c.fail(noSuch("API key", id))
	case APIError:
		c.fail(answer)
	default:
		c.json(answer)
	}
}

func (c *call) getKey() { c.withKey(func(ks *keyStore, k *key) any { return ks.view(k) }) }

// updateKey replaces the scopes, moves the end, or both in one.
func (c *call) updateKey() {
	members, ok := c.fields("scopes", "expires_in_seconds")
	if !ok {
		return
	}
	scopes, scoped, ok := c.scopeList(members)
	if !ok {
		return
	}
	life, ok := c.lifetime(members, false, false)
	if !ok {
		return
	}
	if len(members) == 0 {
		c.fail(missingParameter("scopes"))
		return
	}
	c.withKey(func(ks *keyStore, k *key) any {
		if !k.expires.IsZero() && !c.now.Before(k.expires) {
			return invalidRequest(400, "", "Expired API keys cannot be updated.")
		}
		if scoped {
			k.scopes = scopes
		}
		if life > 0 {
			k.expires = c.now.Add(life)
		}
		return ks.view(k)
	})
}

// deleteKey kills one key; its account and its siblings stay.
func (c *call) deleteKey() {
	c.withKey(func(_ *keyStore, k *key) any {
		if k.account != "" && c.s.opts.Admin.RefuseKeyDelete {
			return keyOfAccount()
		}
		k.revoke(c.now)
		return map[string]any{"object": keyObject + ".deleted", "id": k.id, "deleted": true}
	})
}
