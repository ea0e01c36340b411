package filestore

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

const ownerOnly fs.FileMode = 0o600

// replace makes a file hold data, in one step and durably. A key's file that
// exists keeps its mode and owner; any other gets mode. The caller has the
// lock, so that one name is enough for what is being written.
func (s *Store) replace(ctx context.Context, path string, data []byte, mode fs.FileMode) (rotation.Revision, error) {
	before, err := os.Lstat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", s.fileError(err)
	}
	temp := s.place.temp()
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", s.fileError(err)
	}
	if path != s.place.key() {
		before = nil
	}
	info, err := s.write(temp, data, mode, before)
	if err == nil {
		info, err = later(temp, info, path)
	}
	if err == nil && ctx.Err() != nil {
		err = s.failure(keyprovider.ErrUnavailable, ctx.Err())
	}
	if err == nil {
		err = rename(temp, path)
	}
	if err != nil {
		os.Remove(temp) //nolint:errcheck // the next writer removes it
		if _, ours := errors.AsType[*keyprovider.Error](err); ours {
			return "", err
		}
		return "", s.fileError(err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		// Renamed, and perhaps not durable: the outcome is unknown.
		return "", s.failure(keyprovider.ErrUnavailable, err)
	}
	c := content{data: data, at: info.ModTime()}
	return c.revision(), nil
}

// write makes a new file, synced. like, if not nil, is the file whose mode and
// owner it takes.
func (s *Store) write(path string, data []byte, mode fs.FileMode, like fs.FileInfo) (info fs.FileInfo, err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, ownerOnly)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if like != nil {
		mode = like.Mode().Perm()
		// Before the secret is in it, and before the mode lets others read.
		if err := giveTo(f, like); err != nil {
			return nil, s.failure(keyprovider.ErrDenied, keyprovider.Reason(
				"the key's file belongs to another user or group, whom this process cannot give a new one: run as its owner", err))
		}
	}
	if _, err := f.Write(data); err != nil {
		return nil, err
	}
	if err := f.Chmod(mode); err != nil && runtime.GOOS != "windows" {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	return f.Stat()
}

// later makes the time of a new file differ from that of the one it replaces,
// whatever the resolution of the file system's times: a revision has both.
func later(temp string, info fs.FileInfo, replaced string) (fs.FileInfo, error) {
	old, err := os.Lstat(replaced)
	if err != nil {
		return info, nil
	}
	for _, step := range []time.Duration{time.Millisecond, 3 * time.Second} {
		if info.ModTime().After(old.ModTime()) {
			break
		}
		next := old.ModTime().Add(step)
		if err := os.Chtimes(temp, next, next); err != nil {
			return nil, err
		}
		if info, err = os.Lstat(temp); err != nil {
			return nil, err
		}
	}
	return info, nil
}

// rename replaces path. Windows refuses it while a reader has the file open,
// which takes moments.
func rename(temp, path string) error {
	const tries = 50
	for i := 0; ; i++ {
		err := os.Rename(temp, path)
		if err == nil || runtime.GOOS != "windows" || i == tries {
			return err
		}
		time.Sleep(10 * time.Millisecond) // nothing tells when the reader has closed it
	}
}

// remove deletes a file, durably.
func (s *Store) remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s.fileError(err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return s.failure(keyprovider.ErrUnavailable, err)
	}
	return nil
}

// syncDir makes renames in a directory durable. Windows has no such call, and
// some file systems refuse it for directories.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrInvalid) {
		return err
	}
	return nil
}

// writable makes sure that the store can do its work: it makes a file, with
// the mode and owner of the key's.
func (s *Store) writable() error {
	f, err := tryLock(s.place.lock())
	if err != nil {
		return s.fileError(err)
	}
	if f == nil {
		return nil // somebody writes there this moment
	}
	defer f.Close()
	if err := os.Remove(s.place.temp()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s.fileError(err)
	}
	like, err := os.Lstat(s.place.key())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s.fileError(err)
	}
	_, err = s.write(s.place.temp(), nil, ownerOnly, like)
	if removed := os.Remove(s.place.temp()); err == nil {
		err = removed
	}
	if _, ours := errors.AsType[*keyprovider.Error](err); err != nil && !ours {
		return s.fileError(err)
	}
	return err
}
