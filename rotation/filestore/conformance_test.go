package filestore

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/file"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/rotationtest"
)

func TestConformance(t *testing.T) {
	for name, opts := range map[string]*Options{"default": nil, "field": {Field: "token", Host: "host-1", Mode: 0o640}} {
		t.Run(name, func(t *testing.T) {
			rotationtest.RunStore(t, rotationtest.StoreHarness{New: func(tb testing.TB) *rotationtest.StorePlace {
				return newStorePlace(tb, opts)
			}})
		})
	}
}

func newStorePlace(tb testing.TB, opts *Options) *rotationtest.StorePlace {
	path := filepath.Join(tb.TempDir(), "openai")
	open := func() *Store {
		s, err := New(path, opts)
		if err != nil {
			tb.Fatal(err)
		}
		return s
	}
	var readerOpts file.Options
	if opts != nil {
		readerOpts.Field = opts.Field
	}
	reader, err := file.New(path, &readerOpts)
	if err != nil {
		tb.Fatal(err)
	}
	s := open()
	place := &rotationtest.StorePlace{
		Store:  s,
		Reader: reader,
		Reopen: func() rotation.Store { return open() },
		Set: func(value []byte) {
			temp := path + ".by-hand"
			if err := errors.Join(os.WriteFile(temp, value, 0o600), os.Rename(temp, path)); err != nil {
				tb.Error(err)
			}
		},
		Fail: func(class error) (restore func()) { return fail(tb, path, class) },
		Hang: func() (release func()) {
			s.turn <- struct{}{} // as a call that waits for the file system
			return func() { <-s.turn }
		},
	}
	if readerOpts.Field != "" {
		place.Set = nil // the suite stores by hand under the default field
	}
	return place
}

// fail makes the place fail with class, as far as that can be had.
func fail(tb testing.TB, path string, class error) (restore func()) {
	dir := filepath.Dir(path)
	must := func(errs ...error) {
		if err := errors.Join(errs...); err != nil {
			tb.Error(err)
		}
	}
	switch {
	case class == keyprovider.ErrInvalid:
		data := filepath.Join(dir, "..data")
		must(os.Symlink("elsewhere", data))
		return func() { must(os.Remove(data)) }
	case class == keyprovider.ErrUnavailable:
		must(os.Rename(dir, dir+".aside"))
		return func() { must(os.Rename(dir+".aside", dir)) }
	case class == keyprovider.ErrDenied && os.Getuid() > 0:
		must(os.Chmod(dir, 0))
		return func() { must(os.Chmod(dir, 0o700)) }
	}
	return nil
}
