package oauthtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"strings"
	"time"
)

type jwks struct {
	Keys []jwk `json:"keys"`
}

type jwk struct {
	Kty string `json:"kty"`
	Crv string `json:"crv"`
	Alg string `json:"alg"`
	Kid string `json:"kid"`
	X   string `json:"x"`
	Y   string `json:"y"`
}

// verify returns the claims of a token that was signed by a key of the set.
func verify(token string, keys []byte) (map[string]any, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, errors.New("not three segments")
	}
	var header struct{ Alg, Kid string }
	if err := decode(parts[0], &header); err != nil {
		return nil, err
	}
	if header.Alg != "ES256" || header.Kid == "" {
		return nil, errors.New("the header lacks a kid, or an alg that is supported")
	}
	key, err := find(keys, header.Kid)
	if err != nil {
		return nil, err
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(signature) != 64 {
		return nil, errors.New("malformed signature")
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	if !ecdsa.Verify(key, digest[:], r, s) {
		return nil, errors.New("wrong signature")
	}
	var claims map[string]any
	return claims, decode(parts[1], &claims)
}

func decode(segment string, into any) error {
	b, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}

// find returns the key of that id.
func find(keys []byte, kid string) (*ecdsa.PublicKey, error) {
	var set jwks
	if err := json.Unmarshal(keys, &set); err != nil {
		return nil, err
	}
	for _, k := range set.Keys {
		if k.Kid != kid || k.Kty != "EC" || k.Crv != "P-256" {
			continue
		}
		x, errX := base64.RawURLEncoding.DecodeString(k.X)
		y, errY := base64.RawURLEncoding.DecodeString(k.Y)
		if err := errors.Join(errX, errY); err != nil {
			return nil, err
		}
		return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
	}
	return nil, errors.New("no such key")
}

// check holds claims to what is documented of a subject token, and returns when
// it ends.
func (p Provider) check(claims map[string]any, now time.Time) (time.Time, error) {
	for _, name := range []string{"iss", "aud", "sub", "exp", "iat"} {
		if claims[name] == nil {
			return time.Time{}, errors.New("no claim " + name)
		}
	}
	exp, ok1 := claims["exp"].(float64)
	iat, ok2 := claims["iat"].(float64)
	end := time.Unix(int64(exp), 0)
	switch {
	case !ok1 || !ok2:
		return end, errors.New("exp or iat is no number")
	case claims["iss"] != p.Issuer:
		return end, errors.New("another issuer")
	case !contains(claims["aud"], p.Audience):
		return end, errors.New("another audience")
	case !now.Before(end):
		return end, errors.New("expired")
	case now.Before(time.Unix(int64(iat), 0).Add(-time.Minute)):
		return end, errors.New("issued in the future")
	}
	return end, nil
}

// contains reports whether an audience, one or a list, is or has want.
func contains(audience any, want string) bool {
	if list, ok := audience.([]any); ok {
		return slices.Contains(list, any(want))
	}
	return audience == want
}
