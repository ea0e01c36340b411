package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A screen prints lines that stay and, where a person is looking, one below them
// that is drawn again and again. It is safe for concurrent use.
type screen struct {
	out   io.Writer
	live  bool // a terminal
	width int
	stamp func() string // what a line begins with

	mu    sync.Mutex
	below string // what is drawn now
	last  string // what a plain screen has said of the wait
	ended bool
}

func newScreen(out io.Writer, live bool, stamp func() string) *screen {
	width := 80
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 20 {
		width = n
	}
	return &screen{out: out, live: live, width: width, stamp: stamp}
}

// wallClock and sinceNow are two ways to stamp a line.
func wallClock() string { return time.Now().Format("2006-01-02 15:04:05") }

func sinceNow() func() string {
	began := time.Now()
	return func() string { return fmt.Sprintf("%6.2fs", time.Since(began).Seconds()) }
}

// say prints that somebody did something.
func (s *screen) say(who, format string, args ...any) {
	s.print("%s  %-8s  %s", s.stamp(), who, fmt.Sprintf(format, args...))
}

// title prints a heading.
func (s *screen) title(text string) { s.print("\n%s", text) }

// print prints lines that stay.
func (s *screen) print(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.erase()
	fmt.Fprintf(s.out, format+"\n", args...)
	s.draw()
}

// show says what is waited for, and how long still. A terminal draws it in
// place; elsewhere it is a line of its own whenever what is waited for changes.
func (s *screen) show(phase, why, left string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	if !s.live {
		if text := phase + "\x00" + why; text != s.last && why != "" {
			s.last = text
			fmt.Fprintf(s.out, "%s  %-8s  %s: %s\n", s.stamp(), "waits", phase, why)
		}
		return
	}
	line := phase
	for _, part := range []string{left, why} {
		if part != "" {
			line += " · " + part
		}
	}
	if line = s.clip(line); line == s.below {
		return
	}
	s.erase()
	s.below = line
	s.draw()
}

// clear takes the line below away.
func (s *screen) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	s.below, s.last = "", ""
}

// end keeps what comes later, such as an event that is still on its way, from
// the output.
func (s *screen) end() {
	s.clear()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}

func (s *screen) erase() {
	if s.below != "" {
		fmt.Fprint(s.out, "\r\x1b[K")
	}
}

func (s *screen) draw() {
	if s.below != "" {
		fmt.Fprint(s.out, s.below)
	}
}

// clip keeps the line from wrapping, where it could not be erased, and from
// moving the cursor.
func (s *screen) clip(line string) string {
	line = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, line)
	if runes := []rune(line); len(runes) > s.width-1 {
		line = string(runes[:s.width-2]) + "…"
	}
	return line
}
