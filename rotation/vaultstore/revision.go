package vaultstore

import (
	"errors"
	"strconv"
	"strings"

	"github.com/keybearer/keybearer/internal/vaultlogin"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// A revision is the number of a version and the time it was written: "7@2026-
// 11-23T08:00:00.1Z". A version that was deleted or destroyed has one too. The
// engine compares the number; the time tells a secret that was deleted with its
// metadata and made anew, which counts from 1 again.

func revisionOf(m *vaultlogin.VersionMetadata) rotation.Revision { return rotation.Revision(m.Name()) }

// number is what the engine is to compare, 0 for "". A revision that this store
// cannot have given is errMismatch: it is not the current one.
func number(r rotation.Revision) (int, error) {
	if r == "" {
		return 0, nil
	}
	digits, _, _ := strings.Cut(string(r), "@")
	n, err := strconv.Atoi(digits)
	if err != nil || n < 1 || strconv.Itoa(n) != digits {
		return 0, errMismatch
	}
	return n, nil
}

// latest reads the latest version of a secret, and returns nil, without an
// error, for a secret that does not exist.
func latest(stored *vaultlogin.Stored, err error) (*vaultlogin.Stored, rotation.Revision, error) {
	switch {
	case err == nil:
		return stored, revisionOf(&stored.Metadata), nil
	case errors.Is(err, keyprovider.ErrNotFound):
		return nil, "", nil
	}
	return nil, "", err
}
