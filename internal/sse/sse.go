// Package sse reads streams of server-sent events as they pass, in whatever
// pieces they come.
//
// A [Parser] keeps a few bytes of state and no text: data goes to the [Sink] as
// slices of the piece that brought it, so that an event of any size costs no
// memory. Who needs a whole event collects it, under a bound of their own.
package sse

import "bytes"

// A Sink is given the data of events.
type Sink interface {
	// Data is given the next piece of the current event's data, "\n" between
	// the lines of it. The slice is the caller's of Parser.Write: it is not kept.
	// It is never empty.
	Data(p []byte)

	// End says that the event is complete. It comes for events with a data line
	// only, be it empty; others dispatch nothing.
	End()

	// Event is given the data of a whole event, where one line of one piece holds
	// it, in place of Data and End: most events come like that, and some sinks
	// can do better with them. The slice is not kept, and may be empty.
	Event(p []byte)
}

// where is the place in a line.
type where uint8

const (
	inName  where = iota // of the field; Parser.matched bytes are those of "data"
	inSpace              // behind the colon, where one space is not of the value
	inValue              // of a data line
	inOther              // the rest of a line that says nothing to us
)

const (
	dataName  = "data"
	dataField = dataName + ": "
	bom       = "\ufeff"
)

var newline = []byte{'\n'}

// A Parser follows one stream. It takes lines that end in LF, CR or CRLF, data
// with and without a space behind the colon, data of several lines, comments, and
// a byte order mark; the fields event, id and retry it passes over. It is not
// safe for concurrent use.
type Parser struct {
	sink    Sink
	at      where
	matched int8 // bytes of dataName
	mark    int8 // bytes of bom; -1 once it cannot come any more
	hasData bool // the event has a data line
	afterCR bool // an LF here belongs to the line end before
}

// NewParser returns a Parser at the beginning of a stream.
func NewParser(sink Sink) Parser { return Parser{sink: sink} }

// Write takes the next piece of the stream, and calls the sink for what is in
// it. It keeps no part of p.
func (p *Parser) Write(b []byte) {
	hasCR := bytes.IndexByte(b, '\r') >= 0
	for len(b) > 0 {
		if p.afterCR {
			p.afterCR = false
			if b[0] == '\n' {
				b = b[1:]
				continue
			}
		}
		switch p.at {
		case inName:
			b = p.name(b, hasCR)
		case inSpace:
			p.beginValue()
			if b[0] == ' ' {
				b = b[1:]
			}
		default:
			b = p.rest(b, hasCR)
		}
	}
}

// Flush ends an event at the end of the stream that lacks its blank line. The
// standard drops such an event; clients of OpenAI's do not.
func (p *Parser) Flush() {
	if p.at == inSpace || p.at == inName && p.matched == int8(len(dataName)) {
		p.beginValue()
	}
	p.dispatch()
	*p = NewParser(p.sink)
}

// name takes bytes of a field's name, and the line end of a blank line.
func (p *Parser) name(b []byte, hasCR bool) []byte {
	if p.matched == 0 && p.mark <= 0 && len(b) > len(dataField) && string(b[:len(dataField)]) == dataField {
		return p.line(b[len(dataField):], hasCR)
	}
	c := b[0]
	switch {
	case p.mark >= 0 && c == bom[p.mark]:
		if p.mark++; int(p.mark) == len(bom) {
			p.mark = -1
		}
		return b[1:]
	case p.mark > 0: // the beginning of something else
		p.mark, p.at = -1, inOther
		return b
	}
	p.mark = -1
	complete := int(p.matched) == len(dataName)
	switch {
	case c == '\r' || c == '\n':
		if complete { // a data line without a colon has an empty value
			p.beginValue()
			p.endLine(c)
			return b[1:]
		}
		blank := p.matched == 0
		p.endLine(c)
		if blank {
			p.dispatch()
		}
	case complete && c == ':':
		p.at = inSpace
	case !complete && c == dataName[p.matched]:
		p.matched++
	default:
		p.at = inOther
	}
	return b[1:]
}

// line takes a data line of the form that nearly every stream consists of.
func (p *Parser) line(b []byte, hasCR bool) []byte {
	p.mark = -1
	if !p.hasData && !hasCR {
		if i := bytes.IndexByte(b, '\n'); i >= 0 && i+1 < len(b) && b[i+1] == '\n' {
			p.sink.Event(b[:i])
			return b[i+2:]
		}
	}
	p.beginValue()
	return b
}

// beginValue begins the value of a data line.
func (p *Parser) beginValue() {
	p.at = inValue
	if p.hasData {
		p.sink.Data(newline)
	}
	p.hasData = true
}

// rest takes the rest of a line, as far as it has come.
func (p *Parser) rest(b []byte, hasCR bool) []byte {
	end := bytes.IndexByte(b, '\n')
	if hasCR {
		if cr := bytes.IndexByte(b[:max(end, 0)], '\r'); cr >= 0 {
			end = cr
		} else if end < 0 {
			end = bytes.IndexByte(b, '\r')
		}
	}
	value := b
	if end >= 0 {
		value = b[:end]
	}
	if p.at == inValue && len(value) > 0 {
		p.sink.Data(value)
	}
	if end < 0 {
		return nil
	}
	p.endLine(b[end])
	return b[end+1:]
}

func (p *Parser) endLine(c byte) {
	p.at, p.matched, p.afterCR = inName, 0, c == '\r'
}

func (p *Parser) dispatch() {
	if p.hasData {
		p.hasData = false
		p.sink.End()
	}
}
