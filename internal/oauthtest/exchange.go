package oauthtest

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"time"
)

const (
	grantType   = "urn:ietf:params:oauth:grant-type:token-exchange"
	typeJWT     = "urn:ietf:params:oauth:token-type:jwt"
	typeIDToken = "urn:ietf:params:oauth:token-type:id_token"
	typeX509    = "urn:openai:params:oauth:token-type:x509"
	typeAccess  = "urn:ietf:params:oauth:token-type:access_token"
)

// request is the body of an exchange.
type request struct {
	GrantType          string `json:"grant_type"`
	SubjectToken       string `json:"subject_token"`
	SubjectTokenType   string `json:"subject_token_type"`
	IdentityProviderID string `json:"identity_provider_id"`
	ServiceAccountID   string `json:"service_account_id"`
}

// refusal is an OAuth error. Its description repeats what it was given, as
// careless servers do: nobody may print it.
type refusal struct {
	status            int
	code, description string
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", s.opts.Now().UTC().Format(http.TimeFormat))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	if f := s.faulty(); f != nil && !f.wait(r) {
		s.note(f.status(), f.Code) // before the answer: whoever has it may ask
		f.serve(w)
		return
	}
	var req request
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Method != http.MethodPost || media != "application/json" || err != nil || json.Unmarshal(body, &req) != nil {
		s.refuse(w, refusal{http.StatusBadRequest, "invalid_request", "a POST of a JSON object is expected"})
		return
	}
	issued, refused := s.exchange(r, req)
	if refused != nil {
		refused.description += " " + req.SubjectToken
		s.refuse(w, *refused)
		return
	}
	if s.opts.OnIssue != nil {
		s.opts.OnIssue(issued)
	}
	s.note(http.StatusOK, "")
	answer(w, http.StatusOK, map[string]any{
		"access_token": issued.Secret, "issued_token_type": typeAccess, "token_type": "Bearer",
		"expires_in": int(issued.ExpiresAt.Sub(s.opts.Now()) / time.Second),
	})
}

// exchange judges a request.
func (s *Server) exchange(r *http.Request, req request) (Issued, *refusal) {
	s.mu.Lock()
	provider, known := s.providers[req.IdentityProviderID]
	mappings := s.mappings[req.IdentityProviderID]
	s.mu.Unlock()
	now := s.opts.Now()
	end := now.Add(s.opts.Lifetime)
	mutual := r.TLS != nil && len(r.TLS.VerifiedChains) > 0
	if req.GrantType != grantType {
		return Issued{}, &refusal{http.StatusBadRequest, "unsupported_grant_type", "another grant"}
	}
	if !known {
		return Issued{}, &refusal{http.StatusBadRequest, "invalid_grant", "no such identity provider"}
	}
	claims := map[string]any{}
	switch {
	case mutual && req.SubjectTokenType == typeX509 && req.SubjectToken == "":
		claims["cn"] = r.TLS.PeerCertificates[0].Subject.CommonName
	case !mutual && (req.SubjectTokenType == typeJWT || req.SubjectTokenType == typeIDToken) && req.SubjectToken != "":
		var err error
		var subjectEnd time.Time
		if claims, err = verify(req.SubjectToken, provider.JWKS()); err == nil {
			subjectEnd, err = provider.check(claims, now)
		}
		if err != nil {
			return Issued{}, &refusal{http.StatusBadRequest, "invalid_subject_token", err.Error()}
		}
		if subjectEnd.Before(end) {
			end = subjectEnd
		}
	default:
		return Issued{}, &refusal{http.StatusBadRequest, "invalid_request", "the subject token does not fit its type or this host"}
	}
	for _, m := range mappings {
		if m.ServiceAccountID == req.ServiceAccountID && m.matches(claims) {
			return Issued{Secret: s.accessToken(req.ServiceAccountID, now, end), ServiceAccountID: m.ServiceAccountID, ExpiresAt: end}, nil
		}
	}
	return Issued{}, &refusal{http.StatusForbidden, "access_denied", "no mapping"}
}

func (m Mapping) matches(claims map[string]any) bool {
	for name, want := range m.Match {
		if claims[name] != want {
			return false
		}
	}
	return len(m.Match) > 0
}

func (s *Server) accessToken(subject string, now, end time.Time) string {
	if s.opts.AccessToken != nil {
		return s.opts.AccessToken()
	}
	return s.signer.Sign(s.signer.Claims(subject, "https://api.openai.com/v1", now, end.Sub(now)), nil)
}

func (s *Server) refuse(w http.ResponseWriter, r refusal) {
	s.note(r.status, r.code)
	answer(w, r.status, map[string]any{"error": r.code, "error_description": r.description})
}

func (s *Server) note(status int, code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.exchanges = append(s.exchanges, Exchange{At: time.Now(), Status: status, Code: code})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
