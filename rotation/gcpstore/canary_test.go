package gcpstore

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// quoting is a service that refuses what it is sent by repeating it, as a proxy
// or a validator may.
type quoting struct{ *service }

func (q quoting) AddSecretVersion(_ context.Context, req *secretmanagerpb.AddSecretVersionRequest, _ ...gax.CallOption) (*secretmanagerpb.SecretVersion, error) {
	return nil, status.Errorf(codes.InvalidArgument, "bad payload: %s", req.Payload.Data)
}

// Whatever Google's client says of a call, no error shows what was sent.
func TestErrorsQuoteNothing(t *testing.T) {
	each(t, func(w *world, alias string) {
		s, err := New(w.Context(), mainName, &Options{Client: quoting{w.service}, Alias: alias})
		if err != nil {
			w.Fatal(err)
		}
		k := w.key()
		for what, err := range map[string]error{"Stage": s.Stage(w.Context(), k), "Promote": s.Promote(w.Context(), k, "")} {
			if keyprovider.Class(err) != keyprovider.ErrInvalid {
				w.Errorf("%s: %v", what, err)
			}
			if out := printed(err); keyprovidertest.Leaks(out, k.Reveal()) {
				w.Errorf("%s shows the key: %s", what, out)
			}
		}
		// A conflict has a cause too, where the other's value cannot be put back.
		conflict := s.conflict("x", status.Error(codes.Internal, k.Reveal()))
		if out := printed(conflict); keyprovidertest.Leaks(out, k.Reveal()) {
			w.Errorf("a conflict shows the key: %s", out)
		}
		if out := printed(s); keyprovidertest.Leaks(out, k.Reveal()) {
			w.Error("the store shows the key")
		}
	})
}

// printed is a value in every form that somebody might log.
func printed(v any) string {
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		fmt.Fprintf(&out, verb+"\n", v)
	}
	text, _ := json.Marshal(v)
	out.Write(text)
	slog.New(slog.NewTextHandler(&out, nil)).Error("x", "v", v)
	slog.New(slog.NewJSONHandler(&out, nil)).Error("x", "v", v)
	return out.String()
}
