//go:build !linux && !darwin && !freebsd

package file

import "os"

// onReadOnlyMount is not known on this system.
func onReadOnlyMount(*os.File) bool { return false }
