package filestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/keybearer/keybearer/internal/keyshape"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/file"
	"github.com/keybearer/keybearer/rotation"
)

// Options configure a Store. The zero value is the good default.
type Options struct {
	// Field is the field of the JSON object that holds the key, the same as the
	// readers' file.Options.Field. ["api_key"]
	Field string

	// Mode is that of the key's file where it does not exist yet; one that
	// does exist keeps its own. [0600] Others than the permission bits, or no
	// permission for the owner to read and write, are refused.
	Mode fs.FileMode

	// Host stands for this host in the Store's name, to which a rotation is
	// bound: a name that stays, where the system's does not, as in a container.
	// [os.Hostname]
	Host string
}

// Store is a rotation.Store in files of one host. It is safe for concurrent
// use, by other processes too, and needs no closing. Make one with New.
type Store struct {
	place place
	field string
	mode  fs.FileMode
	name  string

	// turn admits one call at a time: on a mount that hangs, a call outlives
	// its context and holds a thread.
	turn chan struct{}
}

var _ rotation.Store = (*Store)(nil)

// New returns a Store in the file at path and its siblings. A relative path is
// relative to the working directory at the time of the call. nil opts are the
// defaults. The file need not exist yet, its directory must: New makes a file
// there and removes it, so as to know that it can.
//
// The error is of class keyprovider.ErrInvalid where path names no place for a
// Store: it is empty, looks like a key (which the error does not repeat), or
// is a symbolic link, in a volume of Kubernetes, or in a directory that every
// user may write. It is of class keyprovider.ErrDenied where this process may
// not write the directory, or not hand the file to its owner.
func New(path string, opts *Options) (*Store, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Mode == 0 {
		o.Mode = ownerOnly
	}
	// What readers refuse is refused in their words.
	if _, err := file.New(path, &file.Options{Field: o.Field}); err != nil {
		return nil, err
	}
	if o.Mode&^fs.ModePerm != 0 || o.Mode&ownerOnly != ownerOnly {
		return nil, refuse("Options.Mode: give permission bits with which the owner can read and write")
	}
	if keyshape.Looks(o.Host) {
		return nil, refuse("Options.Host looks like an API key: name the host")
	}
	if o.Host == "" {
		host, err := os.Hostname()
		if err != nil || host == "" {
			return nil, refuse("the host has no name: set Options.Host")
		}
		o.Host = host
	}
	place, err := newPlace(path)
	if err != nil {
		return nil, err
	}
	s := &Store{place: place, field: o.Field, mode: o.Mode, turn: make(chan struct{}, 1)}
	s.name = fmt.Sprintf("file:%s:%s", o.Host, place.canonical())
	if err := s.writable(); err != nil {
		return nil, err
	}
	return s, nil
}

// String returns "file:", the host, and the absolute path without symbolic
// links.
func (s *Store) String() string { return s.name }

// held is a key and the revision that it is.
type held struct {
	key      *keyprovider.Key
	revision rotation.Revision
}

// Current implements rotation.Store.
func (s *Store) Current(ctx context.Context) (*keyprovider.Key, rotation.Revision, error) {
	h, err := do(ctx, s, func() (held, error) {
		content, err := s.read(s.place.key())
		if err != nil {
			return held{}, err
		}
		k, err := s.parse(content.data)
		return held{k, content.revision()}, err
	})
	if err != nil {
		return nil, "", err
	}
	return h.key, h.revision, nil
}

// Former implements rotation.Store. The last four keys are kept.
func (s *Store) Former(ctx context.Context, fingerprint string) (*keyprovider.Key, error) {
	return do(ctx, s, func() (*keyprovider.Key, error) {
		values, err := s.formers()
		if err != nil {
			return nil, err
		}
		for _, value := range values {
			if k, err := s.parse([]byte(value)); err == nil && k.Fingerprint() == fingerprint {
				return k, nil
			}
		}
		return nil, s.failure(keyprovider.ErrNotFound, keyprovider.Reason("the former key is no longer kept", nil))
	})
}

// Stage implements rotation.Store.
func (s *Store) Stage(ctx context.Context, k *keyprovider.Key) error {
	value, err := s.encode(k)
	if err != nil {
		return err
	}
	return s.change(ctx, func() error {
		if staged, err := s.read(s.place.pending()); err == nil && bytes.Equal(staged.data, value) {
			return nil
		}
		_, err := s.replace(ctx, s.place.pending(), value, ownerOnly)
		return err
	})
}

