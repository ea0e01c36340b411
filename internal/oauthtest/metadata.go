package oauthtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Google is Compute Engine's metadata server, as far as identity tokens go.
func Google(idp *Issuer, subject string, lifetime time.Duration) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /computeMetadata/v1/instance/service-accounts/default/identity", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Metadata-Flavor", "Google")
		audience := r.FormValue("audience")
		if r.Header.Get("Metadata-Flavor") != "Google" || r.Header.Get("X-Forwarded-For") != "" {
			http.Error(w, "missing Metadata-Flavor:Google header", http.StatusForbidden)
			return
		}
		if audience == "" {
			http.Error(w, "non-empty audience parameter required", http.StatusBadRequest)
			return
		}
		_, _ = fmt.Fprint(w, idp.Token(subject, audience, lifetime))
	})
	return mux
}

// Azure is the Instance Metadata Service of a virtual machine and, under the
// path /msi/token, the endpoint of App Service, which wants identityHeader.
func Azure(idp *Issuer, subject, identityHeader string, lifetime time.Duration) http.Handler {
	token := func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("resource") == "" || r.Header.Get("X-Forwarded-For") != "" {
			answer(w, http.StatusBadRequest, map[string]string{"error": "invalid_resource"})
			return
		}
		if id := r.FormValue("client_id"); id == "absent" {
			answer(w, http.StatusBadRequest, map[string]string{"error": "invalid_request", "error_description": "Identity not found"})
			return
		}
		answer(w, http.StatusOK, map[string]string{
			"access_token": idp.Token(subject, r.FormValue("resource"), lifetime),
			"expires_in":   strconv.Itoa(int(lifetime / time.Second)),
			"token_type":   "Bearer",
		})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metadata/identity/oauth2/token", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Metadata") != "true" || r.FormValue("api-version") == "" {
			answer(w, http.StatusBadRequest, map[string]string{"error": "bad_request"})
			return
		}
		token(w, r)
	})
	mux.HandleFunc("GET /msi/token", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-IDENTITY-HEADER") != identityHeader {
			answer(w, http.StatusUnauthorized, map[string]string{"error": "unauthorized"})
			return
		}
		token(w, r)
	})
	return mux
}

// GitHub is the service at ACTIONS_ID_TOKEN_REQUEST_URL, which wants the bearer.
func GitHub(idp *Issuer, subject, bearer string, lifetime time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+bearer {
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"value": idp.Token(subject, r.FormValue("audience"), lifetime), "count": 1})
	})
}
