// Package dumpers sends the subjects of the leak matrix through printers outside
// the standard library: reflective dumpers, YAML and loggers. It is a module of
// its own, so that the main module does not require them.
package dumpers
