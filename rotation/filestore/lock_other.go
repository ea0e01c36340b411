//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package filestore

import (
	"errors"
	"os"
)

// tryLock fails: a lock that outlives its holder would be worse than none.
func tryLock(string) (*os.File, error) {
	return nil, errors.ErrUnsupported
}
