//go:build unix

package file

import "syscall"

// nonblock keeps open from waiting for a writer, should a FIFO take the file's
// place at the last moment.
const nonblock = syscall.O_NONBLOCK
