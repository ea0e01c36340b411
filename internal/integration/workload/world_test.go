package workload

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/oauthtest"
)

const (
	providerID = "wip_1"
	accountID  = "svc_1"
	subject    = "system:serviceaccount:prod:bot"
	audience   = "https://api.openai.com/v1"
)

// world is OpenAI: a token endpoint and an API that takes its tokens.
type world struct {
	scenario scenario
	began    time.Time
	endpoint *oauthtest.Server
	idp      *oauthtest.Issuer
	network  *oauthtest.Network

	mu      sync.Mutex
	expires map[string]time.Time // by OpenAI's clock
	issued  []time.Time
	asked   atomic.Int64 // requests to the API
	refused atomic.Int64 // of these, answered 401
}

func newWorld(t *testing.T, s scenario) *world {
	w := &world{scenario: s, began: time.Now(), expires: map[string]time.Time{}, idp: oauthtest.NewIssuer("https://idp.example")}
	w.endpoint = oauthtest.NewUnstarted(&oauthtest.Options{Lifetime: s.lifetime, Now: w.now, OnIssue: func(i oauthtest.Issued) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.expires[i.Secret] = i.ExpiresAt
		w.issued = append(w.issued, time.Now())
	}})
	w.endpoint.Trust(oauthtest.Provider{ID: providerID, Issuer: w.idp.URL, Audience: audience, JWKS: w.idp.JWKS})
	w.endpoint.Map(providerID, oauthtest.Mapping{ServiceAccountID: accountID, Match: map[string]string{"sub": subject}})
	w.network = oauthtest.NewNetwork(map[string]http.Handler{
		oauthtest.Host:   w.endpoint.Handler(),
		"api.openai.com": http.HandlerFunc(w.api),
	})
	t.Cleanup(w.network.Close)
	return w
}

// now is OpenAI's clock.
func (w *world) now() time.Time { return time.Now().Add(w.scenario.ahead) }

// since is how long the scenario has run.
func (w *world) since() time.Duration { return time.Since(w.began) }

// identity is the workload's own token. The platform's clock is OpenAI's.
func (w *world) identity(context.Context) (string, error) {
	return w.idp.Sign(w.idp.Claims(subject, audience, w.now(), time.Hour), nil), nil
}

// api answers a chat completion to whoever bears a token that is alive.
func (w *world) api(rw http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	n := w.asked.Add(1)
	bearer := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	w.mu.Lock()
	expires, known := w.expires[bearer]
	w.mu.Unlock()
	rw.Header().Set("Content-Type", "application/json")
	refuses := w.scenario.refuses != nil && w.scenario.refuses(w.since(), n)
	if !known || !w.now().Add(w.scenario.early).Before(expires) || refuses {
		w.refused.Add(1)
		rw.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(rw, `{"error":{"message":"Incorrect API key provided.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`)
		return
	}
	fmt.Fprint(rw, `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o-mini",`+
		`"choices":[{"index":0,"message":{"role":"assistant","content":"Hello."},"finish_reason":"stop"}]}`)
}
