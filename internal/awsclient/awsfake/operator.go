package awsfake

import (
	"slices"
	"time"
)

// edit changes a secret, which it makes if there is none.
func (s *Server) edit(name string, f func(*secret)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sec := s.secrets[name]
	if sec == nil {
		sec = newSecret(name)
		if s.secrets == nil {
			s.secrets = map[string]*secret{}
		}
		s.secrets[name] = sec
	}
	f(sec)
}

// Make makes an empty secret and returns its ARN.
func (s *Server) Make(name string) (arn string) {
	s.edit(name, func(sec *secret) { arn = sec.arn })
	return arn
}

// Set stores the current value as an operator does, and returns its version.
func (s *Server) Set(name, value string) (id string) { return s.Store(name, value, Current) }

// Store stores a value in a new version and moves the labels to it.
func (s *Server) Store(name, value string, labels ...string) (id string) {
	id = uuid()
	s.edit(name, func(sec *secret) {
		sec.versions[id] = newVersion(&value)
		for _, label := range labels {
			sec.move(label, id)
		}
	})
	return id
}

// Move puts a label on a version by force, or takes it away, for "".
func (s *Server) Move(name, label, version string) {
	s.edit(name, func(sec *secret) { sec.move(label, version) })
}

// Delete marks a secret for deletion.
func (s *Server) Delete(name string) { s.edit(name, func(sec *secret) { sec.deleted = time.Now() }) }

// Restore undoes Delete.
func (s *Server) Restore(name string) { s.edit(name, func(sec *secret) { sec.deleted = time.Time{} }) }

// Forget makes a secret as if it had never been.
func (s *Server) Forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.secrets, name)
}

// Own makes a secret that of another service.
func (s *Server) Own(name, service string) { s.edit(name, func(sec *secret) { sec.owner = service }) }

// Replicate makes a secret a replica of that in another region.
func (s *Server) Replicate(name, primary string) {
	s.edit(name, func(sec *secret) { sec.primary = primary })
}

// Rotate does what RotateSecret does before it calls the function: it makes an
// empty version with AWSPENDING and returns its id, which is the token of the
// rotation. A rotation that is not over goes on.
func (s *Server) Rotate(name string) (token string) {
	s.edit(name, func(sec *secret) {
		if at := sec.labels[Pending]; at != "" && at != sec.labels[Current] {
			token = at
			return
		}
		token = uuid()
		sec.versions[token] = newVersion(nil)
		sec.move(Pending, token)
	})
	return token
}

// Labels returns the version of each label.
func (s *Server) Labels(name string) map[string]string {
	labels := map[string]string{}
	s.edit(name, func(sec *secret) {
		for label, id := range sec.labels {
			labels[label] = id
		}
	})
	return labels
}

// Value returns what a version holds, "" if it holds nothing.
func (s *Server) Value(name, version string) (value string) {
	s.edit(name, func(sec *secret) {
		if v := sec.versions[version]; v != nil && v.value() != nil {
			value = *v.value()
		}
	})
	return value
}

// Exists reports whether there is a secret of a name.
func (s *Server) Exists(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.secrets[name] != nil
}

// Versions returns how many versions a secret has, labelled or not.
func (s *Server) Versions(name string) (n int) {
	s.edit(name, func(sec *secret) { n = len(sec.versions) })
	return n
}

// Puts returns how many versions PutSecretValue has made.
func (s *Server) Puts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.puts
}

// Only chooses operations by name, for Lose.
func Only(operations ...string) func(operation, secret string) bool {
	return func(operation, _ string) bool { return slices.Contains(operations, operation) }
}
