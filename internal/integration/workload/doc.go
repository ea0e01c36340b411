// Package workload puts the workload identity of OpenAI's own Go SDK beside that
// of keyprovider/workload: the same client, the same calls, the same token
// endpoint and API, in virtual time. It is a module of its own, so that nothing
// of the SDK comes into the sums of the library.
//
// go test -v -run TestBesideTheSDK prints the table of which
// docs/reliability.md shows the most.
package workload
