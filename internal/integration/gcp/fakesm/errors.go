package fakesm

import (
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// missing is NOT_FOUND with the details that the real service adds.
func missing(format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	st := status.New(codes.NotFound, text)
	with, err := st.WithDetails(&errdetails.DebugInfo{Detail: fmt.Sprintf(
		"[ORIGINAL ERROR] generic::not_found: %s [google.rpc.error_details_ext] { message: %q }", text, text)})
	if err != nil {
		return st.Err()
	}
	return with.Err()
}

func denied(permission, name string) error {
	return status.Errorf(codes.PermissionDenied, "Permission '%s' denied for resource '%s' (or it may not exist).", permission, name)
}

func malformed(name string) error {
	return status.Errorf(codes.InvalidArgument, "Resource name [%s] does not match the expected format.", name)
}

func invalid(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}

func precondition(format string, args ...any) error {
	return status.Errorf(codes.FailedPrecondition, format, args...)
}

// checkEtag refuses a stale etag; none is always right.
func checkEtag(given, current string) error {
	if given != "" && given != current {
		return precondition("The etag provided in the request does not match the resource's current etag %s.", current)
	}
	return nil
}
