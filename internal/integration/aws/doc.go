// Package aws runs the AWS Secrets Manager provider against moto, a server that
// we did not write. It is a module of its own, so that nothing of it comes into
// the sums of the library.
//
// The tests need moto_server (moto 5.2.1) on the PATH and are skipped without
// it, unless CI is set: there a skip is a failure.
package aws
