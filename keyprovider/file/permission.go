package file

import (
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// warnOnce warns about a file that others than its owner can read, the first
// time that it is seen. It is silent where the platform decides on the mode.
func (p *Provider) warnOnce(f *os.File, info fs.FileInfo) {
	const others = 0o044
	if runtime.GOOS == "windows" || info.Mode().Perm()&others == 0 || p.managed() || p.readOnly(f) {
		return
	}
	p.warned.Do(func() {
		logger := p.opts.Logger
		if logger == nil {
			logger = slog.Default()
		}
		logger.Warn("keyprovider: other users can read the key file: set its mode to 0600",
			"path", p.place.path(), "mode", fmt.Sprintf("%#o", info.Mode().Perm()))
	})
}

// managed reports whether the file is one that Kubernetes or systemd mounts.
// Both keep other users out by other means than the mode.
func (p *Provider) managed() bool {
	path := p.place.path()
	if info, err := os.Lstat(filepath.Join(filepath.Dir(path), "..data")); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return true
	}
	for _, dir := range []string{"/run/credentials", os.Getenv("CREDENTIALS_DIRECTORY")} {
		if dir != "" && strings.HasPrefix(path, filepath.Clean(dir)+string(filepath.Separator)) {
			return true
		}
	}
	return false
}
