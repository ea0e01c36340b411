package openaitest

import "slices"

const adminKeyObject = "organization.admin_api_key"

type adminKeyView struct {
	Object     string         `json:"object"`
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	Redacted   string         `json:"redacted_value"`
	CreatedAt  int64          `json:"created_at"`
	ExpiresAt  *int64         `json:"expires_at"`
	LastUsedAt *int64         `json:"last_used_at"`
	Owner      adminOwnerView `json:"owner"`
}

type adminOwnerView struct {
	Type      string `json:"type"`
	Object    string `json:"object"`
	ID        string `json:"id"`
	Name      string `json:"name"`
	Role      string `json:"role"`
	CreatedAt int64  `json:"created_at"`
}

// adminKeys returns the admin keys that are not revoked, the oldest first.
func (c *call) adminKeys() []adminKeyView {
	ks := &c.s.keys
	ks.mu.RLock()
	defer ks.mu.RUnlock()
	var all []adminKeyView
	for _, k := range ks.order {
		if !k.admin || !k.revoked.IsZero() {
			continue
		}
		all = append(all, adminKeyView{
			Object: adminKeyObject, ID: k.id, Name: k.name, Redacted: redact(k.secret), CreatedAt: k.created.Unix(),
			ExpiresAt: unixOrNull(k.expires), LastUsedAt: k.lastUsedUnix(),
			Owner: adminOwnerView{"user", "organization.user", "user_owner", "Owner", "owner", k.created.Unix()},
		})
	}
	return all
}

func (c *call) listAdminKeys() {
	all := c.adminKeys()
	switch c.r.URL.Query().Get("order") {
	case "", "asc":
	case "desc":
		slices.Reverse(all)
	default:
		c.fail(invalidParameter("order", "invalid_value", "expected asc or desc."))
		return
	}
	page(c, all, func(v adminKeyView) string { return v.ID }, func(v adminKeyView) any { return v })
}

func (c *call) getAdminKey() {
	id := c.r.PathValue("key")
	for _, v := range c.adminKeys() {
		if v.ID == id {
			c.json(v)
			return
		}
	}
	c.fail(noSuch("admin API key", id))
}
