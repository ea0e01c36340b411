package fakesm

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	sm "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// StartREST listens on addr for the REST form of the API, without TLS, until
// stop is called, which closes every connection at once. It returns the base
// URL for a client of secretmanager.NewRESTClient.
func (s *Server) StartREST(addr string) (base string, stop func(), err error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: http.HandlerFunc(s.serveREST)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	return "http://" + listener.Addr().String(), func() { _ = server.Close(); <-done }, nil
}

func (s *Server) serveREST(w http.ResponseWriter, r *http.Request) {
	resp, err := s.restCall(r)
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	if err != nil {
		writeRESTError(w, err)
		return
	}
	body, err := protojson.Marshal(resp)
	if err != nil {
		writeRESTError(w, err)
		return
	}
	_, _ = w.Write(body)
}

// restCall finds the method of a request and calls it, by way of what all calls
// go through.
func (s *Server) restCall(r *http.Request) (proto.Message, error) {
	path, ok := strings.CutPrefix(r.URL.Path, "/v1/")
	if !ok {
		return nil, status.Error(codes.NotFound, "no such method")
	}
	name, verb, _ := strings.Cut(path, ":")
	isVersion := strings.Contains(name, "/versions/")
	query := r.URL.Query()
	switch r.Method + " " + verb {
	case "POST ":
		req := &sm.CreateSecretRequest{Parent: strings.TrimSuffix(name, "/secrets"), SecretId: query.Get("secretId"), Secret: &sm.Secret{}}
		return restServe(s, r, "CreateSecret", req, req.Secret, s.CreateSecret)
	case "POST addVersion":
		req := &sm.AddSecretVersionRequest{}
		return restServe(s, r, "AddSecretVersion", req, req, s.AddSecretVersion)
	case "PATCH ":
		req := &sm.UpdateSecretRequest{Secret: &sm.Secret{}, UpdateMask: &fieldmaskpb.FieldMask{}}
		if err := protojson.Unmarshal([]byte(strconv.Quote(query.Get("updateMask"))), req.UpdateMask); err != nil {
			return nil, invalid("Invalid update mask.")
		}
		return restServe(s, r, "UpdateSecret", req, req.Secret, s.UpdateSecret)
	case "DELETE ":
		return restServe(s, r, "DeleteSecret", &sm.DeleteSecretRequest{Name: name, Etag: query.Get("etag")}, nil, s.DeleteSecret)
	case "POST enable":
		req := &sm.EnableSecretVersionRequest{}
		return restServe(s, r, "EnableSecretVersion", req, req, s.EnableSecretVersion)
	case "POST disable":
		req := &sm.DisableSecretVersionRequest{}
		return restServe(s, r, "DisableSecretVersion", req, req, s.DisableSecretVersion)
	case "POST destroy":
		req := &sm.DestroySecretVersionRequest{}
		return restServe(s, r, "DestroySecretVersion", req, req, s.DestroySecretVersion)
	case "GET access":
		return restServe(s, r, "AccessSecretVersion", &sm.AccessSecretVersionRequest{Name: name}, nil, s.AccessSecretVersion)
	case "GET ":
		if isVersion {
			return restServe(s, r, "GetSecretVersion", &sm.GetSecretVersionRequest{Name: name}, nil, s.GetSecretVersion)
		}
		return restServe(s, r, "GetSecret", &sm.GetSecretRequest{Name: name}, nil, s.GetSecret)
	}
	return nil, status.Error(codes.Unimplemented, "fakesm: lists are served by gRPC alone")
}

// restServe reads the body into a part of the request, and serves it. The
// client repeats a name of the path in the body, where there is one.
func restServe[Req, Resp proto.Message](s *Server, r *http.Request, method string, req Req, body proto.Message, serve func(context.Context, Req) (Resp, error)) (proto.Message, error) {
	if body != nil {
		data, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, 1<<20))
		if err != nil {
			return nil, status.Error(codes.Internal, "the body cannot be read")
		}
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(data, body); err != nil {
			return nil, invalid("Invalid JSON payload received.")
		}
	}
	resp, err := s.intercept(r.Context(), req, &grpc.UnaryServerInfo{FullMethod: "/google.cloud.secretmanager.v1.SecretManagerService/" + method},
		func(ctx context.Context, _ any) (any, error) { return serve(ctx, req) })
	if err != nil {
		return nil, err
	}
	return resp.(proto.Message), nil
}

// httpStatus is what Google's services answer for a code.
var httpStatus = map[codes.Code]int{
	codes.Canceled: 499, codes.Unknown: 500, codes.InvalidArgument: 400, codes.DeadlineExceeded: 504, codes.NotFound: 404,
	codes.AlreadyExists: 409, codes.PermissionDenied: 403, codes.ResourceExhausted: 429, codes.FailedPrecondition: 400,
	codes.Aborted: 409, codes.OutOfRange: 400, codes.Unimplemented: 501, codes.Internal: 500, codes.Unavailable: 503,
	codes.DataLoss: 500, codes.Unauthenticated: 401,
}

// codeNames are the codes as JSON has them.
var codeNames = map[codes.Code]string{
	codes.Canceled: "CANCELLED", codes.Unknown: "UNKNOWN", codes.InvalidArgument: "INVALID_ARGUMENT", codes.DeadlineExceeded: "DEADLINE_EXCEEDED",
	codes.NotFound: "NOT_FOUND", codes.AlreadyExists: "ALREADY_EXISTS", codes.PermissionDenied: "PERMISSION_DENIED",
	codes.ResourceExhausted: "RESOURCE_EXHAUSTED", codes.FailedPrecondition: "FAILED_PRECONDITION", codes.Aborted: "ABORTED",
	codes.OutOfRange: "OUT_OF_RANGE", codes.Unimplemented: "UNIMPLEMENTED", codes.Internal: "INTERNAL", codes.Unavailable: "UNAVAILABLE",
	codes.DataLoss: "DATA_LOSS", codes.Unauthenticated: "UNAUTHENTICATED",
}

func writeRESTError(w http.ResponseWriter, err error) {
	st := status.Convert(err)
	body, err := json.Marshal(map[string]any{"error": map[string]any{
		"code": httpStatus[st.Code()], "message": st.Message(), "status": codeNames[st.Code()]}})
	if err != nil {
		body = nil
	}
	w.WriteHeader(httpStatus[st.Code()])
	_, _ = w.Write(body)
}
