//go:build linux || darwin || freebsd

package file

import (
	"os"
	"syscall"
)

// onReadOnlyMount reports whether the file is on a file system that is mounted
// read-only, as Docker mounts its secrets. ST_RDONLY of Linux and MNT_RDONLY of
// the BSDs are the same bit.
func onReadOnlyMount(f *os.File) bool {
	const readOnly = 1
	conn, err := f.SyscallConn()
	if err != nil {
		return false
	}
	ro := false
	if err := conn.Control(func(fd uintptr) {
		var st syscall.Statfs_t
		ro = syscall.Fstatfs(int(fd), &st) == nil && uint64(st.Flags)&readOnly != 0
	}); err != nil {
		return false
	}
	return ro
}
