package file

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/keybearer/keybearer/internal/keyshape"
	"github.com/keybearer/keybearer/keyprovider"
)

// place is where the file is: name, an absolute path, or, where dir is not "",
// a path within the directory dir, out of which nothing leads.
type place struct{ dir, name string }

// newPlace makes a place of what was configured, or says why it cannot. What it
// says never repeats its input: a key may have been pasted there.
func newPlace(path, dir string) (p place, why string) {
	if why := checkPath(path, dir != ""); why != "" {
		return place{}, why
	}
	if dir == "" {
		full, why := abs(path)
		return place{name: full}, why
	}
	if !filepath.IsLocal(path) || filepath.Clean(path) == "." {
		return place{}, "the path leads out of Options.Dir: give the file's name within it"
	}
	if why := checkPath(strings.TrimRight(filepath.ToSlash(dir), "/")+"/.", true); why != "" {
		return place{}, "Options.Dir: " + why
	}
	full, why := abs(dir)
	return place{dir: full, name: filepath.Clean(path)}, why
}

// maxPath is the longest path, in bytes, that Linux takes.
const maxPath = 4096

// checkPath says what is wrong with a path, "" if nothing is.
func checkPath(path string, inDir bool) string {
	slashed := filepath.ToSlash(path)
	switch {
	case path == "":
		return "no path is given: name the file that holds the key"
	case keyshape.Prefixed(slashed), looksBare(path, inDir):
		return "what is given as a path looks like an API key: put the key into a file and give the file's path (a name in the working directory as ./name)"
	case len(path) > maxPath:
		return "the path is too long"
	case !utf8.ValidString(path) || strings.ContainsFunc(path, unicode.IsControl):
		return "the path contains a control character or is not UTF-8"
	case strings.HasSuffix(slashed, "/"):
		return "the path names a directory: name the file in it"
	}
	return ""
}

// minBare is the length from which a word that has nothing of a path counts as
// a key.
const minBare = 20

// looksBare reports whether a path may be a key without a known prefix: a long
// word without separator and dot. Within a directory long words are names, as
// those of Docker secrets, unless letters and digits mix.
func looksBare(path string, inDir bool) bool {
	if len(path) < minBare || strings.ContainsAny(path, "/.") || strings.ContainsRune(path, filepath.Separator) {
		return false
	}
	return !inDir || strings.ContainsAny(path, "0123456789") && !strings.ContainsAny(path, "-_")
}

// abs is filepath.Abs with a reason for the user instead of the error.
func abs(path string) (string, string) {
	full, err := filepath.Abs(path)
	if err != nil {
		return "", "the working directory is unknown: give an absolute path"
	}
	return full, ""
}

// path is the place as one path, for messages and for watching.
func (p place) path() string { return filepath.Join(p.dir, p.name) }

// open opens the file for reading. A FIFO or a device is refused, and is not
// waited for.
func (p place) open() (*os.File, error) {
	stat, open := os.Stat, os.OpenFile
	if p.dir != "" {
		root, err := os.OpenRoot(p.dir)
		if err != nil {
			return nil, err
		}
		defer root.Close()
		stat, open = root.Stat, root.OpenFile
	}
	// Opening a device can do something to it, so look first.
	info, err := stat(p.name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, irregular(info.Mode())
	}
	f, err := open(p.name, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
		err = irregular(info.Mode())
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// irregular is the cause where something else than a file is found.
type irregular fs.FileMode

func (m irregular) Error() string {
	switch mode := fs.FileMode(m); {
	case mode.IsDir():
		return "it is a directory: name the file in it"
	case mode&fs.ModeNamedPipe != 0:
		return "it is a FIFO, not a regular file"
	case mode&fs.ModeSocket != 0:
		return "it is a socket, not a regular file"
	}
	return "it is a device, not a regular file"
}

// classify turns an error of the file system into a class and a cause.
// os.Root has no error to compare
// with, but those that are its own hold no error number.
func (p place) classify(err error) (class, cause error) {
	if m, ok := errors.AsType[irregular](err); ok {
		return keyprovider.ErrInvalid, keyprovider.Reason(m.Error(), nil)
	}
	_, numbered := errors.AsType[syscall.Errno](err)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return keyprovider.ErrNotFound, keyprovider.Reason("there is no such file: write the key there, or mount the secret", err)
	case errors.Is(err, fs.ErrPermission):
		return keyprovider.ErrDenied, keyprovider.Reason("the process may not read the file: let its user read it", err)
	case errors.Is(err, syscall.ENOTDIR):
		return keyprovider.ErrInvalid, keyprovider.Reason("a part of the path is not a directory", err)
	case errors.Is(err, syscall.ELOOP):
		return keyprovider.ErrInvalid, keyprovider.Reason("the path leads through too many symbolic links", err)
	case errors.Is(err, syscall.ENAMETOOLONG):
		return keyprovider.ErrInvalid, keyprovider.Reason("the path is too long", err)
	case p.dir != "" && !numbered:
		return keyprovider.ErrInvalid, keyprovider.Reason("a symbolic link leads out of the directory", err)
	}
	return keyprovider.ErrUnavailable, err
}
