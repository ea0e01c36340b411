package openaitest

import (
	"encoding/json"
	"iter"
	"maps"
	"net/http"
)

// An event is one server-sent event: a payload, under a name if it has one.
type event struct {
	name string
	data any
}

// doneMark is the payload that ends a stream of chat completions.
const doneMark = "[DONE]"

// stream sends events, one flush each, under the call's fault. The key was
// looked at before: revoking it does not end the stream.
func (c *call) stream(events iter.Seq[event]) {
	h := c.w.Header()
	c.commonHeaders()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	if c.fault != nil {
		maps.Copy(h, c.fault.Header)
	}
	c.s.tally.streams.Add(1)
	defer c.s.tally.streams.Add(-1)
	c.status = http.StatusOK
	c.w.WriteHeader(c.status)

	flusher := http.NewResponseController(c.w)
	sent := 0
	for ev := range events {
		if c.fault != nil && sent > 0 && !c.meetMidStream(sent, flusher) {
			return
		}
		c.send(ev, flusher)
		sent++
	}
}

// meetMidStream applies the fault before a further event. It reports whether
// the stream goes on.
func (c *call) meetMidStream(sent int, flusher *http.ResponseController) bool {
	f := c.fault
	if f.Gate != nil {
		c.await(f.Gate)
	}
	c.pause(f.ChunkDelay)
	if sent != f.cutAfter() {
		return true
	}
	if f.Cut == CutBody {
		panic(http.ErrAbortHandler)
	}
	if f.StreamError == nil {
		return true
	}
	c.send(event{name: "error", data: f.StreamError.payload(c.secret)}, flusher)
	return false
}

func (c *call) send(ev event, flusher *http.ResponseController) {
	buf := make([]byte, 0, 512)
	if ev.name != "" {
		buf = append(append(append(buf, "event: "...), ev.name...), '\n')
	}
	buf = append(buf, "data: "...)
	if ev.data == doneMark {
		buf = append(buf, doneMark...)
	} else {
		payload, err := json.Marshal(ev.data)
		if err != nil {
			panic("openaitest: an event does not marshal: " + err.Error())
		}
		buf = append(buf, payload...)
	}
	buf = append(buf, "\n\n"...)
	if _, err := c.w.Write(buf); err != nil {
		panic(http.ErrAbortHandler) // the client is gone
	}
	if err := flusher.Flush(); err != nil {
		panic(http.ErrAbortHandler)
	}
}
