package command

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// base are the variables that a helper sees anyway: where things are and which
// language to speak, no credentials. Those of a desktop session's sockets, by
// which some helpers reach their agents, are in XDG_RUNTIME_DIR.
var base = []string{
	"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR",
	"XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME",
}

// baseWindows is what programs need on Windows besides.
var baseWindows = []string{
	"SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "TEMP", "TMP", "USERPROFILE", "USERNAME",
	"APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "PROGRAMFILES", "PROGRAMFILES(X86)", "HOMEDRIVE", "HOMEPATH",
}

// environ returns the helper's environment, and the values in it that the
// options asked for, which may be secrets.
func (o Options) environ() (env, values []string) {
	names := base
	if runtime.GOOS == "windows" {
		names = slices.Concat(base, baseWindows)
	}
	for _, name := range names {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	for _, entry := range o.Env {
		name, value, given := strings.Cut(entry, "=")
		if !given {
			var ok bool
			if value, ok = os.LookupEnv(name); !ok {
				continue
			}
		}
		env = append(env, name+"="+value) // the last of two counts
		values = append(values, value)
	}
	return env, values
}

// isPlace reports whether a value of the environment is the path of something
// that exists: no secret, and worth telling of. That it begins with a slash is
// not enough, since a token may. Windows would ask the network for a share, with
// its name, so that none is looked for.
func isPlace(value string) bool {
	if !filepath.IsAbs(value) || len(filepath.VolumeName(value)) > len("C:") {
		return false
	}
	_, err := os.Lstat(value)
	return err == nil
}
