// Package gcp runs the Google Secret Manager provider against a Secret Manager
// over TLS and against Pub/Sub: Google's own fake in process (pstest), and
// Google's emulator where gcloud brings it. It is a module of its own, so that
// nothing of it comes into the sums of the library.
//
// No emulator of Secret Manager is to be had, so package fakesm is one, and
// TestRecordings holds it to recordings of the real service that the Go Cloud
// Development Kit ships with its tests.
//
// A test that lacks what it needs is skipped with the reason, unless CI is set:
// there a skip is a failure.
package gcp
