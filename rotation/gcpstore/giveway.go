package gcpstore

import (
	"bytes"
	"context"
	"strconv"

	"github.com/keybearer/keybearer/internal/gcpclient"
)

// maxGiveWay bounds how often a version is added again because yet another one
// came in between.
const maxGiveWay = 3

// giveWay makes the version that ours came after, and hides from readers of the
// latest, the latest again. ours is the number of data.
func (s *Store) giveWay(ctx context.Context, data []byte, ours int64) error {
	for range maxGiveWay {
		hidden, f := s.at(ctx, s.main, ours-1)
		if f != nil {
			return s.hides(ours, f)
		}
		if !hidden.exists() || hidden.gone {
			return s.conflict("somebody added version "+text(ours-1)+" meanwhile, which is disabled or destroyed: "+
				"version "+text(ours)+", of this promotion, is the latest", nil)
		}
		if bytes.Equal(hidden.data, data) {
			return s.conflict("somebody else added the same value meanwhile", nil)
		}
		next, f := s.at(ctx, s.main, ours+1)
		if f != nil {
			return s.hides(ours, f)
		}
		if next.exists() {
			return s.conflict("somebody added version "+text(ours-1)+" meanwhile, and another one after that of this promotion", nil)
		}
		again, f := s.add(ctx, s.main, hidden.data, ours)
		if f != nil {
			return s.hides(ours, f)
		}
		if again == ours+1 {
			return s.conflict("somebody added version "+text(ours-1)+" meanwhile: its value is the latest again, as version "+text(again), nil)
		}
		data, ours = hidden.data, again
	}
	return s.hides(ours, nil)
}

// hides is the error where a version of somebody else could not be made the
// latest again.
func (s *Store) hides(ours int64, f *gcpclient.Failed) error {
	why := ""
	var cause error
	if f != nil {
		why, cause = " ("+f.Reason+")", f.Cause
	}
	return s.conflict("somebody added version "+text(ours-1)+" meanwhile, and version "+text(ours)+
		", of this promotion, hides it from readers of the latest: add its value again"+why, cause)
}

func text(number int64) string { return strconv.FormatInt(number, 10) }
