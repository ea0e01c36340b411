package gcpclient

import (
	"errors"
	"hash/crc32"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
)

// What is wrong with an answer that came without an error.
var (
	ErrCorrupt  = errors.New("gcpclient: the payload does not match its checksum")
	ErrNameless = errors.New("gcpclient: the answer names no version")
)

// Value is what a version holds.
type Value struct {
	Data   []byte
	Secret Secret // as the service names it: by its project's number
	Number int64  // of the version
}

// Read takes from an answer what it is good for. The error is ErrCorrupt or
// ErrNameless.
func Read(resp *secretmanagerpb.AccessSecretVersionResponse) (Value, error) {
	secret, version, ok := ParseVersion(resp.GetName())
	number := Number(version)
	if !ok || number == 0 || resp.GetPayload() == nil {
		return Value{}, ErrNameless
	}
	if !Intact(resp.Payload) {
		return Value{}, ErrCorrupt
	}
	return Value{Data: resp.Payload.Data, Secret: secret, Number: number}, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum is the CRC32C of a payload, in the form of the API's messages.
func Checksum(data []byte) int64 { return int64(crc32.Checksum(data, castagnoli)) }

// Intact reports whether a payload is what its sender stored. The service
// sends a checksum with every payload; one without, as an emulator may send
// it, cannot be verified and passes.
func Intact(p *secretmanagerpb.SecretPayload) bool {
	return p.DataCrc32C == nil || *p.DataCrc32C == Checksum(p.Data)
}
