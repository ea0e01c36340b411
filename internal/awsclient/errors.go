package awsclient

import (
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/keybearer/keybearer/keyprovider"
)

// Error makes the keyprovider.Error of a failed [Call]. permission is the IAM
// action that the operation needs. The SDK's error is wrapped, not printed: its
// text quotes what the service sent.
func Error(provider, permission string, err error) error {
	text, class := classify(permission, err)
	if text != "" {
		err = keyprovider.Reason(text, err)
	}
	return &keyprovider.Error{Provider: provider, Class: class, Err: err}
}

// AccessDenied reports whether err says that the caller lacks a permission,
// which is less than being denied: its credentials are good.
func AccessDenied(err error) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	return ok && codes[api.ErrorCode()] == forbidden
}

type kind int

const (
	unknown kind = iota
	forbidden
	badIdentity
	expired
	skewed
	missing
	noQueue
	conflict
	malformed
	undecryptable
	throttled
	quota
	broken
)

// codes are the error codes of Secrets Manager, SQS, STS and the services'
// common errors. The error is known by its code and not by its Go type,
// because the SDK has no type for the common ones.
var codes = map[string]kind{
	"AccessDeniedException": forbidden, "AccessDenied": forbidden, "UnauthorizedOperation": forbidden,
	"NotAuthorized": forbidden, "KmsAccessDenied": forbidden, "KMSAccessDeniedException": forbidden,

	"UnrecognizedClientException": badIdentity, "InvalidClientTokenId": badIdentity, "InvalidAccessKeyId": badIdentity,
	"SignatureDoesNotMatch": badIdentity, "IncompleteSignature": badIdentity, "IncompleteSignatureException": badIdentity,
	"InvalidIdentityToken": badIdentity, "IDPRejectedClaim": badIdentity, "InvalidSecurity": badIdentity,
	"MissingAuthenticationToken": badIdentity, "MissingAuthenticationTokenException": badIdentity,
	"OptInRequired": badIdentity, "AuthFailure": badIdentity, "UnauthorizedException": badIdentity,

	"ExpiredToken": expired, "ExpiredTokenException": expired, "TokenRefreshRequired": expired,

	"RequestExpired": skewed, "RequestTimeTooSkewed": skewed, "RequestInTheFuture": skewed,
	"InvalidSignatureException": skewed, "InvalidSignature": skewed,

	"ResourceNotFoundException":               missing,
	"AWS.SimpleQueueService.NonExistentQueue": noQueue, "QueueDoesNotExist": noQueue,

	"InvalidRequestException":   conflict,
	"InvalidParameterException": malformed, "ValidationException": malformed, "ValidationError": malformed,
	"SerializationException": malformed, "InvalidAddress": malformed, "InvalidParameterValue": malformed,

	"DecryptionFailure": undecryptable, "EncryptionFailure": undecryptable, "KmsDisabled": undecryptable,
	"KmsInvalidState": undecryptable, "KmsNotFound": undecryptable, "KMSInvalidStateException": undecryptable,

	"Throttling": throttled, "ThrottlingException": throttled, "ThrottledException": throttled,
	"RequestThrottled": throttled, "RequestThrottledException": throttled, "TooManyRequestsException": throttled,
	"RequestLimitExceeded": throttled, "SlowDown": throttled, "KmsThrottled": throttled, "OverLimit": throttled,
	"PriorRequestNotComplete": throttled,

	// The number of versions, not of requests: the SDK retries it as if it
	// were throttling, but waiting does not help.
	"LimitExceededException": quota,

	"InternalServiceError": broken, "InternalServiceErrorException": broken, "InternalFailure": broken,
	"InternalError": broken, "ServiceUnavailable": broken, "ServiceUnavailableException": broken,
	"RequestTimeout": broken, "RequestTimeoutException": broken, "IDPCommunicationError": broken,
}

// classify returns what to print of a failed operation, where "" leaves the
// choice to keyprovider.Error, and the class.
func classify(permission string, err error) (text string, class error) {
	prefix := ""
	if failed, ok := errors.AsType[*credentialsError](err); ok {
		if _, api := errors.AsType[smithy.APIError](err); !api {
			return classifyCredentials(failed)
		}
		// STS answered, or another service that gives credentials.
		prefix, permission = "no AWS credentials: ", "its role (sts:AssumeRole and the role's trust policy)"
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		if k := codes[api.ErrorCode()]; k != unknown {
			text, class = explain(k, permission, api)
			return prefix + api.ErrorCode() + ": " + text, class
		}
	}
	if ours, ok := errors.AsType[*timeoutError](err); ok {
		return ours.Error(), keyprovider.ErrUnavailable
	}
	return classifyTransport(err)
}

