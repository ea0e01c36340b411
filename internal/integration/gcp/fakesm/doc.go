// Package fakesm is Google Secret Manager in process: the published protobufs
// over real gRPC, with the service's rules and, where they are known, its
// words. TestRecordings of this module holds it to recordings of the real
// service.
//
// What it covers: secrets and versions with their states; latest as the version
// that was created last, in whatever state; numbers that begin again when a
// secret is deleted and made anew; aliases; annotations, labels and aliases
// under etags of their own; CRC32C both ways; project numbers in answers;
// global and regional endpoints; delayed destruction; notifications of every
// kind; permissions by method; reads by latest, by alias and of metadata that lag
// behind; a limit on writes; faults and lost answers on request; and all that by
// REST too.
//
// What it leaves out: IAM policies as such, customer-managed encryption keys,
// replication, rotation schedules, expiry of secrets, and managed rotation.
//
// Known from recordings are the answers to CreateSecret, AddSecretVersion,
// AccessSecretVersion, GetSecretVersion and DeleteSecret, the error for a
// secret that is missing, and the form of etags. Known from the documentation
// and from reports of users are the rules, the codes, and the texts for
// disabled versions and missing permissions. The other texts are this
// package's own.
package fakesm
