package openaitest

import (
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"
)

// The kinds of usage, as they stand in the path. The server serves calls of the
// first two alone; of the others there is never any.
const (
	usageCompletions = "completions"
	usageEmbeddings  = "embeddings"
)

var usageKinds = []string{usageCompletions, usageEmbeddings, "moderations", "images", "audio_speeches", "audio_transcriptions"}

// usageLog is what a key was used for, by the minute.
type usageLog struct {
	mu      sync.Mutex
	minutes []usageMinute
}

type usageMinute struct {
	kind                    string
	start                   int64 // Unix seconds
	requests, input, output int64
}

func (l *usageLog) add(kind string, now time.Time, input, output int64) {
	start := now.Unix() - now.Unix()%60
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := len(l.minutes) - 1; i >= 0 && l.minutes[i].start >= start; i-- {
		if m := &l.minutes[i]; m.start == start && m.kind == kind {
			m.requests, m.input, m.output = m.requests+1, m.input+input, m.output+output
			return
		}
	}
	l.minutes = append(l.minutes, usageMinute{kind, start, 1, input, output})
}

// sum adds the minutes that begin in [from, to) up.
func (l *usageLog) sum(kind string, from, to int64) (sum usageMinute) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.minutes {
		if m.kind == kind && m.start >= from && m.start < to {
			sum.requests, sum.input, sum.output = sum.requests+m.requests, sum.input+m.input, sum.output+m.output
		}
	}
	return sum
}

type usageBucket struct {
	Object    string           `json:"object"`
	StartTime int64            `json:"start_time"`
	EndTime   int64            `json:"end_time"`
	Results   []map[string]any `json:"results"`
}

// usageQuery is what a request for usage asks.
type usageQuery struct {
	start, end, width int64 // Unix seconds; seconds
	limit             int
	keys              []string // none: all
	byKey             bool
}

func (c *call) usageOf(kind string) {
	q, ok := c.usageQuery()
	if !ok {
		return
	}
	c.s.keys.mu.RLock()
	keys := slices.Clone(c.s.keys.order)
	c.s.keys.mu.RUnlock()
	answer := struct {
		Object   string        `json:"object"`
		Data     []usageBucket `json:"data"`
		HasMore  bool          `json:"has_more"`
		NextPage *string       `json:"next_page"`
	}{Object: "page", Data: []usageBucket{}}
	shown := c.now.Add(-c.s.opts.Admin.UsageDelay).Unix() // what came later is not counted yet
	start := q.start
	for ; start < q.end && len(answer.Data) < q.limit; start += q.width - start%q.width {
		end := min(start+q.width-start%q.width, q.end)
		bucket := usageBucket{"bucket", start, end, []map[string]any{}}
		var total usageMinute
		for _, k := range keys {
			if k.admin || len(q.keys) > 0 && !slices.Contains(q.keys, k.id) {
				continue
			}
			sum := k.usage.sum(kind, start-start%60, min(end, shown+1))
			if q.byKey && sum.requests > 0 {
				bucket.Results = append(bucket.Results, usageResult(kind, &k.id, sum))
			}
			total.requests, total.input, total.output = total.requests+sum.requests, total.input+sum.input, total.output+sum.output
		}
		if !q.byKey && total.requests > 0 {
			bucket.Results = append(bucket.Results, usageResult(kind, nil, total))
		}
		answer.Data = append(answer.Data, bucket)
	}
	if start < q.end {
		next := "page_" + strconv.FormatInt(start, 10)
		answer.HasMore, answer.NextPage = true, &next
	}
	c.json(answer)
}

func usageResult(kind string, key *string, sum usageMinute) map[string]any {
	result := map[string]any{
		"object": "organization.usage." + kind + ".result", "num_model_requests": sum.requests, "input_tokens": sum.input,
		"project_id": nil, "user_id": nil, "api_key_id": key, "model": nil,
	}
	if kind == usageCompletions {
		for name, value := range map[string]any{
			"output_tokens": sum.output, "input_cached_tokens": 0, "input_audio_tokens": 0, "output_audio_tokens": 0, "batch": nil, "service_tier": nil,
		} {
			result[name] = value
		}
	}
	return result
}

// usageQuery reads the query. It reports whether the call goes on.
func (c *call) usageQuery() (q usageQuery, ok bool) {
	query := c.r.URL.Query()
	widths := map[string]struct {
		seconds        int64
		standard, most int
	}{"1m": {60, 60, 1440}, "1h": {3600, 24, 168}, "1d": {86400, 7, 31}, "": {86400, 7, 31}}
	width, ok := widths[query.Get("bucket_width")]
	if !ok {
		c.fail(invalidParameter("bucket_width", "invalid_value", "expected 1m, 1h or 1d."))
		return q, false
	}
	q = usageQuery{end: c.now.Unix() + 1, width: width.seconds, limit: width.standard, keys: query["api_key_ids[]"],
		byKey: slices.Contains(query["group_by[]"], "api_key_id")}
	var present bool
	if q.start, present, ok = c.seconds(query, "start_time"); !ok {
		return q, false
	}
	if !present {
		c.fail(missingParameter("start_time"))
		return q, false
	}
	if end, present, ok := c.seconds(query, "end_time"); !ok {
		return q, false
	} else if present {
		q.end = end
	}
	if limit, present, ok := c.seconds(query, "limit"); !ok {
		return q, false
	} else if present {
		if limit < 1 || limit > int64(width.most) {
			c.fail(invalidParameter("limit", "invalid_value", "expected an integer from 1 to "+strconv.Itoa(width.most)+"."))
			return q, false
		}
		q.limit = int(limit)
	}
	if page := query.Get("page"); page != "" {
		start, err := strconv.ParseInt(page[min(len("page_"), len(page)):], 10, 64)
		if err != nil || start < q.start {
			c.fail(invalidParameter("page", "invalid_value", "there is no such page."))
			return q, false
		}
		q.start = start
	}
	return q, true
}

func (c *call) seconds(query url.Values, name string) (n int64, present, ok bool) {
	raw := query.Get(name)
	if raw == "" {
		return 0, false, true
	}
	n, err := strconv.ParseInt(raw, 10, 64)
	if err != nil {
		c.fail(invalidParameter(name, "invalid_type", "expected an integer."))
		return 0, true, false
	}
	return n, true, true
}
