package openaitest

import (
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
)

func (c *call) fail(e APIError) {
	h := c.w.Header()
	c.commonHeaders()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Vary", "Origin")
	maps.Copy(h, e.Header)
	c.write(e.Status, e.body(c.secret))
}

func (c *call) json(v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic("openaitest: an answer does not marshal: " + err.Error())
	}
	c.raw(body)
}

func (c *call) raw(body []byte) {
	c.commonHeaders()
	c.w.Header().Set("Content-Type", "application/json")
	c.write(http.StatusOK, body)
}

// commonHeaders sets what OpenAI puts on every answer, the organization's only
// where the key belongs to one.
func (c *call) commonHeaders() {
	h := c.w.Header()
	h.Set("Date", c.now.UTC().Format(http.TimeFormat)) // by the fake's clock
	h.Set("X-Request-Id", c.id)
	h.Set("Openai-Version", "2020-10-01")
	h.Set("Openai-Processing-Ms", "7") // constant: nobody should learn timing from a fake
	h.Set("X-Content-Type-Options", "nosniff")
	if c.live {
		h.Set("Openai-Organization", c.s.opts.Organization)
		h.Set("Openai-Project", c.s.opts.Project)
	}
}

// spend counts the call as usage of its key, and sets the headers that an
// inference answer has.
func (c *call) spend(input, output int) {
	c.key.usage.add(c.route.usage, c.now, int64(input), int64(output))
	tokens := input + output
	h := c.w.Header()
	h.Set("X-Ratelimit-Limit-Requests", strconv.Itoa(limitRequests))
	h.Set("X-Ratelimit-Remaining-Requests", strconv.Itoa(limitRequests-1))
	h.Set("X-Ratelimit-Reset-Requests", "6ms")
	h.Set("X-Ratelimit-Limit-Tokens", strconv.Itoa(limitTokens))
	h.Set("X-Ratelimit-Remaining-Tokens", strconv.Itoa(max(0, limitTokens-tokens)))
	h.Set("X-Ratelimit-Reset-Tokens", "0s")
}

// write sends a whole body, or the half of it that a cut leaves.
func (c *call) write(status int, body []byte) {
	if c.fault != nil {
		maps.Copy(c.w.Header(), c.fault.Header)
	}
	if status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified {
		c.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	c.status = status
	c.w.WriteHeader(status)
	if c.fault != nil && c.fault.Cut == CutBody {
		_, _ = c.w.Write(body[:len(body)/2])
		_ = http.NewResponseController(c.w).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = c.w.Write(body) // the client may be gone
}
