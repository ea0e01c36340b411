package file

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// way is how a path leads to a file through symbolic links.
type way struct {
	dirs  []string        // directories whose change can change where the path leads
	names map[string]bool // the names on the way
}

// maxLinks is where the system's own resolution gives up.
const maxLinks = 40

// trace follows an absolute path. The directories that matter are the one that
// holds the file and those that hold a link on the way; where the way ends
// early, it is the last directory that exists.
func trace(path string) way {
	y := way{names: make(map[string]bool)}
	root := filepath.VolumeName(path) + string(filepath.Separator)
	at, rest := root, steps(path[len(filepath.VolumeName(path)):])
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == ".." {
			at = filepath.Dir(at)
			continue
		}
		y.names[name] = true
		next := filepath.Join(at, name)
		if target, err := os.Readlink(next); err == nil {
			y.add(at)
			if links++; links > maxLinks {
				break
			}
			if filepath.IsAbs(target) {
				volume := filepath.VolumeName(target)
				at, target = volume+string(filepath.Separator), target[len(volume):]
			}
			rest = append(steps(target), rest...)
			continue
		}
		if _, err := os.Lstat(next); err != nil || len(rest) == 0 {
			y.add(at)
			break
		}
		at = next
	}
	return y
}

func (y *way) add(dir string) {
	if !slices.Contains(y.dirs, dir) {
		y.dirs = append(y.dirs, dir)
	}
}

// steps splits a path into the names on it.
func steps(path string) []string {
	return slices.DeleteFunc(strings.Split(filepath.ToSlash(path), "/"), func(s string) bool { return s == "" || s == "." })
}
