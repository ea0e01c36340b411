// Package loadtest holds one test: a client under load, whose key is rotated in
// a file again and again while the old keys are revoked, and no call of which
// may fail. Everything is real but the service: the file and its watch, HTTP
// over loopback, rotation.Source, transport.
//
// It measures no time. Rotations are paced by the number of calls, so that a
// slow machine sees the same rotations under the same load as a fast one.
package loadtest
