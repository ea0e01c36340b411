package file

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

const (
	// maxSize is the largest file, in bytes, that is read.
	maxSize = 64 << 10
	// quiet is how long a file must have been left alone before what it holds
	// is believed.
	quiet = 50 * time.Millisecond
	// settling is how long after its last change a file that holds no key may
	// be one whose writer is slow.
	settling = 2 * time.Second
	// maxTries bounds the readings that wait for the file to be quiet.
	maxTries = 12
	// maxGone is how many of them may find no file where there was one: a
	// writer that removes the file and creates it anew is not done yet.
	maxGone = 3
	// maxReads is the number of reads of one Provider at one time.
	maxReads = 16
)

// snapshot is what the file held at one moment.
type snapshot struct {
	data []byte
	info fs.FileInfo
}

// age is the time since the file's last change; negative where the clock of
// the file system is ahead.
func (s *snapshot) age() time.Duration { return time.Since(s.info.ModTime()) }

// same reports whether the file was left alone between two snapshots.
func (s *snapshot) same(t *snapshot) bool {
	return unchanged(s.info, t.info) && bytes.Equal(s.data, t.data)
}

func unchanged(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// read returns what the file holds once it stands still. It returns when ctx
// is done even where the file system hangs.
func (p *Provider) read(ctx context.Context) (*snapshot, error) {
	if p.slots == nil {
		return nil, p.failure(keyprovider.ErrInvalid, keyprovider.Reason("the Provider is a zero value: make it with New", nil))
	}
	if ctx.Err() != nil {
		return nil, p.failure(keyprovider.ErrUnavailable, ctx.Err())
	}
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, p.failure(keyprovider.ErrUnavailable, ctx.Err())
	}
	type result struct {
		snap *snapshot
		err  error
	}
	done := make(chan result, 1)
	go func() {
		defer func() { <-p.slots }()
		snap, err := p.readQuiet(ctx)
		done <- result{snap, err}
	}()
	select {
	case r := <-done:
		return r.snap, r.err
	case <-ctx.Done():
		return nil, p.failure(keyprovider.ErrUnavailable, ctx.Err())
	}
}

// errTorn: the file changed while it was read.
var errTorn = errors.New("the file is being written to")

// readQuiet reads until the file has been left alone for the time of quiet:
// because its last change is that long ago or, where the clocks differ or the
// change is young, because two readings that far apart agree. An empty file
// needs two readings always: while Linux truncates a file, its size is 0
// already and its time is still the old one.
func (p *Provider) readQuiet(ctx context.Context) (*snapshot, error) {
	var earlier *snapshot
	gone := 0
	for range maxTries {
		snap, err := p.readOnce()
		switch {
		case err == nil && (len(snap.data) > 0 && snap.age() >= quiet || earlier != nil && earlier.same(snap)):
			return snap, nil
		case errors.Is(err, fs.ErrNotExist) && p.given.any() && gone < maxGone:
			gone++
		case err != nil && err != errTorn:
			if _, ours := errors.AsType[*keyprovider.Error](err); ours {
				return nil, err
			}
			return nil, p.failure(p.place.classify(err))
		}
		earlier = snap
		if err := pause(ctx, quiet); err != nil {
			return nil, p.failure(keyprovider.ErrUnavailable, err)
		}
	}
	return nil, p.failure(keyprovider.ErrUnavailable, keyprovider.Reason(
		"the file does not stand still: write a new file and rename it over the old one", errTorn))
}

// readOnce reads the file. The error is errTorn if it changed meanwhile.
func (p *Provider) readOnce() (*snapshot, error) {
	f, err := p.place.open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, err
	}
	after, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if len(data) > maxSize {
		return nil, p.failure(keyprovider.ErrInvalid, keyprovider.Reason("the file has more than 64 KiB: it holds something else than a key", nil))
	}
	// Some file systems do not know the size: theirs is 0.
	if !unchanged(before, after) || after.Size() != 0 && after.Size() != int64(len(data)) {
		return nil, errTorn
	}
	p.warnOnce(f, after)
	return &snapshot{data: data, info: after}, nil
}

// pause waits for d, or returns the error of ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
