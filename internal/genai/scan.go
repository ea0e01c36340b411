package genai

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// MaxValue is the longest value that is taken over, in bytes. A longer one is
// left out.
const MaxValue = 256

// maxDepth is more than the depth of any place that is looked for. What lies
// deeper is passed over by counting brackets.
const maxDepth = 8

// token is what a scanner is within.
type token uint8

const (
	between token = iota // of values: structure and white space
	inString
	inLiteral // a number, true, false, null
)

// A scanner finds facts in a JSON text that comes in pieces. It checks no
// grammar: of a text that is not JSON it may report nothing or nonsense, and it
// never fails. Texts may follow each other.
type scanner struct {
	root *node
	to   taker

	stack   [maxDepth]frame // the containers open on the way to wanted places
	depth   int
	skipped int   // containers open below those, in which nothing is wanted
	next    *node // of the value that comes next; nil: not wanted

	in       token
	key      bool // the next string, or the one being read, is a name
	capture  bool // the token is wanted
	escaped  bool // the piece before ended in an odd number of backslashes
	overflow bool // the value is too long
	n        int  // bytes of held
	held     [MaxValue]byte
}

type frame struct {
	node   *node
	object bool
}

func newScanner(root *node, to taker) scanner { return scanner{root: root, to: to, next: root} }

// reset forgets an unfinished text.
func (s *scanner) reset() {
	s.depth, s.skipped, s.next, s.n = 0, 0, s.root, 0
	s.in, s.key, s.capture, s.escaped, s.overflow = between, false, false, false, false
}

// write takes the next piece of the text.
func (s *scanner) write(p []byte) {
	for len(p) > 0 {
		switch s.in {
		case inString:
			p = s.str(p)
		case inLiteral:
			p = s.literal(p)
		default:
			if s.skipped > 0 {
				p = s.skip(p)
			} else {
				p = s.structure(p)
			}
		}
	}
}

// skip passes over what is not wanted, up to a string or the end of it.
func (s *scanner) skip(p []byte) []byte {
	for i, c := range p {
		switch c {
		case '"':
			s.in, s.key, s.capture = inString, false, false
			return p[i+1:]
		case '{', '[':
			s.skipped++
		case '}', ']':
			if s.skipped--; s.skipped == 0 {
				s.ended()
				return p[i+1:]
			}
		}
	}
	return nil
}

// structure takes the bytes between values where something may be wanted.
func (s *scanner) structure(p []byte) []byte {
	for i, c := range p {
		switch c {
		case '"':
			s.in = inString
			s.capture = s.key || s.next != nil && s.next.fact != 0
			return p[i+1:]
		case '{', '[':
			s.open(c == '{')
			if s.skipped > 0 {
				return p[i+1:]
			}
		case '}', ']':
			s.close()
		case ',':
			s.comma()
		case ':':
			s.key = false
		case ' ', '\t', '\n', '\r':
		default:
			if s.next != nil && s.next.fact != 0 {
				s.in, s.capture = inLiteral, true
				return p[i:]
			}
		}
	}
	return nil
}

func (s *scanner) open(object bool) {
	n := s.next
	wanted := n != nil && s.depth < maxDepth && (object && n.fields != nil || !object && n.items != nil)
	if !wanted {
		s.skipped = 1
		return
	}
	s.stack[s.depth] = frame{n, object}
	s.depth++
	s.key, s.next = object, n.items
	if object {
		s.next = nil
	}
}

func (s *scanner) close() {
	s.key = false
	if s.depth == 0 {
		return
	}
	s.depth--
	if f := s.stack[s.depth].node.ending; f != 0 {
		s.to.end(f)
	}
	s.ended()
}

// ended prepares for what may follow a value.
func (s *scanner) ended() {
	s.next = nil
	if s.depth == 0 {
		s.next = s.root
	}
}

func (s *scanner) comma() {
	if s.depth == 0 {
		return
	}
	if top := s.stack[s.depth-1]; top.object {
		s.key, s.next = true, nil
	} else {
		s.next = top.node.items
	}
}

// str takes a string up to its end.
func (s *scanner) str(p []byte) []byte {
	for from := 0; ; {
		i := bytes.IndexByte(p[from:], '"')
		if i < 0 {
			s.escaped = oddBackslashes(p, s.escaped)
			s.hold(p)
			return nil
		}
		i += from
		if (i == 0 || p[i-1] == '\\') && oddBackslashes(p[:i], s.escaped) {
			from = i + 1
			if from == len(p) {
				s.escaped = false
				s.hold(p)
				return nil
			}
			continue
		}
		s.escaped, s.in = false, between
		s.complete(p[:i], true)
		return p[i+1:]
	}
}

// oddBackslashes reports whether what follows p is escaped. before says so of
// what p begins with.
func oddBackslashes(p []byte, before bool) bool {
	n := 0
	for n < len(p) && p[len(p)-1-n] == '\\' {
		n++
	}
	return (n%2 == 1) != (n == len(p) && before)
}

func (s *scanner) literal(p []byte) []byte {
	for i, c := range p {
		switch c {
		case ',', '}', ']', ':', ' ', '\t', '\n', '\r', '"', '{', '[':
			s.in = between
			s.complete(p[:i], false)
			return p[i:]
		}
	}
	s.hold(p)
	return nil
}

// hold keeps a part of a wanted token of which more may come.
func (s *scanner) hold(p []byte) {
	if !s.capture {
		return
	}
	if s.n+len(p) > len(s.held) {
		s.overflow = true
		return
	}
	s.n += copy(s.held[s.n:], p)
}

// complete takes the last part of a token.
func (s *scanner) complete(p []byte, text bool) {
	if !s.capture {
		if !s.key && s.skipped == 0 {
			s.ended()
		}
		return
	}
	v := p
	if s.n > 0 {
		s.hold(p)
		v = s.held[:s.n]
	}
	tooLong := s.overflow || len(v) > MaxValue
	key, n := s.key, s.next
	s.n, s.capture, s.overflow = 0, false, false
	switch {
	case key:
		s.next = nil
		if !tooLong && s.depth > 0 {
			s.next = s.stack[s.depth-1].node.fields[string(v)]
		}
		return // until the colon, a name; then its value
	case !tooLong:
		if text && bytes.IndexByte(v, '\\') >= 0 {
			v = unquote(v)
		}
		s.to.take(n.fact, valid(v), text)
	}
	s.ended()
}

// unquote decodes the escapes of a string. A malformed one is empty.
func unquote(v []byte) []byte {
	var text string
	if json.Unmarshal([]byte(`"`+string(v)+`"`), &text) != nil {
		return nil
	}
	return []byte(text)
}

// valid mends broken UTF-8, on which an exporter would choke.
func valid(v []byte) []byte {
	if utf8.Valid(v) {
		return v
	}
	return bytes.ToValidUTF8(v, []byte("\ufffd"))
}
