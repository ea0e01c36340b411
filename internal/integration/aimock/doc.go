// Package aimock runs go-openai and openai-go through all of keybearer (a file,
// its provider, a Source, the transport) against aimock, a mock of OpenAI's API
// that checks keys and that was written by others: the own fake of this
// repository could be wrong in the same way as the code that is tested by it.
//
// It is a module of its own, and only tests. They install aimock by npm into a
// temporary directory, and are skipped where there is no node or npm; in CI
// that is a failure.
package aimock
