package workload

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// maxToken is the longest identity token, in bytes, that is sent.
const maxToken = 16 << 10

// isJWT reports whether s has the form of a signed JSON Web Token. What has not
// is something else, such as a key, and is not sent anywhere.
func isJWT(s string) bool {
	parts := strings.Split(s, ".")
	if len(parts) != 3 || len(s) > maxToken {
		return false
	}
	for i, part := range parts {
		text, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil || len(text) == 0 || i < 2 && text[0] != '{' {
			return false
		}
	}
	return true
}

// expiry returns the claim exp of a token, zero if it has none that makes sense.
// The signature is not looked at: the token is our own, and judging it is the
// endpoint's business.
func expiry(token string) time.Time {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return time.Time{}
	}
	var claims struct {
		Exp float64 `json:"exp"`
	}
	const year9999 = 253402300799
	if json.Unmarshal(text, &claims) != nil || claims.Exp < 1 || claims.Exp > year9999 {
		return time.Time{}
	}
	return time.Unix(int64(claims.Exp), 0)
}
