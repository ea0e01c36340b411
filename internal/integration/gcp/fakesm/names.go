package fakesm

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var (
	parentName    = regexp.MustCompile(`^projects/([^/]+)(?:/locations/([^/]+))?$`)
	secretName    = regexp.MustCompile(`^projects/([^/]+)(?:/locations/([^/]+))?/secrets/([A-Za-z0-9_-]{1,255})$`)
	versionName   = regexp.MustCompile(`^(projects/[^/]+(?:/locations/[^/]+)?/secrets/[A-Za-z0-9_-]{1,255})/versions/([A-Za-z0-9_-]+)$`)
	annotationKey = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)
	aliasName     = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,62}$`)
)

// canonical returns a parent's name with the project's number.
func (s *Server) canonical(project, location, name, permission string) (string, error) {
	if location != s.opts.Location {
		return "", status.Errorf(codes.InvalidArgument, "Resource name [%s] does not match the expected format of this endpoint.", name)
	}
	number, ok := s.opts.Projects[project]
	if !ok {
		for _, n := range s.opts.Projects {
			if strconv.FormatInt(n, 10) == project {
				number, ok = n, true
			}
		}
	}
	if !ok {
		return "", denied(permission, name)
	}
	if location != "" {
		return fmt.Sprintf("projects/%d/locations/%s", number, location), nil
	}
	return fmt.Sprintf("projects/%d", number), nil
}

func (s *Server) parent(name, permission string) (string, error) {
	m := parentName.FindStringSubmatch(name)
	if m == nil {
		return "", malformed(name)
	}
	return s.canonical(m[1], m[2], name, permission)
}

// secretAt returns the secret of a name, nil if there is none, and its
// canonical name.
func (s *Server) secretAt(name, permission string) (*secret, string, error) {
	m := secretName.FindStringSubmatch(name)
	if m == nil {
		return nil, "", malformed(name)
	}
	parent, err := s.canonical(m[1], m[2], name, permission)
	if err != nil {
		return nil, "", err
	}
	full := parent + "/secrets/" + m[3]
	return s.secrets[full], full, nil
}

// existing is secretAt of a secret that must exist.
func (s *Server) existing(name, permission string) (*secret, error) {
	found, full, err := s.secretAt(name, permission)
	if err == nil && found == nil {
		err = missing("Secret [%s] not found.", full)
	}
	return found, err
}

// versionAt returns the version of a name by its number, by latest or by an
// alias. The latter two may lag behind.
func (s *Server) versionAt(name, permission string) (*secret, *version, error) {
	m := versionName.FindStringSubmatch(name)
	if m == nil {
		return nil, nil, malformed(name)
	}
	found, full, err := s.secretAt(m[1], permission)
	if status.Code(err) == codes.PermissionDenied {
		err = denied(permission, name) // which tells the version that was asked for
	}
	if err != nil {
		return nil, nil, err
	}
	if found == nil || len(found.versions) == 0 {
		return nil, nil, missing("Secret [%s] not found or has no versions.", full)
	}
	number, err := strconv.ParseInt(m[2], 10, 64)
	if err != nil {
		number = found.view().resolve(m[2])
	}
	if number < 1 || number > int64(len(found.versions)) {
		return nil, nil, missing("Secret Version [%s/versions/%s] not found.", full, m[2])
	}
	return found, found.versions[number-1], nil
}

// numbered is versionAt for the methods that take no alias.
func (s *Server) numbered(name, permission string) (*secret, *version, error) {
	if _, err := strconv.ParseInt(name[strings.LastIndex(name, "/")+1:], 10, 64); err != nil {
		return nil, nil, malformed(name)
	}
	return s.versionAt(name, permission)
}
