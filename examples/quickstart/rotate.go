package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// An operator rotates the key: the other side of the story, which does hold the
// keys. It makes them at OpenAI, puts them in the file and revokes the old ones.
type operator struct {
	srv   *openaitest.Server
	path  string
	line  *timeline
	guard *guard

	source *rotation.Source // to see when the application has taken up a key
	app    *application
	score  *score

	keys []apiKey // the one in the file last
}

type apiKey struct{ name, secret, fingerprint string }

// A chapter is one rotation.
type chapter struct {
	title string
	play  func(context.Context, *operator) error
}

var story = []chapter{
	{"1. The usual rotation: the old key lives on until the new one is in use", overlapping},
	{"2. An emergency: the old key is revoked before anybody can have seen the new one", atOnce},
	{"3. A new key that OpenAI does not accept yet: the old one stands in", tooEarly},
}

func (o *operator) play(ctx context.Context, story []chapter) error {
	if err := pause(ctx, warmUp); err != nil {
		return err
	}
	for _, c := range story {
		o.score.chapter()
		o.line.title(c.title)
		if err := c.play(ctx, o); err != nil {
			return fmt.Errorf("%s: %w", c.title, err)
		}
	}
	o.score.chapter()
	return nil
}

const (
	warmUp  = 400 * time.Millisecond
	overlap = 500 * time.Millisecond // how long the operator lets both keys live
)

func overlapping(ctx context.Context, o *operator) error {
	old := o.current()
	if _, err := o.writeNew(openaitest.MintOptions{}); err != nil {
		return err
	}
	if err := o.inUse(ctx); err != nil {
		return err
	}
	if err := pause(ctx, overlap); err != nil {
		return err
	}
	o.revoke(old)
	return pause(ctx, overlap)
}

func atOnce(ctx context.Context, o *operator) error {
	old := o.current()
	if _, err := o.writeNew(openaitest.MintOptions{}); err != nil {
		return err
	}
	o.revoke(old)
	if err := o.inUse(ctx); err != nil {
		return err
	}
	return pause(ctx, overlap)
}

func tooEarly(ctx context.Context, o *operator) error {
	old := o.current()
	early, err := o.writeNew(openaitest.MintOptions{ActiveAfter: time.Hour})
	if err != nil {
		return err
	}
	// First the source swaps the new key in, then it takes it back.
	if err := o.until(ctx, func(s rotation.SourceStatus) bool {
		return s.Fingerprint == old.fingerprint && s.Candidate != ""
	}); err != nil {
		return err
	}
	if err := pause(ctx, overlap); err != nil {
		return err
	}
	o.srv.Activate(early.secret)
	o.line.say("service", "%s has spread by now", early.name)
	if err := o.inUse(ctx); err != nil {
		return err
	}
	o.revoke(old)
	return pause(ctx, overlap)
}

func (o *operator) current() apiKey { return o.keys[len(o.keys)-1] }

// writeNew makes a key and puts it in the file: a new file, renamed over the old
// one, so that no reader sees half a key.
func (o *operator) writeNew(opts openaitest.MintOptions) (apiKey, error) {
	opts.Name = fmt.Sprintf("key %d", len(o.keys)+1)
	secret := o.srv.Mint(opts)
	o.guard.watchFor(secret)
	parsed, err := keyprovider.NewKey(secret, keyprovider.Info{}) // for its fingerprint
	if err != nil {
		return apiKey{}, err
	}
	key := apiKey{opts.Name, secret, parsed.Fingerprint()}
	o.line.name(key)
	o.keys = append(o.keys, key)
	if err := os.WriteFile(o.path+".new", []byte(secret+"\n"), 0o600); err != nil {
		return apiKey{}, err
	}
	if err := os.Rename(o.path+".new", o.path); err != nil {
		return apiKey{}, err
	}
	o.line.say("operator", "makes %s (fingerprint %s) and writes it to the file", key.name, key.fingerprint)
	return key, nil
}

func (o *operator) revoke(k apiKey) {
	o.srv.Revoke(k.secret)
	o.line.say("operator", "revokes %s", k.name)
}

// inUse waits until the service has accepted the key in the file.
func (o *operator) inUse(ctx context.Context) error {
	want := o.current().fingerprint
	return o.until(ctx, func(s rotation.SourceStatus) bool { return s.Fingerprint == want && s.Accepted })
}

// until waits for a state of the source.
func (o *operator) until(ctx context.Context, reached func(rotation.SourceStatus) bool) error {
	for !reached(o.source.Status()) {
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return fmt.Errorf("the source does not get on: %w", err)
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
