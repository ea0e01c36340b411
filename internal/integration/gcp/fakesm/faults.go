package fakesm

import (
	"context"
	"path"
	"slices"
	"time"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Fault is asked before each call, by the method's short name and the request.
// An error is the call's answer; a Fault may also take its time, within ctx.
type Fault func(ctx context.Context, method string, req any) error

type faults struct {
	fault   Fault
	lost    Fault
	limit   int
	damaged int
	denied  map[string]string // method -> permission
}

// SetFault puts a fault in place of the one before; nil ends it.
func (s *Server) SetFault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.fault = f
}

// SetLoss puts in place what is asked after each call that has taken effect: an
// error is the call's answer all the same, as when the connection dies before
// the true one has come. nil ends it. It must not call the Server.
func (s *Server) SetLoss(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.lost = f
}

// Limit makes each global secret take n calls of AddSecretVersion and
// UpdateSecret a second (the service's soft limit is 2), and refuse more. 0 ends
// it.
func (s *Server) Limit(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.limit = n
}

// quota counts a write of a secret, or refuses it.
func (s *Server) quota(of *secret) error {
	now := s.opts.Now()
	of.written = slices.DeleteFunc(of.written, func(t time.Time) bool { return now.Sub(t) >= time.Second })
	if s.faults.limit > 0 && len(of.written) >= s.faults.limit {
		return status.Errorf(codes.ResourceExhausted, "Quota exceeded for writes of the secret [%s].", of.pb.Name)
	}
	of.written = append(of.written, now)
	return nil
}

// Damage makes the next n payloads come with a byte that is not what was
// stored.
func (s *Server) Damage(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.damaged = n
}

// Deny takes the permission for a method ("AccessSecretVersion") away from
// every caller, Allow gives it back.
func (s *Server) Deny(method, permission string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faults.denied == nil {
		s.faults.denied = map[string]string{}
	}
	s.faults.denied[method] = permission
}

// Allow ends a Deny.
func (s *Server) Allow(method string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.faults.denied, method)
}

// Lag makes reads of a secret by latest and by alias answer as of now until
// CatchUp, as the service may for hours. Reads by number do not lag.
func (s *Server) Lag(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.existing(name, "")
	if err == nil {
		v := found.view()
		found.lagging = &v
	}
	return err
}

// LagMetadata makes GetSecret answer as of now until CatchUp, as the service
// may for hours. Updates go by the truth.
func (s *Server) LagMetadata(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.existing(name, "")
	if err == nil {
		found.stale = proto.CloneOf(found.pb)
	}
	return err
}

// CatchUp ends a Lag and a LagMetadata.
func (s *Server) CatchUp(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.existing(name, "")
	if err == nil {
		found.lagging, found.stale = nil, nil
	}
	return err
}

func (f *faults) damage(p *secretmanagerpb.SecretPayload) {
	if f.damaged > 0 && len(p.Data) > 0 {
		f.damaged--
		p.Data[len(p.Data)/2] ^= 1
	}
}

// named is what the requests have that name one resource.
type named interface{ GetName() string }

// intercept counts a call, lets the faults have it, and serves it alone.
func (s *Server) intercept(ctx context.Context, req any, info *grpc.UnaryServerInfo, serve grpc.UnaryHandler) (any, error) {
	method := path.Base(info.FullMethod)
	s.mu.Lock()
	s.calls[method]++
	fault := s.faults.fault
	permission, isDenied := s.faults.denied[method]
	s.mu.Unlock()
	if fault != nil {
		if err := fault(ctx, method, req); err != nil {
			return nil, err
		}
	}
	if isDenied {
		name := ""
		if n, ok := req.(named); ok {
			name = n.GetName()
		}
		return nil, denied(permission, name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return nil, status.FromContextError(ctx.Err()).Err() // nobody waits for the answer
	}
	s.settle(s.opts.Now())
	resp, err := serve(ctx, req)
	if err == nil && s.faults.lost != nil {
		err = s.faults.lost(ctx, method, req)
	}
	if err != nil {
		return nil, err
	}
	return resp, nil
}
