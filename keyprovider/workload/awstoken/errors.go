package awstoken

import (
	"errors"

	"github.com/aws/smithy-go"

	"github.com/keybearer/keybearer/internal/awsclient"
	"github.com/keybearer/keybearer/keyprovider"
)

// own are the error codes of this operation, which no other has.
var own = map[string]string{
	"OutboundWebIdentityFederationDisabledException": "enable outbound identity federation for the account (iam:EnableOutboundWebIdentityFederation)",
	"SessionDurationEscalationException":             "the token would outlive the credentials: choose a shorter Lifetime",
	"JWTPayloadSizeExceededException":                "the role's tags make the token too large",
}

// classified is the error of a failed call, in the terms of the other uses of
// AWS.
func classified(err error) error {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		if text, ok := own[api.ErrorCode()]; ok {
			return &keyprovider.Error{Class: keyprovider.ErrDenied, Err: keyprovider.Reason(api.ErrorCode()+": "+text, err)}
		}
	}
	return awsclient.Error("", permission, err)
}
