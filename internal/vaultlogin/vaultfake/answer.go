package vaultfake

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

func (t *term) alive() bool { return t.ends.IsZero() || time.Now().Before(t.ends) }

// past reports whether less than a second is left to give, which the real
// server rounds down.
func (t *term) past() bool { return !t.last.IsZero() && time.Until(t.last) < time.Second }

// extend renews a term, up to its last moment.
func (t *term) extend() time.Duration {
	ends := time.Now().Add(t.ttl)
	if !t.last.IsZero() && ends.After(t.last) {
		ends = t.last
	}
	t.ends = ends
	return time.Until(ends)
}

func (s *Server) tokenAlive(name string) bool {
	t, ok := s.tokens[name]
	return ok && t.alive()
}

func (s *Server) answer(path string, r *http.Request, body map[string]any) (int, any) {
	if strings.HasPrefix(path, "auth/") && strings.Contains(path, "/login") {
		return 200, s.auth(s.newToken(s.TokenTTL, true))
	}
	token := r.Header.Get("X-Vault-Token")
	if !s.tokenAlive(token) {
		return failed(http.StatusForbidden, "permission denied")
	}
	switch {
	case strings.HasPrefix(path, "sys/internal/ui/mounts/"):
		return s.mount(strings.TrimPrefix(path, "sys/internal/ui/mounts/"))
	case path == "auth/token/renew-self":
		if t := s.tokens[token]; t.renewable {
			if t.past() {
				return failed(500, "past the max TTL, cannot renew")
			}
			t.extend()
			return 200, s.auth(token)
		}
		return failed(400, "token is not renewable")
	case path == "auth/token/lookup-self":
		t := s.tokens[token]
		return 200, map[string]any{"data": map[string]any{"ttl": left(t), "renewable": t.renewable}}
	case path == "auth/token/revoke-self":
		delete(s.tokens, token)
		return 204, nil
	case path == "sys/leases/renew":
		id, _ := body["lease_id"].(string)
		l, ok := s.leases[id]
		if !ok || !l.alive() || !s.tokenAlive(l.token) {
			return failed(400, "lease not found")
		}
		if l.past() {
			return failed(500, "past the max TTL, cannot renew")
		}
		l.extend()
		return 200, map[string]any{"lease_id": id, "lease_duration": left(l), "renewable": true}
	case path == "sys/leases/revoke":
		id, _ := body["lease_id"].(string)
		delete(s.leases, id)
		return 204, nil
	case strings.HasPrefix(path, "secret/"):
		return s.kv2(strings.TrimPrefix(path, "secret/"), r, body)
	case path == "old/openai" && s.V1 != nil:
		return 200, map[string]any{"lease_duration": 2764800, "data": s.V1}
	case path == "dynamic/creds/app" && (s.NewKey != nil || s.NewData != nil):
		return s.lease(token)
	}
	return failed(404, "no such path")
}

func left(t *term) int {
	if t.ends.IsZero() {
		return 0
	}
	return int(time.Until(t.ends) / time.Second)
}

func (s *Server) auth(token string) any {
	t := s.tokens[token]
	return map[string]any{"auth": map[string]any{"client_token": token, "lease_duration": left(t), "renewable": t.renewable}}
}

func (s *Server) mount(path string) (int, any) {
	for mount, version := range map[string]string{"secret": "2", "old": "", "dynamic": ""} {
		if strings.HasPrefix(path, mount+"/") {
			return 200, map[string]any{"data": map[string]any{"path": mount + "/", "type": "kv", "options": map[string]any{"version": version}}}
		}
	}
	return failed(403, "preflight capability check returned 403")
}

func (s *Server) lease(token string) (int, any) {
	s.serial++
	id := "dynamic/creds/app/" + strconv.Itoa(s.serial)
	l := &term{ttl: s.LeaseTTL, token: token, renewable: true}
	if s.LeaseMax > 0 {
		l.last = time.Now().Add(s.LeaseMax)
	}
	l.extend()
	s.leases[id] = l
	data := s.NewData
	if s.NewKey != nil {
		data = map[string]any{"api_key": s.NewKey()}
	}
	return 200, map[string]any{"lease_id": id, "lease_duration": left(l), "renewable": true, "data": data}
}
