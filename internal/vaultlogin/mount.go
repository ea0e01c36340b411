package vaultlogin

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/keybearer/keybearer/keyprovider"
)

// A Mount is the engine that serves a path.
type Mount struct {
	Path string // without a slash at its end
	KV   int    // 2 for KV version 2; 1 for anything that is read as written
}

// Locate asks the server which engine serves a path and which KV version it
// speaks, as Vault's own command line does. The call needs no permission beyond
// one on something below the mount. Servers that do not tell answer with an
// error of class keyprovider.ErrDenied or keyprovider.ErrNotFound.
func Locate(ctx context.Context, client *api.Client, path string) (Mount, error) {
	answer, err := Read(ctx, client, "sys/internal/ui/mounts/"+path, nil)
	if err != nil {
		return Mount{}, err
	}
	var data struct {
		Path    string `json:"path"`
		Type    string `json:"type"`
		Options struct {
			Version string `json:"version"`
		} `json:"options"`
	}
	mount := ""
	if json.Unmarshal(answer.Data, &data) == nil {
		mount = strings.Trim(data.Path, "/")
	}
	if mount == "" || path != mount && !strings.HasPrefix(path, mount+"/") {
		return Mount{}, &keyprovider.Error{Class: keyprovider.ErrNotFound,
			Err: keyprovider.Reason("the server does not tell which engine serves "+path, nil)}
	}
	switch data.Type {
	case "system", "ns_system", "token", "ns_token", "identity", "ns_identity":
		return Mount{}, invalid("the path leads to an engine of the server's own, not to a secret", nil)
	}
	if path == mount {
		return Mount{}, invalid("the path names a whole engine: append the name of the secret", nil)
	}
	if data.Options.Version == "2" {
		return Mount{Path: mount, KV: 2}, nil
	}
	return Mount{Path: mount, KV: 1}, nil
}

// Guess returns the mount of a path whose first part is the mount, as most are.
func Guess(path string, kv int) Mount {
	mount, _, _ := strings.Cut(path, "/")
	return Mount{Path: mount, KV: kv}
}

// CheckMountOf refuses a mount that a path is not below of, or that could be
// the server's own.
func CheckMountOf(path, mount string) error {
	if err := CheckPath("the mount", mount); err != nil {
		return err
	}
	if HasReserved(mount) {
		return invalid("the mount has a part sys or auth, where no secrets are", nil)
	}
	if (Mount{Path: mount}).Below(path) {
		return nil
	}
	return invalid("the path does not begin with the mount: write both, as in secret/openai", nil)
}

// Below reports whether a path is that of something in the engine.
func (m Mount) Below(path string) bool {
	rest, ok := strings.CutPrefix(path, m.Path+"/")
	return ok && rest != ""
}

// Rest returns the part of a path below the mount.
func (m Mount) Rest(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, m.Path), "/")
}

// Data returns the path of the API at which the secret is read.
func (m Mount) Data(path string) string {
	if m.KV == 2 {
		return m.Path + "/data/" + m.Rest(path)
	}
	return path
}
