// Package filestore lets a rotation.Rotator keep a key in a file of one host:
// the file that package keyprovider/file reads.
//
//	store, err := filestore.New("/etc/app/openai", nil)
//
// # Files
//
// Other members of the key's JSON object stay as they are when the key is replaced.
//
// The store keeps its own files beside the key's, all of mode 0600:
//
//	openai           the key, a JSON object that describes itself
//	openai.pending   the key that is staged
//	openai.former    the last few keys, for a rollback
//	openai.state     the state of the rotation, without a secret
//	openai.lock      empty; holds nothing but a lock
//	openai.tmp       a file that is being written; left behind by a crash,
//	                 the next writer removes it
//
// A new file is written beside the old one, synced and renamed over it: a
// reader sees the former key or the new one, and neither is lost with the
// power. The key's file keeps its mode and its owner; extended attributes and
// access control lists it does not keep, those of its directory apply.
//
// # Who else may write
//
// Any number of processes of the host may use one place: a lock makes their
// writes take turns. The system drops it when its holder dies. A person or a
// program that does not know the lock may replace the key's file at any time,
// which Promote notices, except within the microseconds between its last look
// and its rename.
//
// # Where it does not fit
//
// A volume of Kubernetes, a systemd credential and a Docker secret are written
// by others: [New] refuses what it recognises, and a Rotator there uses the
// store behind the volume. So is a directory that every user may write. On a
// network file system locks depend on the server: keep to one host.
package filestore
