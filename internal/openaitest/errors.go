package openaitest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// APIError is an error as OpenAI answers it.
type APIError struct {
	Name    string // of the row in Table: the code, or what tells apart rows without one
	Status  int
	Message string // "{key}" stands for the masked key of the request
	Type    string
	Param   string // "" is null
	Code    string // "" is null
	Header  http.Header
	Bare    bool // "error" is the message itself, as some answers of the Admin API have it
}

// Table returns every error that a client of OpenAI has to tell apart, by the
// names below.
//
// invalid_api_key is the only one that says the key is dead.
func Table() []APIError {
	return []APIError{
		InvalidAPIKey(), MissingAPIKey(),
		IPNotAuthorized(), MismatchedOrganization(), NoOrganization(), AccountDeactivated(),
		MissingScopes(http.StatusUnauthorized, ScopeModelRequest), MissingScopes(http.StatusForbidden, ScopeModelRequest),
		UnsupportedCountry(),
		RateLimitExceeded(20 * time.Second), SlowDown(),
		InsufficientQuota("insufficient_quota"), InsufficientQuota("credit_balance_exhausted"),
		InsufficientQuota("organization_spend_limit_exceeded"), InsufficientQuota("project_spend_limit_exceeded"),
		InsufficientQuota("organization_usage_limit_exceeded"),
		ServerError(), ServerOverloaded(),
	}
}

const (
	typeInvalidRequest = "invalid_request_error"
	helpCenter         = "contact us through our help center at help.openai.com"
)

func invalidRequest(status int, code, message string) APIError {
	return APIError{Name: code, Status: status, Code: code, Type: typeInvalidRequest, Message: message}
}

// InvalidAPIKey is 401 invalid_api_key: a wrong, deleted or deactivated key.
// Its message shows the masked key. An expired key gets the same: OpenAI does
// not document another code for it.
func InvalidAPIKey() APIError {
	return invalidRequest(http.StatusUnauthorized, "invalid_api_key",
		"Incorrect API key provided: {key}. You can find your API key at https://platform.openai.com/account/api-keys.")
}

// MissingAPIKey is the 401 without a code for a request that bears no key.
func MissingAPIKey() APIError {
	return APIError{Name: "missing_api_key", Status: http.StatusUnauthorized, Type: typeInvalidRequest,
		Message: "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth " +
			"(i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the API from your browser " +
			"and are prompted for a username and password. You can obtain an API key from https://platform.openai.com/account/api-keys."}
}

// IPNotAuthorized is 401 ip_not_authorized; the words are ours.
func IPNotAuthorized() APIError {
	return invalidRequest(http.StatusUnauthorized, "ip_not_authorized",
		"Your request IP does not match the configured IP allowlist.")
}

// MismatchedOrganization is 401 mismatched_organization.
func MismatchedOrganization() APIError {
	return invalidRequest(http.StatusUnauthorized, "mismatched_organization",
		"OpenAI-Organization header should match organization for API key")
}

// NoOrganization is 401 no_organization; the words are those of OpenAI's list
// of error codes.
func NoOrganization() APIError {
	return invalidRequest(http.StatusUnauthorized, "no_organization",
		"You must be a member of an organization to use the API.")
}

// AccountDeactivated is 401 account_deactivated.
func AccountDeactivated() APIError {
	return invalidRequest(http.StatusUnauthorized, "account_deactivated",
		"The OpenAI account associated with this API key has been deactivated. If you are the developer for this OpenAI app, "+
			"please check your email for more information. If you are seeing this error while using another app or site, "+
			"please reach out to them for more help.")
}

// MissingScopes is what a living key gets whose scopes do not suffice: 401 in
// older reports, 403 in newer ones, and no code. It is named
// missing_scopes_<status>.
func MissingScopes(status int, scopes ...string) APIError {
	list := strings.ReplaceAll(strings.Join(scopes, ", "), ScopeModelRequest, "model.request") // reports show this one without its prefix
	return APIError{Name: "missing_scopes_" + strconv.Itoa(status), Status: status, Type: typeInvalidRequest,
		Message: "You have insufficient permissions for this operation. Missing scopes: " + list + ". Check that you have the correct role " +
			"in your organization (Reader, Writer, Owner) and project (Member, Owner), and if you're using a restricted API key, " +
			"that it has the necessary scopes."}
}

// MissingAdminScopes is what the Admin API answers to the key of a project and
// to an admin key without the permission: 403, and no code.
func MissingAdminScopes(scopes ...string) APIError {
	return APIError{Name: "missing_admin_scopes", Status: http.StatusForbidden, Type: typeInvalidRequest,
		Message: "You have insufficient permissions for this operation. Missing scopes: " + strings.Join(scopes, ", ") + ". Check that you have " +
			"the correct role in your organization, and if you're using a restricted API key, that it has the necessary scopes."}
}

// UnsupportedCountry is 403 unsupported_country_region_territory.
func UnsupportedCountry() APIError {
	const code = "unsupported_country_region_territory"
	return APIError{Name: code, Status: http.StatusForbidden, Code: code, Type: "request_forbidden",
		Message: "Country, region, or territory not supported"}
}

