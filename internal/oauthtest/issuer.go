package oauthtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strconv"
	"sync"
	"time"
)

// Issuer is an identity provider that signs tokens with ES256 and publishes the
// keys. It is safe for concurrent use.
type Issuer struct {
	// URL is the issuer's name, the claim iss.
	URL string

	mu   sync.Mutex
	keys []*ecdsa.PrivateKey // the last one signs; kid is the index
}

// NewIssuer returns an issuer with one key.
func NewIssuer(url string) *Issuer {
	i := &Issuer{URL: url}
	i.Rotate()
	return i
}

// Rotate makes a new key sign. Those before stay published.
func (i *Issuer) Rotate() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // only without a source of randomness
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, key)
}

// Claims returns the claims that a token of this issuer needs.
func (i *Issuer) Claims(subject, audience string, issued time.Time, lifetime time.Duration) map[string]any {
	return map[string]any{
		"iss": i.URL, "sub": subject, "aud": audience,
		"iat": issued.Unix(), "exp": issued.Add(lifetime).Unix(), "jti": rand.Text(),
	}
}

// Token signs a token with the required claims, from now on for lifetime.
func (i *Issuer) Token(subject, audience string, lifetime time.Duration) string {
	return i.Sign(i.Claims(subject, audience, time.Now(), lifetime), nil)
}

// Sign signs claims. header replaces fields of the token's header; a nil value
// removes one.
func (i *Issuer) Sign(claims, header map[string]any) string {
	i.mu.Lock()
	key, kid := i.keys[len(i.keys)-1], strconv.Itoa(len(i.keys)-1)
	i.mu.Unlock()
	h := map[string]any{"alg": "ES256", "typ": "JWT", "kid": kid}
	maps.Copy(h, header)
	maps.DeleteFunc(h, func(_ string, v any) bool { return v == nil })
	signed := segment(h) + "." + segment(claims)
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		panic(err) // only without a source of randomness
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func segment(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // the tests' own maps
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// JWKS returns the published keys as the document that a provider serves.
func (i *Issuer) JWKS() []byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	set := jwks{}
	for n, key := range i.keys {
		point, err := key.PublicKey.Bytes() // 4, x, y
		if err != nil {
			panic(err) // P-256 has that form
		}
		set.Keys = append(set.Keys, jwk{
			Kty: "EC", Crv: "P-256", Alg: "ES256", Kid: strconv.Itoa(n),
			X: base64.RawURLEncoding.EncodeToString(point[1:33]),
			Y: base64.RawURLEncoding.EncodeToString(point[33:]),
		})
	}
	b, err := json.Marshal(set)
	if err != nil {
		panic(err)
	}
	return b
}
