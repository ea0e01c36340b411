package gcpclient

import (
	"net"
	"strconv"
	"strings"

	"github.com/keybearer/keybearer/internal/keyshape"
)

// IsEndpoint reports whether s is a host and a port, and nothing that looks like
// a key.
func IsEndpoint(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" || strings.ContainsAny(host, "/@?# ") || keyshape.Looks(host) {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}
