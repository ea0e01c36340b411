package filestore

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// maxSize is the largest file, in bytes, that is read.
const maxSize = 256 << 10

// content is what a file held at one moment.
type content struct {
	data []byte
	at   time.Time
}

// revision names the content, and the time of its writing: a value that comes
// back is another revision. The hash is keyed apart from a key's fingerprint
// and cut short; it says nothing of a key of full entropy.
func (c *content) revision() rotation.Revision {
	if c == nil {
		return ""
	}
	sum := sha256.Sum256(append([]byte("keybearer file revision v1\x00"), c.data...))
	return rotation.Revision(hex.EncodeToString(sum[:8]) + "-" + strconv.FormatInt(c.at.UnixNano(), 36))
}

// read returns what a file holds.
func (s *Store) read(path string) (*content, error) {
	// Opening a FIFO waits for a writer, so look first.
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, s.failure(keyprovider.ErrInvalid, keyprovider.Reason("what has the file's name is no regular file", nil))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, s.fileError(err)
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return nil, s.fileError(err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, s.fileError(err)
	}
	after, err := f.Stat()
	if err != nil {
		return nil, s.fileError(err)
	}
	switch {
	case len(data) > maxSize:
		return nil, s.failure(keyprovider.ErrInvalid, keyprovider.Reason("the file is too large: it holds something else", nil))
	case int64(len(data)) != after.Size() || !before.ModTime().Equal(after.ModTime()):
		return nil, s.failure(keyprovider.ErrUnavailable, keyprovider.Reason(
			"somebody is writing to the file in place: write a new file and rename it over the old one", nil))
	}
	return &content{data: data, at: after.ModTime()}, nil
}

// fileError gives an error of the file system its class.
func (s *Store) fileError(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s.failure(keyprovider.ErrNotFound, keyprovider.Reason("there is no such file", err))
	case errors.Is(err, fs.ErrPermission):
		return s.failure(keyprovider.ErrDenied, keyprovider.Reason("the process may not read or write there: give its user the directory and the files", err))
	case errors.Is(err, syscall.EROFS):
		return s.failure(keyprovider.ErrDenied, keyprovider.Reason("the file system is mounted read-only", err))
	case errors.Is(err, syscall.EBUSY):
		return s.failure(keyprovider.ErrInvalid, keyprovider.Reason("the file is mounted by itself and cannot be replaced: mount its directory", err))
	case errors.Is(err, errors.ErrUnsupported):
		return s.failure(keyprovider.ErrInvalid, keyprovider.Reason("this system has no lock that ends with its holder", err))
	}
	return s.failure(keyprovider.ErrUnavailable, fmt.Errorf("file system: %w", err))
}
