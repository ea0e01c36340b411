package openaitest

import (
	"encoding/json"
	"slices"
	"time"
)

// Account is what the server knows of a service account.
type Account struct {
	ID, Name, Role string
	CreatedAt      time.Time
	Deleted        bool
}

// AddAccount makes a service account without a key, as create_service_account_only
// does, and returns its id.
func (s *Server) AddAccount(name string) string {
	a := &account{id: s.nextID("svc_"), name: name, role: roleNone, created: s.opts.Now()}
	s.keys.mu.Lock()
	defer s.keys.mu.Unlock()
	s.keys.accounts = append(s.keys.accounts, a)
	return a.id
}

// Accounts returns every service account, the oldest first, deleted ones too.
func (s *Server) Accounts() []Account {
	s.keys.mu.RLock()
	defer s.keys.mu.RUnlock()
	out := make([]Account, 0, len(s.keys.accounts))
	for _, a := range s.keys.accounts {
		out = append(out, Account{ID: a.id, Name: a.name, Role: a.role, CreatedAt: a.created, Deleted: a.deleted})
	}
	return out
}

// Roles of a service account in its project.
const (
	roleMember = "member"
	roleNone   = "none"
)

// An account is guarded by keyStore.mu.
type account struct {
	id, name, role string
	created        time.Time
	deleted        bool
}

// account returns the account of an id, or nil. It needs the lock.
func (ks *keyStore) account(id string) *account {
	for _, a := range ks.accounts {
		if a.id == id && !a.deleted {
			return a
		}
	}
	return nil
}

const accountObject = "organization.project.service_account"

type accountView struct {
	Object    string `json:"object"`
	ID        string `json:"id"`
	Name      string `json:"name"`
	Role      string `json:"role"`
	CreatedAt int64  `json:"created_at"`
}

func (a *account) view() accountView {
	return accountView{accountObject, a.id, a.name, a.role, a.created.Unix()}
}

func (c *call) listAccounts() {
	if !c.inProject() {
		return
	}
	ks := &c.s.keys
	ks.mu.RLock()
	var all []accountView
	for _, a := range ks.accounts {
		if !a.deleted {
			all = append(all, a.view())
		}
	}
	ks.mu.RUnlock()
	page(c, all, func(v accountView) string { return v.ID }, func(v accountView) any { return v })
}

func (c *call) getAccount() {
	if !c.inProject() {
		return
	}
	ks := &c.s.keys
	ks.mu.RLock()
	a := ks.account(c.r.PathValue("account"))
	var view accountView
	if a != nil {
		view = a.view()
	}
	ks.mu.RUnlock()
	if a == nil {
		c.fail(noSuch("service account", c.r.PathValue("account")))
		return
	}
	c.json(view)
}

// createAccount makes a member and its first key, or on demand an account with
// neither role nor key.
func (c *call) createAccount() {
	if !c.inProject() {
		return
	}
	const only = "create_service_account_only"
	members, ok := c.fields("name", only, "expires_in_seconds")
	if !ok {
		return
	}
	a := &account{id: c.s.nextID("svc_"), role: roleMember, created: c.now}
	bare := false
	named, ok := c.member(members, "name", false, &a.name)
	if !ok {
		return
	}
	if !named || a.name == "" {
		c.fail(missingParameter("name"))
		return
	}
	if _, ok := c.member(members, only, true, &bare); !ok {
		return
	}
	life, ok := c.lifetime(members, true, !bare)
	if !ok {
		return
	}
	if bare && life > 0 {
		c.fail(invalidParameter("expires_in_seconds", "invalid_value", "it cannot be used with "+only+"."))
		return
	}
	answer := struct {
		accountView
		APIKey *newKeyView `json:"api_key"`
	}{}
	if bare {
		a.role = roleNone
	}
	c.s.keys.mu.Lock()
	c.s.keys.accounts = append(c.s.keys.accounts, a)
	answer.accountView = a.view()
	c.s.keys.mu.Unlock()
	if !bare {
		answer.APIKey = c.mint(a.id, "Secret Key", nil, life)
	}
	c.json(answer)
}

// deleteAccount kills the account and every key that it has.
func (c *call) deleteAccount() {
	if !c.inProject() {
		return
	}
	id := c.r.PathValue("account")
	ks := &c.s.keys
	ks.mu.Lock()
	a := ks.account(id)
	if a != nil {
		a.deleted = true
		for _, k := range ks.order {
			if k.account == id {
				k.revoke(c.now)
			}
		}
	}
	ks.mu.Unlock()
	if a == nil {
		c.fail(noSuch("service account", id))
		return
	}
	c.deleted(accountObject, id)
}

type newKeyView struct {
	Object    string `json:"object"`
	ID        string `json:"id"`
	Name      string `json:"name"`
	Value     string `json:"value"` // here and nowhere else
	CreatedAt int64  `json:"created_at"`
	ExpiresAt *int64 `json:"expires_at"`
}

// mint makes a key of an account.
func (c *call) mint(account, name string, scopes []string, life time.Duration) *newKeyView {
	behaviour := c.s.opts.Admin
	k := &key{
		id: c.s.nextID("key_"), secret: "sk-" + "svcacct-" + randomHex(24), name: name, account: account,
		scopes: slices.Clone(scopes), created: c.now, revokeDelay: behaviour.DeadKeyDelay, active: c.now.Add(behaviour.NewKeyDelay),
	}
	if life > 0 {
		k.expires = c.now.Add(life)
	}
	view := &newKeyView{"organization.project.service_account.api_key", k.id, k.name, k.secret, k.created.Unix(), unixOrNull(k.expires)}
	c.s.keys.put(k)
	return view
}

// createKey makes a further key of an account. Whoever sends it twice has two.
func (c *call) createKey() {
	if !c.inProject() {
		return
	}
	members, ok := c.fields("name", "scopes", "expires_in_seconds")
	if !ok {
		return
	}
	name := "Secret Key"
	if _, ok := c.member(members, "name", false, &name); !ok {
		return
	}
	scopes, _, ok := c.scopeList(members)
	if !ok {
		return
	}
	life, ok := c.lifetime(members, true, true)
	if !ok {
		return
	}
	id := c.r.PathValue("account")
	c.s.keys.mu.RLock()
	known := c.s.keys.account(id) != nil
	c.s.keys.mu.RUnlock()
	if !known {
		c.fail(noSuch("service account", id))
		return
	}
	c.json(c.mint(id, name, scopes, life))
}

// scopeList reads the scopes. An empty list is what it is at OpenAI: a key with
// all permissions. It reports whether the call goes on.
func (c *call) scopeList(members map[string]json.RawMessage) (scopes []string, present, ok bool) {
	present, ok = c.member(members, "scopes", false, &scopes)
	if ok && slices.Contains(scopes, "") {
		c.fail(invalidParameter("scopes", "invalid_value", "a scope is empty."))
		return nil, present, false
	}
	return scopes, present, ok
}
