package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// parse makes a key of what a helper printed at now. Errors hold nothing of it.
func parse(stdout []byte, field string, now time.Time) (*keyprovider.Key, error) {
	trimmed := bytes.TrimLeft(stdout, " \t\r\n")
	if len(trimmed) == 0 {
		return nil, invalid("the helper printed nothing")
	}
	if trimmed[0] == '{' {
		var object map[string]json.RawMessage
		if json.Unmarshal(trimmed, &object) == nil {
			switch {
			case text(object["kind"]) == "ExecCredential", strings.HasPrefix(text(object["apiVersion"]), "client.authentication.k8s.io/"):
				return parseExecCredential(object, now)
			case object["Expiration"] != nil, object[processField] != nil, object["SecretAccessKey"] != nil:
				return parseProcess(object, trimmed, field, now)
			}
		}
	}
	return keyprovider.ParseKey(stdout, field, keyprovider.Info{})
}

// parseExecCredential reads what a Kubernetes credential plugin prints.
func parseExecCredential(object map[string]json.RawMessage, now time.Time) (*keyprovider.Key, error) {
	var status struct {
		Token               string
		ExpirationTimestamp json.RawMessage
	}
	if raw := object["status"]; raw == nil || json.Unmarshal(raw, &status) != nil || status.Token == "" {
		return nil, invalid("the helper printed an ExecCredential without status.token")
	}
	return expiring(status.Token, keyprovider.Info{}, status.ExpirationTimestamp, "status.expirationTimestamp", now)
}

// processField is the field of what a credential_process prints that holds the
// key, in the spelling of its neighbours.
const processField = "ApiKey"

// parseProcess reads what a credential_process prints. The object is decoded a
// second time by ParseKey, so that the key's field is read as anywhere.
func parseProcess(object map[string]json.RawMessage, payload []byte, field string, now time.Time) (*keyprovider.Key, error) {
	if raw := object["Version"]; raw != nil && string(raw) != "1" {
		return nil, invalid("the helper printed credentials of an unknown Version: 1 is known")
	}
	if field == "" {
		field = processField
		if object[field] == nil {
			field = keyprovider.DefaultField
		}
	}
	if object[field] == nil && object["SecretAccessKey"] != nil {
		return nil, invalid("the helper printed AWS credentials, which are no API key: name the field that holds the key, or another helper")
	}
	key, err := keyprovider.ParseKey(payload, field, keyprovider.Info{})
	if err != nil {
		return nil, err
	}
	return expiring(key.Reveal(), key.Info(), object["Expiration"], "Expiration", now)
}

// expiring makes a key that the issuer refuses from the given time on. A time
// that is absent or null is unknown.
func expiring(secret string, info keyprovider.Info, raw json.RawMessage, field string, now time.Time) (*keyprovider.Key, error) {
	if raw == nil || string(raw) == "null" {
		return keyprovider.NewKey(secret, info)
	}
	at, err := time.Parse(time.RFC3339, text(raw))
	if err != nil {
		// A key that ends at an unknown time would fail then, with nobody warned.
		return nil, invalid(fmt.Sprintf("the helper printed a field %q that is no RFC 3339 time", field))
	}
	left := at.Sub(now)
	if left <= 0 {
		return nil, &keyprovider.Error{Class: keyprovider.ErrUnavailable,
			Err: keyprovider.Reason("the helper printed a key that has expired already: check its cache, and the clock", keyprovider.ErrExpired)}
	}
	info.ExpiresAt, info.RefreshAfter = at, now.Round(0).Add(refreshIn(left))
	return keyprovider.NewKey(secret, info)
}

// minRefresh keeps a helper that prints the same key until its end from being
// run ever more often towards it.
const minRefresh = 30 * time.Second

// refreshIn is when to ask for another key: at two thirds of its time, a tenth
// earlier or later, so that replicas do not ask together.
func refreshIn(left time.Duration) time.Duration {
	at := time.Duration(float64(left) * (2.0 / 3) * (0.9 + 0.2*rand.Float64()))
	return max(at, min(minRefresh, left))
}

// text is the string that raw holds, "" if it holds none.
func text(raw json.RawMessage) (s string) {
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}
