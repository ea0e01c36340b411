package gcpclient

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/googleapis/gax-go/v2/apierror"
	"google.golang.org/api/googleapi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/keybearer/keybearer/keyprovider"
)

// Failure is what an error of a call means.
type Failure struct {
	Code codes.Code
	// Class is one of keyprovider's.
	Class error
	// Reason is fit to print: Google's name of the code and what to do. It
	// repeats nothing of what was sent or answered.
	Reason string
	// Again: the same call may succeed if it is made once more at once.
	Again bool
}

// LacksRole is the reason of a refusal of which nothing more particular is
// known. Who knows what was called can name the role.
const LacksRole = "PERMISSION_DENIED: the caller lacks a role on the resource; a new grant takes minutes to arrive"

// Classify tells what the error of a call means. err must not be nil.
func Classify(err error) Failure {
	switch {
	case errors.Is(err, ErrNoCredentials):
		return Failure{Code: codes.Unauthenticated, Class: keyprovider.ErrDenied, Reason: "no usable Google credentials: " +
			"attach a service account, set GOOGLE_APPLICATION_CREDENTIALS, or run gcloud auth application-default login"}
	case errors.Is(err, ErrClosed):
		return Failure{Code: codes.Canceled, Class: keyprovider.ErrUnavailable, Reason: "closed"}
	}
	code := codeOf(err)
	f := byCode(code)
	f.Code = code
	// What is wrong with an answer that came without an error is worth another
	// attempt, as any error is that Google's codes do not cover.
	switch {
	case errors.Is(err, ErrCorrupt):
		f.Reason = "the payload does not match its checksum (CRC32C)"
	case errors.Is(err, ErrNameless):
		f.Reason = "the answer does not say which version it is"
	}
	switch message := messageOf(err); {
	case code == codes.Unauthenticated && message == tokenRefused:
		f.Reason = "UNAUTHENTICATED: the issuer of access tokens refused the credentials: check the service account and its workload identity binding"
	case code == codes.Unavailable && message == tokenUnavailable:
		f.Reason = "UNAVAILABLE: no access token could be had: the metadata server or the token endpoint does not answer"
	}
	if code == codes.PermissionDenied {
		f.Reason = deniedReason(err)
	}
	return f
}

// Grant names the role that is missing, and on what, where nothing more
// particular is known of the refusal. f may be nil.
func (f *Failed) Grant(role string) {
	if f != nil && f.Code == codes.PermissionDenied && f.Reason == LacksRole {
		f.Reason = "PERMISSION_DENIED: grant " + role + "; a new grant takes minutes to arrive"
	}
}

func byCode(code codes.Code) Failure {
	switch code {
	case codes.NotFound:
		return Failure{Class: keyprovider.ErrNotFound, Reason: "NOT_FOUND: no such secret, or it has no such version yet"}
	case codes.FailedPrecondition:
		return Failure{Class: keyprovider.ErrNotFound, Reason: "FAILED_PRECONDITION: the version is disabled or destroyed"}
	case codes.PermissionDenied:
		return Failure{Class: keyprovider.ErrDenied}
	case codes.Unauthenticated:
		return Failure{Class: keyprovider.ErrDenied, Reason: "UNAUTHENTICATED: Google does not accept the credentials: check the service account, and this host's clock"}
	case codes.InvalidArgument, codes.OutOfRange:
		return Failure{Class: keyprovider.ErrInvalid, Reason: "INVALID_ARGUMENT: the service does not take this name here: " +
			"a regional secret needs its region's endpoint, a global one the global endpoint"}
	case codes.Unimplemented:
		return Failure{Class: keyprovider.ErrInvalid, Reason: "UNIMPLEMENTED: the endpoint does not serve this API"}
	case codes.AlreadyExists:
		return Failure{Class: keyprovider.ErrInvalid, Reason: "ALREADY_EXISTS: the name is taken"}
	case codes.ResourceExhausted:
		// A quota of a minute: more calls within it only make it worse.
		return Failure{Class: keyprovider.ErrUnavailable, Reason: "RESOURCE_EXHAUSTED: the project's quota is used up: poll less often or raise it"}
	case codes.DeadlineExceeded:
		return Failure{Class: keyprovider.ErrUnavailable, Reason: "DEADLINE_EXCEEDED: no answer in time", Again: true}
	case codes.Unavailable:
		return Failure{Class: keyprovider.ErrUnavailable, Reason: "UNAVAILABLE: the service cannot be reached or is overloaded", Again: true}
	case codes.Canceled:
		return Failure{Class: keyprovider.ErrUnavailable, Reason: "CANCELLED: the connection was closed", Again: true}
	case codes.Internal:
		return Failure{Class: keyprovider.ErrUnavailable, Reason: "INTERNAL: the service failed", Again: true}
	case codes.Aborted:
		return Failure{Class: keyprovider.ErrUnavailable, Reason: "ABORTED: the service gave the call up", Again: true}
	case codes.DataLoss:
		return Failure{Class: keyprovider.ErrUnavailable, Reason: "DATA_LOSS: the service failed", Again: true}
	}
	return Failure{Class: keyprovider.ErrUnavailable, Reason: "UNKNOWN: the call failed", Again: true}
}

