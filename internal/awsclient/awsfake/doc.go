// Package awsfake is AWS Secrets Manager in memory, for tests: the labels of
// versions, compare-and-move, idempotent tokens, the quota of versions, native
// rotation and eventual consistency have the rules of the real service. It
// speaks the service's JSON protocol, without a socket, so that it works in the
// virtual time of testing/synctest, and it fails as it is told.
package awsfake