// Staged implements rotation.Store.
func (s *Store) Staged(ctx context.Context) (*keyprovider.Key, error) {
	return do(ctx, s, func() (*keyprovider.Key, error) {
		content, err := s.read(s.place.pending())
		if err != nil {
			return nil, err
		}
		return s.parse(content.data)
	})
}

// Unstage implements rotation.Store.
func (s *Store) Unstage(ctx context.Context, fingerprint string) error {
	return s.change(ctx, func() error {
		content, err := s.read(s.place.pending())
		if keyprovider.Class(err) == keyprovider.ErrNotFound {
			return nil
		}
		if err != nil {
			return err
		}
		if k, err := s.parse(content.data); err != nil || k.Fingerprint() != fingerprint {
			return nil // nobody asked to discard this
		}
		return s.remove(s.place.pending())
	})
}

// Promote implements rotation.Store.
func (s *Store) Promote(ctx context.Context, k *keyprovider.Key, from rotation.Revision) error {
	value, err := s.encode(k)
	if err != nil {
		return err
	}
	return s.change(ctx, func() error {
		before, err := s.expect(s.place.key(), from)
		if err != nil {
			return err
		}
		if before != nil {
			if err := s.keep(ctx, before.data, k.Fingerprint()); err != nil {
				return err
			}
		}
		if before != nil {
			// What others keep beside the key stays.
			if value, err = rotation.UpdateValue(before.data, k, s.field); err != nil {
				return s.named(err)
			}
		}
		_, err = s.replace(ctx, s.place.key(), value, s.mode)
		return err
	})
}

// State implements rotation.Store.
func (s *Store) State(ctx context.Context) ([]byte, rotation.Revision, error) {
	content, err := do(ctx, s, func() (*content, error) { return s.read(s.place.state()) })
	if err != nil {
		return nil, "", err
	}
	return content.data, content.revision(), nil
}

// maxState is the largest state document, in bytes.
const maxState = 16 << 10

// SetState implements rotation.Store.
func (s *Store) SetState(ctx context.Context, document []byte, from rotation.Revision) (rotation.Revision, error) {
	if len(document) > maxState {
		return "", s.failure(keyprovider.ErrInvalid, keyprovider.Reason("a state document has at most 16 KiB", nil))
	}
	document = bytes.Clone(document) // on a mount that hangs, the call outlives its context
	return locked(ctx, s, func() (rotation.Revision, error) {
		if _, err := s.expect(s.place.state(), from); err != nil {
			return "", err
		}
		return s.replace(ctx, s.place.state(), document, ownerOnly)
	})
}

// expect reads a file that must be at a revision; nil stands for none.
func (s *Store) expect(path string, from rotation.Revision) (*content, error) {
	c, err := s.read(path)
	switch {
	case err != nil && keyprovider.Class(err) != keyprovider.ErrNotFound:
		return nil, err
	case c.revision() != from:
		return nil, fmt.Errorf("%s: %w", s.name, rotation.ErrConflict)
	}
	return c, nil
}

// encode returns the form in which a key is stored.
func (s *Store) encode(k *keyprovider.Key) ([]byte, error) {
	if k.Fingerprint() == "" {
		return nil, s.failure(keyprovider.ErrInvalid, keyprovider.Reason("there is no key to store", nil))
	}
	value, err := rotation.EncodeValue(k, s.field)
	if err != nil {
		return nil, s.named(err)
	}
	return value, nil
}

// parse reads a stored key.
func (s *Store) parse(value []byte) (*keyprovider.Key, error) {
	k, err := keyprovider.ParseKey(value, s.field, keyprovider.Info{})
	if err != nil {
		return nil, s.named(err)
	}
	return k, nil
}

func (s *Store) failure(class, cause error) error {
	return &keyprovider.Error{Provider: s.name, Class: class, Err: cause}
}

// named is an error of package keyprovider with the Store's name.
func (s *Store) named(err error) error {
	if e, ok := errors.AsType[*keyprovider.Error](err); ok {
		return s.failure(e.Class, e.Err)
	}
	return s.failure(keyprovider.ErrInvalid, err)
}

func refuse(why string) error {
	return &keyprovider.Error{Provider: "file", Class: keyprovider.ErrInvalid, Err: keyprovider.Reason(why, nil)}
}
