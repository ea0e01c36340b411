package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// A timeline prints what happens, a line each, with the time since it began.
type timeline struct {
	out    io.Writer
	colour bool
	began  time.Time

	mu    sync.Mutex
	names map[string]string // of keys, by fingerprint
}

func newTimeline(out io.Writer, colour bool) *timeline {
	return &timeline{out: out, colour: colour, began: time.Now(), names: map[string]string{}}
}

// say prints that somebody did something.
func (t *timeline) say(who, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, "%6.2fs  %s  %s\n", time.Since(t.began).Seconds(), t.paint(who), fmt.Sprintf(format, args...))
}

// title prints a heading.
func (t *timeline) title(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, "\n%s\n", t.ansi(text, "1"))
}

// print prints a line of a table or a tree.
func (t *timeline) print(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, "  "+format+"\n", args...)
}

// event prints what happened to the source. It is its OnEvent.
func (t *timeline) event(e rotation.SourceEvent) {
	key, previous := t.nameOf(e.Key), t.nameOf(e.PreviousKey)
	switch e.Kind {
	case rotation.EventSwapped:
		switch {
		case e.PreviousKey == nil:
			t.say("source", "%s serves", key)
		case e.Trial:
			t.say("source", "tries %s again", key)
		default:
			t.say("source", "swaps %s for %s: the next request bears it", previous, key)
		}
	case rotation.EventAccepted:
		t.say("source", "%s is accepted", key)
	case rotation.EventRefused:
		t.say("source", "%s was refused: looks for another in the file", key)
	case rotation.EventFellBack:
		t.say("source", "%s is not accepted yet: %s stands in", previous, key)
	case rotation.EventClosed:
	default:
		t.say("source", "%s %s %v", e.Kind, key, e.Err)
	}
}

// name tells what a key is called. Only the operator knows.
func (t *timeline) name(k apiKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.names[k.fingerprint] = k.name
}

func (t *timeline) nameOf(k *keyprovider.Key) string {
	if k == nil {
		return ""
	}
	return t.named(k.Fingerprint())
}

func (t *timeline) named(fingerprint string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if name := t.names[fingerprint]; name != "" {
		return name
	}
	return "an unknown key"
}

// paint gives everybody a column and a colour.
func (t *timeline) paint(who string) string {
	codes := map[string]string{"operator": "33", "source": "36", "calls": "32", "FAILED": "1;31"}
	return t.ansi(fmt.Sprintf("%-8s", who), codes[who])
}

func (t *timeline) ansi(text, code string) string {
	if !t.colour || code == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}
