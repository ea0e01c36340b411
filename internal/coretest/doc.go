// Package coretest holds the module's imports and a few calls to the design by
// tests: what the core may depend on, who may import an SDK, and who may touch
// a secret. There is nothing but tests in it.
package coretest
