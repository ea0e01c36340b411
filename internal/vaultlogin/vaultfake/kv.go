package vaultfake

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// keptVersions is how many versions of a secret are kept, as max_versions is.
const keptVersions = 10

// secret returns the versions of a secret of the engine "secret".
func (s *Server) secret(name string) []Version {
	if name == "openai" {
		return s.Versions
	}
	return s.Others[name]
}

func (s *Server) setSecret(name string, versions []Version) {
	if name == "openai" {
		s.Versions = versions
		return
	}
	if s.Others == nil {
		s.Others = map[string][]Version{}
	}
	s.Others[name] = versions
}

// kv2 serves the engine "secret", of KV version 2.
func (s *Server) kv2(path string, r *http.Request, body map[string]any) (int, any) {
	kind, name, _ := strings.Cut(path, "/")
	switch write := r.Method == http.MethodPut || r.Method == http.MethodPost; {
	case kind == "data" && write:
		return s.write(name, body)
	case kind == "destroy" && write:
		return s.destroy(name, body)
	case kind == "data" && r.Method == http.MethodGet:
		return s.read(name, r.URL.Query().Get("version"))
	}
	return failed(405, "unsupported operation")
}

func (s *Server) read(name, pinned string) (int, any) {
	versions := s.secret(name)
	n := len(versions)
	if pinned != "" {
		n, _ = strconv.Atoi(pinned)
	}
	if n < 1 || n > len(versions) || n <= len(versions)-keptVersions {
		return 404, map[string]any{"errors": []string{}}
	}
	v := versions[n-1]
	status, data := 200, any(v.Data)
	if !v.Deleted.IsZero() || v.Destroyed {
		status, data = 404, nil
	}
	return status, map[string]any{"data": map[string]any{"data": data, "metadata": v.metadata()}}
}

func (v *Version) metadata() map[string]any {
	deleted := ""
	if !v.Deleted.IsZero() {
		deleted = v.Deleted.Format(time.RFC3339Nano)
	}
	return map[string]any{"version": v.Number, "created_time": v.Created.Format(time.RFC3339Nano), "deletion_time": deleted, "destroyed": v.Destroyed}
}

func (s *Server) write(name string, body map[string]any) (int, any) {
	versions := s.secret(name)
	options, _ := body["options"].(map[string]any)
	cas, given := options["cas"].(float64)
	switch {
	case !given && s.CASRequired:
		return failed(400, "check-and-set parameter required for this call")
	case given && int(cas) != len(versions):
		return failed(400, "check-and-set parameter did not match the current version")
	}
	data, ok := body["data"].(map[string]any)
	if !ok {
		return failed(400, "no data provided")
	}
	v := Version{Number: len(versions) + 1, Data: data, Created: time.Now().UTC()}
	s.setSecret(name, append(slices.Clone(versions), v))
	return 200, map[string]any{"data": v.metadata()}
}

func (s *Server) destroy(name string, body map[string]any) (int, any) {
	var wanted []int
	raw, _ := json.Marshal(body["versions"])
	_ = json.Unmarshal(raw, &wanted)
	if len(wanted) == 0 {
		return failed(400, "no version number provided")
	}
	versions := slices.Clone(s.secret(name))
	for _, n := range wanted {
		if n > 0 && n <= len(versions) {
			versions[n-1].Destroyed, versions[n-1].Data = true, nil
		}
	}
	s.setSecret(name, versions)
	return 204, nil
}
