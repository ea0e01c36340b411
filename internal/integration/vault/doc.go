// Package vault tests keyprovider/vault against the real Vault core. It is a
// module of its own, so that nothing of the server's is in the root's go.sum:
//
//	go test ./...
//
// The first build of the core takes minutes; later ones take seconds.
package vault
