package filestore

import (
	"context"
	"encoding/json"

	"github.com/keybearer/keybearer/keyprovider"
)

// maxFormer is how many former values are kept.
const maxFormer = 4

// formerFile is what the file of former values holds, the latest first. The
// values are as the key's file had them.
type formerFile struct {
	Former []string `json:"former"`
}

// formers returns the values that were current, the latest first.
func (s *Store) formers() ([]string, error) {
	c, err := s.read(s.place.former())
	if keyprovider.Class(err) == keyprovider.ErrNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var file formerFile
	if err := json.Unmarshal(c.data, &file); err != nil {
		return nil, s.failure(keyprovider.ErrInvalid, keyprovider.Reason(
			"the file of former keys is not what this store wrote: remove it, if no rollback is wanted", nil))
	}
	return file.Former, nil
}

// keep puts value before the former ones, ahead of its being replaced by the
// key of a fingerprint: should that not come about, the current value is among
// the former ones, which harms nobody. The key itself stays, since it may be
// from here that it is taken.
func (s *Store) keep(ctx context.Context, value []byte, next string) error {
	formers, err := s.formers()
	if err != nil {
		return err
	}
	kept := []string{string(value)}
	seen := map[string]bool{s.fingerprint(string(value)): true}
	for _, first := range []bool{true, false} {
		for _, v := range formers {
			if f := s.fingerprint(v); !seen[f] && (f == next || !first) && len(kept) < maxFormer {
				kept, seen[f] = append(kept, v), true
			}
		}
	}
	data, err := json.Marshal(formerFile{kept})
	if err != nil {
		return s.failure(keyprovider.ErrInvalid, err)
	}
	_, err = s.replace(ctx, s.place.former(), data, ownerOnly)
	return err
}

// fingerprint is that of the key in a value, "" for what holds none.
func (s *Store) fingerprint(value string) string {
	k, err := s.parse([]byte(value))
	if err != nil {
		return ""
	}
	return k.Fingerprint()
}
