package awsfake

import (
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// The labels that the service itself knows.
const (
	Current  = "AWSCURRENT"
	Previous = "AWSPREVIOUS"
	Pending  = "AWSPENDING"
)

// secret is one secret. Labels lead to versions, so that each is on one.
type secret struct {
	name, arn string
	versions  map[string]*version
	labels    map[string]string
	rotates   bool
	days      int
	owner     string
	primary   string
	deleted   time.Time
	rotated   time.Time // when the last rotation ended
}

// version holds its value behind a closure, where no printer finds the key. A
// nil value is that of a version which RotateSecret has made.
type version struct {
	value   func() *string
	created time.Time
}

func newVersion(value *string) *version {
	return &version{value: func() *string { return value }, created: time.Now().UTC().Truncate(time.Millisecond)}
}

func newSecret(name string) *secret {
	return &secret{name: name, arn: fmt.Sprintf("arn:aws:secretsmanager:%s:%s:secret:%s-%.6s", Region, Account, name, rand.Text()),
		versions: map[string]*version{}, labels: map[string]string{}}
}

func (s *secret) clone() *secret {
	c := *s
	c.versions, c.labels = maps.Clone(s.versions), maps.Clone(s.labels)
	return &c
}

// move puts a label on a version; AWSPREVIOUS follows AWSCURRENT.
func (s *secret) move(label, to string) {
	from := s.labels[label]
	if from == to {
		return
	}
	if to == "" {
		delete(s.labels, label)
		return
	}
	s.labels[label] = to
	if label == Current && from != "" {
		s.labels[Previous] = from
	}
}

// stages returns the labels by version, without those versions that have none.
func (s *secret) stages() map[string][]string {
	stages := map[string][]string{}
	for _, label := range slices.Sorted(maps.Keys(s.labels)) {
		stages[s.labels[label]] = append(stages[s.labels[label]], label)
	}
	return stages
}

// The service keeps the last hundred versions, and all of the last day.
const (
	keptVersions = 100
	keptFor      = 24 * time.Hour
)

// add makes room for a version and adds it, or returns false.
func (s *secret) add(id string, value *string) bool {
	labelled := s.stages()
	for len(s.versions) >= keptVersions {
		oldest := ""
		for id, v := range s.versions {
			if labelled[id] == nil && time.Since(v.created) >= keptFor && (oldest == "" || v.created.Before(s.versions[oldest].created)) {
				oldest = id
			}
		}
		if oldest == "" {
			return false
		}
		delete(s.versions, oldest)
	}
	s.versions[id] = newVersion(value)
	return true
}

// find returns the secret of a name or an ARN, complete or not.
func find(secrets map[string]*secret, id string) *secret {
	for _, s := range secrets {
		if id == s.name || id == s.arn || id == s.arn[:len(s.arn)-7] {
			return s
		}
	}
	return nil
}

func uuid() string {
	h := strings.ToLower(rand.Text() + rand.Text())
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:32]
}
