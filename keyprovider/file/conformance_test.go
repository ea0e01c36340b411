package file

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func TestConformance(t *testing.T) {
	tests := map[string]func(path string) (string, *Options){
		"path":      func(path string) (string, *Options) { return path, nil },
		"directory": func(path string) (string, *Options) { return filepath.Base(path), &Options{Dir: filepath.Dir(path)} },
		"polled":    func(path string) (string, *Options) { return path, &Options{DisableWatch: true} },
	}
	for name, at := range tests {
		t.Run(name, func(t *testing.T) {
			keyprovidertest.Run(t, keyprovidertest.Harness{New: func(tb testing.TB) *keyprovidertest.Place {
				path := filepath.Join(tb.TempDir(), "openai")
				path, opts := at(path)
				p := provide(tb, path, opts)
				return newPlaceOf(tb, p)
			}})
		})
	}
}

// newPlaceOf makes the suite act on a provider's file. What it stores was
// stored long ago: a young malformed file may be half of something.
func newPlaceOf(tb testing.TB, p *Provider) *keyprovidertest.Place {
	path := p.place.path()
	return &keyprovidertest.Place{
		Provider: p,
		NoHints:  p.opts.DisableWatch,
		Set:      func(value []byte) { replace(tb, path, string(value)) },
		Delete:   func() { remove(tb, path) },
		Fail:     func(class error) (restore func()) { return fail(tb, p, class) },
		Hang: func() (release func()) {
			for range maxReads { // as many as a mount that hangs can hold
				p.slots <- struct{}{}
			}
			return func() {
				for range maxReads {
					<-p.slots
				}
			}
		},
	}
}

// fail makes reading the file fail with class, as far as that can be had.
func fail(tb testing.TB, p *Provider, class error) (restore func()) {
	path := p.place.path()
	aside := path + ".aside"
	must := func(err error) {
		if err != nil {
			tb.Error(err)
		}
	}
	switch {
	case class == keyprovider.ErrNotFound:
		must(os.Rename(path, aside))
		return func() { must(os.Rename(aside, path)) }
	case class == keyprovider.ErrInvalid:
		must(os.Rename(path, aside))
		must(os.Mkdir(path, 0o700))
		return func() { must(errors.Join(os.Remove(path), os.Rename(aside, path))) }
	case class == keyprovider.ErrDenied && os.Getuid() > 0:
		must(os.Chmod(path, 0))
		return func() { must(os.Chmod(path, 0o600)) }
	}
	return nil
}

// What no file system of a test machine does on demand.
func TestClassify(t *testing.T) {
	for errno, want := range map[syscall.Errno]error{
		syscall.EIO:       keyprovider.ErrUnavailable,
		syscall.EMFILE:    keyprovider.ErrUnavailable,
		syscall.ETIMEDOUT: keyprovider.ErrUnavailable,
		syscall.EACCES:    keyprovider.ErrDenied,
		syscall.EPERM:     keyprovider.ErrDenied,
		syscall.ENOENT:    keyprovider.ErrNotFound,
	} {
		for _, place := range []place{{name: "/key"}, {dir: "/", name: "key"}} {
			cause := &os.PathError{Op: "open", Path: "/key", Err: errno}
			class, err := place.classify(cause)
			if class != want || !errors.Is(err, errno) {
				t.Errorf("classify(%v) = %v, %v; want %v", errno, class, err, want)
			}
		}
	}
}
