package keyprovidertest

import (
	"crypto/rand"

	"github.com/keybearer/keybearer/internal/conformance"
)

// NewSecret returns a key that has the form of a real one and is different on
// every call. A test that uses it keeps literals that look like keys out of its
// source, where secret scanners would find them, and can search its output for
// the secret with [Leaks], because nothing else contains it.
func NewSecret() string { return "sk-" + "test-" + rand.Text() }

// Leaks reports whether output shows one of the secrets, or a part of at least
// 12 bytes of it: as it is, or as the Go and JSON escapes, the hexadecimal,
// the base64 or the list of numbers into which printers turn a string or
// []byte. Secrets shorter than that are searched for whole; "" is in no output.
func Leaks(output string, secrets ...string) bool { return conformance.Leaks(output, secrets...) }
