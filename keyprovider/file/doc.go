// Package file provides a key from a file: a plain one, a secret that
// Kubernetes or Docker mounts, a credential of systemd.
//
//	provider, err := file.New("/run/secrets/openai", nil)
//
// The file holds the bare key, or a JSON object with the key in a field; see
// keyprovider.ParseKey. As a URI: file:///run/secrets/openai, and
// file:///run/secrets/openai?field=token for another field than "api_key".
//
// # Rotation
//
// The provider reads the file at each Fetch. It watches the directories that
// lead to the file, so that a Kubernetes volume's swap of its "..data" link, a
// rename over the file, a rewrite in place, removal and recreation, and a
// directory or link replaced as a whole are all seen within moments; and it
// asks to be polled every 10 seconds, which works alone where watching does
// not (NFS, SMB, FUSE). The content decides: touching the file rotates nothing.
//
// A Kubernetes subPath mount and a Compose bind mount of a single file keep
// showing the old file after it is replaced, a systemd credential and a Swarm
// secret never change while the service runs: mount the directory, or restart.
//
// # Writing the file
//
// Write a new file beside the old one and rename it over: then no reader ever
// sees half a key. A file that is written in place is read only once it has
// been left alone for 50 ms, and an empty or unparsable one never counts as a
// key. But a bare key of which a writer stops in the middle for longer cannot
// be told from a shorter key; a JSON object can.
//
// Keep the file at mode 0600. The provider warns, once, where others can read it.
package file
