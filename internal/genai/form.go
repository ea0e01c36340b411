package genai

import (
	"bytes"
	"strings"
)

// maxHeader bounds what is kept of the header of a form's part.
const maxHeader = 512

// formFacts are the fields of the forms that uploads come in.
var formFacts = map[string]fact{
	"model":       reqModel,
	"stream":      reqStream,
	"n":           reqChoices,
	"temperature": reqTemperature,
}

// A form follows a body of multipart/form-data. Files pass it unseen: it only
// looks for the delimiters between the parts.
type form struct {
	boundary  string
	delimiter []byte // "\r\n--boundary"
	to        taker

	// tail holds the last bytes seen, fewer than a delimiter has: one may be cut
	// in two by the end of a piece.
	tail []byte

	header   bool   // within a part's header
	text     []byte // of the header, or of a wanted value
	wanted   fact
	overflow bool
}

func newForm(boundary string, to taker) *form {
	delimiter := []byte("\r\n--" + boundary)
	return &form{
		boundary:  boundary,
		delimiter: delimiter,
		to:        to,
		tail:      append(make([]byte, 0, 2*len(delimiter)), "\r\n"...), // the first delimiter has no line before
		text:      make([]byte, 0, maxHeader),
	}
}

// write takes the next piece of the body.
func (f *form) write(p []byte) {
	for len(p) > 0 {
		if f.header {
			p = f.readHeader(p)
		} else {
			p = f.readPart(p)
		}
	}
}

var blankLine = []byte("\r\n\r\n")

// readHeader takes a part's header up to its blank line. It begins with what
// follows the delimiter on its line.
func (f *form) readHeader(p []byte) []byte {
	for i, c := range p {
		if len(f.text) == maxHeader { // keep the end, in which the blank line comes
			f.text = append(f.text[:0], f.text[maxHeader-len(blankLine):]...)
		}
		if f.text = append(f.text, c); c == '\n' && bytes.HasSuffix(f.text, blankLine) {
			f.header, f.overflow = false, false
			f.wanted = formFacts[fieldName(string(f.text))]
			f.text = f.text[:0]
			f.tail = append(f.tail[:0], "\r\n"...) // an empty value's delimiter follows at once
			return p[i+1:]
		}
	}
	return nil
}

// fieldName returns the name in a part's Content-Disposition.
func fieldName(header string) string {
	_, rest, ok := strings.Cut(header, `form-data; name="`)
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, `"`)
	return name
}

// readPart takes a part's content up to its delimiter.
func (f *form) readPart(p []byte) []byte {
	if len(f.tail) > 0 { // a delimiter that began in the piece before?
		join := append(f.tail, p[:min(len(p), len(f.delimiter)-1)]...)
		if i := bytes.Index(join, f.delimiter); i >= 0 {
			used := i + len(f.delimiter) - len(f.tail)
			f.keep(p[:max(0, i-len(f.tail))])
			f.endPart(max(0, len(f.tail)-i))
			return p[used:]
		}
	}
	if i := bytes.Index(p, f.delimiter); i >= 0 {
		f.keep(p[:i])
		f.endPart(0)
		return p[i+len(f.delimiter):]
	}
	f.keep(p)
	f.remember(p)
	return nil
}

// remember keeps the bytes that may begin a delimiter.
func (f *form) remember(p []byte) {
	most := len(f.delimiter) - 1
	if len(p) >= most {
		f.tail = append(f.tail[:0], p[len(p)-most:]...)
		return
	}
	if drop := len(f.tail) + len(p) - most; drop > 0 {
		f.tail = append(f.tail[:0], f.tail[drop:]...)
	}
	f.tail = append(f.tail, p...)
}

func (f *form) keep(p []byte) {
	if f.wanted == 0 {
		return
	}
	if len(f.text)+len(p) > maxHeader {
		f.overflow = true
		return
	}
	f.text = append(f.text, p...)
}

// endPart reports a wanted value, of which the last bytes, already kept, are
// those of the delimiter.
func (f *form) endPart(surplus int) {
	if f.wanted != 0 && !f.overflow {
		if v := f.text[:max(0, len(f.text)-surplus)]; len(v) <= MaxValue {
			f.to.take(f.wanted, valid(v), true)
		}
	}
	f.wanted, f.header = 0, true
	f.text, f.tail = f.text[:0], f.tail[:0]
}
