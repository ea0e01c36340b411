// Package vals sets the Vault provider beside that of
// github.com/helmfile/vals, on the same real Vault server:
//
//	go test -bench . ./...
//
// It is a module of its own, apart from that of the Vault core, since vals and
// the core require versions of the same modules that do not go together.
package vals
