package gcpclient

import (
	"hash/crc32"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum is the CRC32C of a payload, in the form of the API's messages.
func Checksum(data []byte) int64 { return int64(crc32.Checksum(data, castagnoli)) }

// Intact reports whether a payload is what its sender stored. The service
// sends a checksum with every payload; one without, as an emulator may send
// it, cannot be verified and passes.
func Intact(p *secretmanagerpb.SecretPayload) bool {
	return p.DataCrc32C == nil || *p.DataCrc32C == Checksum(p.Data)
}