// Named puts a provider's or a store's name on an error of keyprovider's, which
// cannot know it.
func Named(name string, err error) error {
	if e, ok := errors.AsType[*keyprovider.Error](err); ok && e.Provider == "" {
		return &keyprovider.Error{Provider: name, Class: e.Class, Err: e.Err}
	}
	return err
}

// deniedReason tells apart the refusals that need different hands.
func deniedReason(err error) string {
	reason := ""
	if e, ok := apierror.FromError(err); ok {
		reason = e.Reason()
	}
	switch reason {
	case "SERVICE_DISABLED":
		return "PERMISSION_DENIED: the API is not enabled in the project: enable it"
	case "SECURITY_POLICY_VIOLATED":
		return "PERMISSION_DENIED: a VPC Service Controls perimeter forbids the call"
	case "ACCESS_TOKEN_SCOPE_INSUFFICIENT":
		return "PERMISSION_DENIED: the access token lacks the cloud-platform scope"
	}
	return LacksRole
}

// codeOf is the gRPC code of an error, of one that came over REST as well.
func codeOf(err error) codes.Code {
	// First the HTTP error: it also gives a gRPC status, which is a guess.
	if e, ok := errors.AsType[*googleapi.Error](err); ok {
		return codeOfHTTP(e)
	}
	if s, ok := status.FromError(err); ok {
		return s.Code()
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return codes.DeadlineExceeded
	case errors.Is(err, context.Canceled):
		return codes.Canceled
	}
	return codes.Unknown
}

func messageOf(err error) string {
	s, _ := status.FromError(err)
	return s.Message()
}

// codeOfHTTP reads the code's name from the body, because one HTTP status
// stands for several codes.
func codeOfHTTP(e *googleapi.Error) codes.Code {
	var body struct {
		Error struct {
			Status string `json:"status"`
		} `json:"error"`
	}
	if json.Unmarshal([]byte(e.Body), &body) == nil {
		var code codes.Code
		if name, err := json.Marshal(body.Error.Status); err == nil && code.UnmarshalJSON(name) == nil && code != codes.OK {
			return code
		}
	}
	switch {
	case e.Code == http.StatusUnauthorized:
		return codes.Unauthenticated
	case e.Code == http.StatusForbidden:
		return codes.PermissionDenied
	case e.Code == http.StatusNotFound:
		return codes.NotFound
	case e.Code == http.StatusTooManyRequests:
		return codes.ResourceExhausted
	case e.Code == http.StatusBadRequest:
		return codes.InvalidArgument
	case e.Code >= 500:
		return codes.Unavailable
	}
	return codes.Unknown
}
