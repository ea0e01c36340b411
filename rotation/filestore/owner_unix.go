//go:build unix

package filestore

import (
	"io/fs"
	"os"
	"syscall"
)

// giveTo hands f to the owner and the group of the file that it is to replace.
func giveTo(f *os.File, like fs.FileInfo) error {
	have, err := f.Stat()
	if err != nil {
		return err
	}
	a, ok := have.Sys().(*syscall.Stat_t)
	b, known := like.Sys().(*syscall.Stat_t)
	if !ok || !known || a.Uid == b.Uid && a.Gid == b.Gid {
		return nil
	}
	return f.Chown(int(b.Uid), int(b.Gid))
}