// noCode is the SDK's code for an answer that has none.
const noCode = "UnknownError"

// explain says what an error of this kind means and what to do about it.
func explain(k kind, permission string, api smithy.APIError) (text string, class error) {
	switch k {
	case forbidden:
		if strings.Contains(strings.ToLower(api.ErrorMessage()), "kms") {
			return "grant kms:Decrypt on the KMS key of the secret", keyprovider.ErrDenied
		}
		return "grant " + permission, keyprovider.ErrDenied
	case badIdentity:
		return "AWS does not accept the credentials: check which ones the SDK finds", keyprovider.ErrDenied
	case expired:
		return "the AWS credentials have expired and no new ones were found", keyprovider.ErrDenied
	case skewed:
		return "AWS does not accept the signature: check this machine's clock and the secret access key", keyprovider.ErrDenied
	case missing:
		return "no such secret in this region and account, or no such version of it", keyprovider.ErrNotFound
	case noQueue:
		return "no such queue", keyprovider.ErrNotFound
	case conflict:
		// Only the text tells this case from others. It decides the class and
		// is not printed.
		if m := api.ErrorMessage(); strings.Contains(m, "deletion") || strings.Contains(m, "deleted") {
			return "the secret is marked for deletion: restore it (secretsmanager:RestoreSecret), or name another", keyprovider.ErrNotFound
		}
		return "the secret's state does not allow this operation", keyprovider.ErrInvalid
	case malformed:
		return "AWS does not accept a parameter: check the secret's name, stage and version", keyprovider.ErrInvalid
	case undecryptable:
		return "KMS cannot use the key of the secret: check that it is enabled", keyprovider.ErrUnavailable
	case throttled:
		return "the account's or the service's request rate is used up", keyprovider.ErrUnavailable
	case quota:
		return "a quota of Secrets Manager is used up, such as that of versions", keyprovider.ErrDenied
	default:
		return "the service failed", keyprovider.ErrUnavailable
	}
}

// classifyCredentials is for failures before any service answered. A source
// of credentials that does not answer may do so later; one that is not there
// must be set up.
func classifyCredentials(err error) (text string, class error) {
	if isNetwork(err) {
		return "no AWS credentials: their source (instance metadata, container or token service) does not answer; outside AWS set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", keyprovider.ErrUnavailable
	}
	return "no AWS credentials: give the workload a role, or set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", keyprovider.ErrDenied
}

// classifyTransport is for what is no known error of a service.
func classifyTransport(err error) (text string, class error) {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "the endpoint's host name cannot be resolved: check the region and the network", keyprovider.ErrUnavailable
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "the endpoint's certificate is not trusted: set AWS_CA_BUNDLE if a proxy stands between", keyprovider.ErrUnavailable
	}
	_, broken := errors.AsType[*net.OpError](err)
	status := statusOf(err)
	if status == 0 || broken || errors.Is(err, io.ErrUnexpectedEOF) {
		return "", keyprovider.ErrUnavailable // keyprovider.Error prints the system's error
	}
	class = keyprovider.ErrUnavailable
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		class = keyprovider.ErrDenied
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() != noCode {
		return "", class // keyprovider.Error prints the code
	}
	return "HTTP " + strconv.Itoa(status) + " without an answer of AWS: check the endpoint and what stands before it", class
}

// isNetwork reports whether err is one of reaching something.
func isNetwork(err error) bool {
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	if _, ok := errors.AsType[*smithy.CanceledError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*timeoutError](err); ok {
		return true
	}
	if status := statusOf(err); status != 0 {
		return status >= http.StatusInternalServerError
	}
	_, ok := errors.AsType[*smithyhttp.RequestSendError](err)
	return ok
}

// statusOf returns the HTTP status of the answer that err is about, 0 if there
// was no answer.
func statusOf(err error) int {
	response, ok := errors.AsType[*smithyhttp.ResponseError](err)
	if !ok || response.Response == nil || response.Response.Response == nil {
		return 0
	}
	return response.HTTPStatusCode()
}
