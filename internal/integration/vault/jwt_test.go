package vault

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/vault"
)

// A signer issues JSON Web Tokens, as a platform does.
type signer struct{ key *ecdsa.PrivateKey }

func newSigner(t *testing.T) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return signer{key}
}

func (s signer) public(t *testing.T) string {
	der, err := x509.MarshalPKIXPublicKey(&s.key.PublicKey)
	must(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func (s signer) sign(t *testing.T, claims map[string]any) string {
	t.Helper()
	claims["iat"], claims["exp"] = time.Now().Unix(), time.Now().Add(time.Minute).Unix()
	part := func(v any) string {
		b, err := json.Marshal(v)
		must(t, err)
		return base64.RawURLEncoding.EncodeToString(b)
	}
	text := part(map[string]any{"alg": "ES256", "typ": "JWT"}) + "." + part(claims)
	digest := sha256.Sum256([]byte(text))
	r, v, err := ecdsa.Sign(rand.Reader, s.key, digest[:])
	must(t, err)
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	v.FillBytes(signature[32:])
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func TestJWT(t *testing.T) {
	p := newSecret(t)
	issuer := newSigner(t)
	mount := method(t, "jwt")
	set(t, "auth/"+mount+"/config", map[string]any{"jwt_validation_pubkeys": []string{issuer.public(t)}, "bound_issuer": "me"})
	set(t, "auth/"+mount+"/role/app", map[string]any{"role_type": "jwt", "bound_audiences": []string{"vault"}, "user_claim": "sub", "token_policies": p.policy})
	token := issuer.sign(t, map[string]any{"iss": "me", "aud": "vault", "sub": "app"})
	p.fetchWith(t, &vault.JWT{Role: "app", File: file(t, token), Mount: mount})
	t.Setenv("TEST_JWT", token)
	p.fetchWith(t, &vault.JWT{Role: "app", Env: "TEST_JWT", Mount: mount})
	bad := newProvider(t, server.Addr, "", p.path, vault.Options{Auth: &vault.JWT{Role: "app", File: file(t, newSigner(t).sign(t, map[string]any{"iss": "me", "aud": "vault", "sub": "app"})), Mount: mount}})
	_, err := bad.Fetch(t.Context(), "")
	wantClass(t, err, keyprovider.ErrDenied)
}

// reviewer is Kubernetes's TokenReview.
type reviewer struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string
}

func newReviewer(t *testing.T) *reviewer {
	r := &reviewer{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var review struct{ Spec struct{ Token string } }
		_ = json.NewDecoder(req.Body).Decode(&review)
		r.mu.Lock()
		r.seen = append(r.seen, review.Spec.Token)
		r.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": map[string]any{
			"authenticated": true, "user": map[string]any{"username": "system:serviceaccount:ns:app", "uid": "u1", "groups": []string{"system:serviceaccounts"}}}})
	}))
	t.Cleanup(r.Close)
	return r
}

// The kubelet replaces the service account's token: each login reads it anew.
func TestKubernetes(t *testing.T) {
	p := newSecret(t)
	issuer, cluster := newSigner(t), newReviewer(t)
	account := func(serial string) string {
		return issuer.sign(t, map[string]any{"iss": "kubernetes/serviceaccount", "sub": "system:serviceaccount:ns:app", "jti": serial,
			"kubernetes.io/serviceaccount/namespace": "ns", "kubernetes.io/serviceaccount/service-account.name": "app", "kubernetes.io/serviceaccount/service-account.uid": "u1"})
	}
	ca := httptest.NewTLSServer(nil)
	t.Cleanup(ca.Close)
	mount := method(t, "kubernetes")
	set(t, "auth/"+mount+"/config", map[string]any{"kubernetes_host": cluster.URL, "token_reviewer_jwt": account("reviewer"), "disable_local_ca_jwt": true,
		"kubernetes_ca_cert": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Certificate().Raw}))})
	set(t, "auth/"+mount+"/role/app", map[string]any{"bound_service_account_names": "app", "bound_service_account_namespaces": "ns", "token_policies": p.policy})

	first, second := account("1"), account("2")
	projected := file(t, first)
	provider := p.fetchWith(t, &vault.Kubernetes{Role: "app", TokenFile: projected, Mount: mount})
	must(t, os.WriteFile(projected, []byte(second), 0o600))
	must(t, admin(t).Sys().RevokePrefixWithContext(t.Context(), "auth/"+mount))
	fetch(t, provider, "")
	if got := strings.Join(cluster.seen, " "); got != first+" "+second {
		t.Errorf("logins showed %d tokens, want the first and then its replacement", len(cluster.seen))
	}
}
