package gcpclient

import (
	"errors"
	"testing"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"

	"github.com/keybearer/keybearer/keyprovider"
)

func TestRead(t *testing.T) {
	const name = "projects/1/secrets/s/versions/7"
	sum := Checksum([]byte("value"))
	wrong := sum + 1
	whole := &secretmanagerpb.SecretPayload{Data: []byte("value"), DataCrc32C: &sum}
	for _, tt := range []struct {
		what    string
		name    string
		payload *secretmanagerpb.SecretPayload
		want    error
	}{
		{"whole", name, whole, nil},
		{"corrupt", name, &secretmanagerpb.SecretPayload{Data: []byte("value"), DataCrc32C: &wrong}, ErrCorrupt},
		{"no payload", name, nil, ErrNameless},
		{"no name", "", whole, ErrNameless},
		{"no version", "projects/1/secrets/s", whole, ErrNameless},
		{"an alias", "projects/1/secrets/s/versions/latest", whole, ErrNameless},
	} {
		v, err := Read(&secretmanagerpb.AccessSecretVersionResponse{Name: tt.name, Payload: tt.payload})
		if !errors.Is(err, tt.want) || (err == nil) != (v.Number == 7 && string(v.Data) == "value" && v.Secret == Secret{Project: "1", ID: "s"}) {
			t.Errorf("%s: %+v, %v; want %v", tt.what, v, err, tt.want)
		}
		if err == nil {
			continue
		}
		if f := Classify(err); f.Code != codes.Unknown || f.Class != keyprovider.ErrUnavailable || !f.Again {
			t.Errorf("%s: %+v is not worth another attempt", tt.what, f)
		}
	}
}

func TestIntact(t *testing.T) {
	data := []byte("123456789")
	sum := int64(0xe3069283) // the check value of CRC-32C's definition
	if got := Checksum(data); got != sum {
		t.Errorf("Checksum = %#x, want %#x", got, sum)
	}
	wrong := sum + 1
	for _, tt := range []struct {
		sum  *int64
		want bool
	}{{&sum, true}, {&wrong, false}, {nil, true}} {
		if got := Intact(&secretmanagerpb.SecretPayload{Data: data, DataCrc32C: tt.sum}); got != tt.want {
			t.Errorf("Intact with checksum %v = %t", tt.sum, got)
		}
	}
}
