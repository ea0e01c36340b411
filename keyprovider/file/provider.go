package file

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/keybearer/keybearer/internal/keyshape"
	"github.com/keybearer/keybearer/keyprovider"
)

// DefaultPollInterval is how often a Provider asks to be polled by default.
const DefaultPollInterval = 10 * time.Second

// Options configure a Provider. The zero value is the good default.
type Options struct {
	// Dir, if not "", is the directory in which the path given to New is
	// looked up, as with an os.Root: neither "..", nor an absolute path, nor a
	// symbolic link leads out of it. Links within it work, those of a
	// Kubernetes volume included. A relative Dir is relative to the working
	// directory at the time of New.
	Dir string

	// Field is the field of a JSON object that holds the key. ["api_key"]
	Field string

	// PollInterval is how often the holder of the Provider should look at the
	// file besides watching it. [10s] Negative: not at all, which leaves
	// changes unseen where the file system does not report them.
	PollInterval time.Duration

	// DisableWatch leaves changes to polling alone: Watch only waits for its
	// context to be done.
	DisableWatch bool

	// Logger receives the one warning about a file that others can read.
	// [slog.Default]
	Logger *slog.Logger
}

// Provider provides the key that a file holds. It is safe for concurrent use
// and needs no closing. Make one with New.
type Provider struct {
	place  place
	opts   Options
	name   string
	given  given
	warned sync.Once

	// slots bounds the reads that run at one time: on a mount that hangs, a
	// read outlives its context and holds a thread.
	slots chan struct{}

	newWatcher func() (*fsnotify.Watcher, error) // replaced in tests
	readOnly   func(*os.File) bool               // replaced in tests
}

var (
	_ keyprovider.KeyProvider = (*Provider)(nil)
	_ keyprovider.Watcher     = (*Provider)(nil)
	_ keyprovider.Poller      = (*Provider)(nil)
)

// New returns a provider of the key in the file at path, or at path within
// Options.Dir. A relative path is relative to the working directory at the
// time of the call. nil opts are the defaults.
//
// The file need not exist yet; New does not read it. The error is of class
// keyprovider.ErrInvalid: path is empty, is not text, leads out of Dir, or
// looks like a key, which the error does not repeat.
func New(path string, opts *Options) (*Provider, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	place, why := newPlace(path, o.Dir)
	if why == "" && keyshape.Looks(o.Field) {
		why = "the configured field looks like an API key: name the field that holds it"
	}
	if why != "" {
		return nil, &keyprovider.Error{Provider: "file", Class: keyprovider.ErrInvalid, Err: keyprovider.Reason(why, nil)}
	}
	return &Provider{
		place:      place,
		opts:       o,
		name:       "file:" + place.path(),
		slots:      make(chan struct{}, maxReads),
		newWatcher: fsnotify.NewWatcher,
		readOnly:   onReadOnlyMount,
	}, nil
}

// NewCredential returns a provider of the systemd credential of that name: the
// file in $CREDENTIALS_DIRECTORY that LoadCredential= or SetCredential= of the
// unit puts there. opts.Dir must be empty. Outside such a unit the error is of
// class keyprovider.ErrNotFound.
func NewCredential(name string, opts *Options) (*Provider, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	class, why := keyprovider.ErrInvalid, "a credential is looked up in $CREDENTIALS_DIRECTORY: leave Options.Dir empty"
	if o.Dir == "" {
		o.Dir = os.Getenv("CREDENTIALS_DIRECTORY")
		class, why = keyprovider.ErrNotFound, "CREDENTIALS_DIRECTORY is not set: run as a systemd service with LoadCredential="
		if o.Dir != "" {
			return New(name, &o)
		}
	}
	return nil, &keyprovider.Error{Provider: "file", Class: class, Err: keyprovider.Reason(why, nil)}
}

// Fetch reads the file. Its errors are of class
//   - keyprovider.ErrNotFound: there is no such file;
//   - keyprovider.ErrDenied: the process may not read it;
//   - keyprovider.ErrInvalid: it is no regular file, or does not hold a key;
//   - keyprovider.ErrUnavailable: the file system fails, or the file is being
//     written to: it does not stand still, or does not hold a key and was
//     changed less than two seconds ago.
func (p *Provider) Fetch(ctx context.Context, last keyprovider.Version) (*keyprovider.Key, error) {
	snap, err := p.read(ctx)
	if err != nil {
		return nil, err
	}
	key, err := keyprovider.ParseKey(snap.data, p.opts.Field, keyprovider.Info{})
	switch {
	case err != nil && snap.age().Abs() < settling:
		return nil, p.failure(keyprovider.ErrUnavailable, keyprovider.Reason(
			"the file holds no complete key and was changed a moment ago: it may still be written to", nil))
	case err != nil:
		return nil, p.malformed(err)
	case p.given.before(key) && last == key.Version():
		return nil, keyprovider.ErrNotModified
	}
	return key, nil
}

// PollInterval is the configured one, or DefaultPollInterval.
func (p *Provider) PollInterval() time.Duration {
	if p.opts.PollInterval == 0 {
		return DefaultPollInterval
	}
	return p.opts.PollInterval
}

// String returns "file:" and the path.
func (p *Provider) String() string { return p.name }

func (p *Provider) failure(class, cause error) error {
	return &keyprovider.Error{Provider: p.name, Class: class, Err: cause}
}

// malformed is ParseKey's error with the name of the file.
func (p *Provider) malformed(err error) error {
	if e, ok := errors.AsType[*keyprovider.Error](err); ok {
		return p.failure(keyprovider.ErrInvalid, e.Err)
	}
	return p.failure(keyprovider.ErrInvalid, err)
}

// look returns a digest of what the file holds now, zero if it cannot be read,
// and the version of the key, "" if it holds none.
func (p *Provider) look(ctx context.Context) (digest [sha256.Size]byte, version keyprovider.Version, err error) {
	snap, err := p.read(ctx)
	if err != nil {
		return digest, "", err
	}
	if key, err := keyprovider.ParseKey(snap.data, p.opts.Field, keyprovider.Info{}); err == nil {
		version = key.Version()
	}
	return sha256.Sum256(snap.data), version, nil
}
