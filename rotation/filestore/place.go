package filestore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/keybearer/keybearer/keyprovider"
)

// place is where the files are.
type place struct {
	path string // of the key's file, absolute, as it was configured
	real string // its directory without symbolic links, when the Store was made
}

func (p place) key() string     { return p.path }
func (p place) pending() string { return p.path + ".pending" }
func (p place) former() string  { return p.path + ".former" }
func (p place) state() string   { return p.path + ".state" }
func (p place) lock() string    { return p.path + ".lock" }
func (p place) temp() string    { return p.path + ".tmp" }

// canonical is the one path of the key's file that has no symbolic link.
func (p place) canonical() string { return filepath.Join(p.real, filepath.Base(p.path)) }

// newPlace makes a place of what package keyprovider/file took for a path.
func newPlace(path string) (place, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return place{}, refuse("the working directory is unknown: give an absolute path")
	}
	real, err := filepath.EvalSymlinks(filepath.Dir(full))
	if err != nil {
		return place{}, &keyprovider.Error{Provider: "file:" + full, Class: keyprovider.ErrInvalid,
			Err: keyprovider.Reason("the directory of the file does not exist or cannot be reached: make it, for the user of this process alone to write", err)}
	}
	p := place{path: full, real: real}
	if err := p.check(); err != nil {
		if e, ok := errors.AsType[*keyprovider.Error](err); ok {
			return place{}, &keyprovider.Error{Provider: "file:" + full, Class: e.Class, Err: e.Err}
		}
		return place{}, err
	}
	return p, nil
}

// check says why the place cannot be written, or cannot any more. It runs
// before each call: what stands there may have been replaced.
func (p place) check() error {
	dir := filepath.Dir(p.path)
	if real, err := filepath.EvalSymlinks(dir); err != nil {
		return &keyprovider.Error{Class: keyprovider.ErrUnavailable, Err: keyprovider.Reason("the directory of the file cannot be reached", err)}
	} else if real != p.real {
		return refuse("a symbolic link on the way to the file leads elsewhere than at the start: readers and this store would part; start anew")
	}
	if info, err := os.Lstat(filepath.Join(dir, "..data")); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return refuse("the file is in a volume that Kubernetes writes: rotate in the store behind it")
	}
	// A Docker secret and a bind mount of one file are mount points, over which
	// a rename fails with EBUSY; fileError says so.
	if info, err := os.Lstat(p.path); err == nil {
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			return refuse("the file is a symbolic link, which a rename would replace: name the file that it leads to")
		case !info.Mode().IsRegular():
			return refuse("what has the file's name is no regular file")
		}
	}
	const others = 0o002
	if info, err := os.Stat(dir); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&others != 0 {
		return refuse("every user may write the directory, and with it replace the key: give the file a directory of its own")
	}
	return nil
}
