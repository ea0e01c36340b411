package gcpstore

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// maxDocument is the largest state document, in bytes.
const maxDocument = 16 << 10

// packed is what a value begins with that "base64 -d | gunzip" makes a document
// of, after this prefix.
const packed = "gzip:"

// pack writes a document as an annotation's value of at most room bytes: as it
// is, for people to read it, or compressed where it would not fit or would not
// be the text that an annotation must be.
func pack(document []byte, room int) (string, bool) {
	if text := string(document); len(text) <= room && utf8.Valid(document) && !strings.HasPrefix(text, packed) {
		return text, true
	}
	var b bytes.Buffer
	b.WriteString(packed)
	encoder := base64.NewEncoder(base64.StdEncoding, &b)
	w, err := gzip.NewWriterLevel(encoder, gzip.BestCompression)
	if err != nil {
		return "", false
	}
	_, err = w.Write(document)
	if err := errors.Join(err, w.Close(), encoder.Close()); err != nil || b.Len() > room {
		return "", false
	}
	return b.String(), true
}

var errDocument = errors.New("gcpstore: no state document")

// unpack is the inverse of pack. Whoever may write annotations may have written
// anything, so it takes no more memory than a document may.
func unpack(text string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(text, packed)
	if !ok {
		if len(text) > maxDocument {
			return nil, errDocument
		}
		return []byte(text), nil
	}
	r, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(encoded)))
	if err != nil {
		return nil, errDocument
	}
	document, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	if err != nil || len(document) > maxDocument {
		return nil, errDocument
	}
	return document, nil
}