// RateLimitExceeded is 429 rate_limit_exceeded, with Retry-After in seconds
// and Retry-After-Ms.
func RateLimitExceeded(retryAfter time.Duration) APIError {
	const code = "rate_limit_exceeded"
	e := APIError{Name: code, Status: http.StatusTooManyRequests, Code: code, Type: "requests",
		Message: fmt.Sprintf("Rate limit reached for gpt-4o-mini in organization org-keybearer on requests per min (RPM): Limit 500, Used 500, "+
			"Requested 1. Please try again in %s. Visit https://platform.openai.com/account/rate-limits to learn more.", retryAfter)}
	e.Header = http.Header{}
	e.Header.Set("Retry-After", strconv.Itoa(int((retryAfter+time.Second-1)/time.Second)))
	e.Header.Set("Retry-After-Ms", strconv.FormatInt(retryAfter.Milliseconds(), 10))
	return e
}

// SlowDown is 429 slow_down; type and words are ours.
func SlowDown() APIError {
	return APIError{Name: "slow_down", Status: http.StatusTooManyRequests, Code: "slow_down", Type: "requests",
		Message: "Your request rate increased too quickly. Please reduce it to its earlier level, hold it for at least 15 minutes, and then increase it gradually."}
}

// InsufficientQuota is 429 with the type insufficient_quota and this code:
// insufficient_quota, credit_balance_exhausted, organization_spend_limit_exceeded,
// project_spend_limit_exceeded or organization_usage_limit_exceeded. The words are
// those of the first.
func InsufficientQuota(code string) APIError {
	return APIError{Name: code, Status: http.StatusTooManyRequests, Code: code, Type: "insufficient_quota",
		Message: "You exceeded your current quota, please check your plan and billing details. For more information on this error, " +
			"read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."}
}

// ServerError is 500 server_error, without a code.
func ServerError() APIError {
	return APIError{Name: "server_error", Status: http.StatusInternalServerError, Type: "server_error",
		Message: "The server had an error while processing your request. Sorry about that! You can retry your request, or " +
			helpCenter + " if the error persists."}
}

// ServerOverloaded is 503 server_is_overloaded.
func ServerOverloaded() APIError {
	const code = "server_is_overloaded"
	return APIError{Name: code, Status: http.StatusServiceUnavailable, Code: code, Type: "service_unavailable_error",
		Message: "Our servers are currently overloaded. Please try again later."}
}

func unknownURL(r *http.Request) APIError {
	return invalidRequest(http.StatusNotFound, "", fmt.Sprintf("Invalid URL (%s %s)", r.Method, r.URL.Path))
}

func methodNotAllowed(r *http.Request, allow []string) APIError {
	e := invalidRequest(http.StatusMethodNotAllowed, "method_not_supported",
		fmt.Sprintf("Not allowed to %s on %s (HINT: Perhaps you meant to use a different HTTP method?)", r.Method, r.URL.Path))
	e.Header = http.Header{"Allow": {strings.Join(allow, ", ")}}
	return e
}

func modelNotFound(model string) APIError {
	return invalidRequest(http.StatusNotFound, "model_not_found",
		fmt.Sprintf("The model `%s` does not exist or you do not have access to it.", model))
}

func missingModel() APIError {
	return invalidRequest(http.StatusBadRequest, "", "you must provide a model parameter")
}

func missingParameter(param string) APIError {
	e := invalidRequest(http.StatusBadRequest, "missing_required_parameter", fmt.Sprintf("Missing required parameter: '%s'.", param))
	e.Param = param
	return e
}

func invalidParameter(param, code, why string) APIError {
	e := invalidRequest(http.StatusBadRequest, code, fmt.Sprintf("Invalid '%s': %s", param, why))
	e.Param = param
	return e
}

func malformedBody() APIError {
	return invalidRequest(http.StatusBadRequest, "", "We could not parse the JSON body of your request. (HINT: This likely means you aren't "+
		"using your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON. If you have trouble "+
		"figuring out how to fix this, please "+helpCenter+".)")
}

func unknownParameter(param string) APIError {
	e := invalidRequest(http.StatusBadRequest, "unknown_parameter", fmt.Sprintf("Unknown parameter: '%s'.", param))
	e.Param = param
	return e
}

// noSuch is the Admin API's 404 for an id; code and words are ours.
func noSuch(what, id string) APIError {
	return invalidRequest(http.StatusNotFound, "not_found", fmt.Sprintf("No such %s: '%s'.", what, id))
}

// keyOfAccount is the documented 400 by which deployments before October 2026
// refused to delete a key of a service account; the words are ours.
func keyOfAccount() APIError {
	return invalidRequest(http.StatusBadRequest, "", "API keys that belong to a service account cannot be deleted. Delete the service account instead.")
}

func bodyTooLarge() APIError {
	return invalidRequest(http.StatusRequestEntityTooLarge, "", "The request body is too large.")
}

// body renders the error for a request that bore this secret.
func (e APIError) body(secret string) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "    ")
	_ = enc.Encode(e.payload(secret)) // strings and nulls: cannot fail
	return buf.Bytes()
}

func (e APIError) payload(secret string) any {
	type fields struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	}
	message := strings.ReplaceAll(e.Message, "{key}", mask(secret))
	if e.Bare {
		return map[string]string{"error": message}
	}
	return struct {
		Error fields `json:"error"`
	}{fields{message, e.Type, orNull(e.Param), orNull(e.Code)}}
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
