package workload

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openai/openai-go/v3"

	"github.com/keybearer/keybearer/internal/oauthtest"
)

const (
	duration = 2 * time.Hour
	period   = 10 * time.Second // each caller calls as often
	callers  = 4                // at the same moments
	patience = 20 * time.Second // of a call
)

// scenario is what happens to the workload in two hours.
type scenario struct {
	name     string
	lifetime time.Duration // of access tokens
	ahead    time.Duration // OpenAI's clock before the workload's
	early    time.Duration // before its end the API refuses a token
	down     [2]time.Duration
	refuses  func(at time.Duration, request int64) bool

	most  int  // exchanges that keybearer may make, refused ones included
	fails bool // calls may fail: there is no token, or none that is taken
}

func between(at, from, to time.Duration) bool { return from <= at && at < to }

var scenarios = []scenario{
	{name: "normal, tokens of an hour", lifetime: time.Hour, most: 4},
	{name: "tokens of 5 minutes", lifetime: 5 * time.Minute, most: 42},
	{name: "tokens of a minute", lifetime: time.Minute, most: 205},
	{name: "endpoint down for 20 minutes", lifetime: time.Hour, down: [2]time.Duration{35 * time.Minute, 55 * time.Minute}, most: 40},
	{name: "endpoint down for 30 minutes, 5 past the token's end", lifetime: time.Hour, down: [2]time.Duration{35 * time.Minute, 65 * time.Minute}, most: 110, fails: true},
	{name: "the API refuses all for an hour", lifetime: time.Hour, most: 25, fails: true,
		refuses: func(at time.Duration, _ int64) bool { return between(at, 20*time.Minute, 80*time.Minute) }},
	{name: "the API refuses every 10th request for an hour", lifetime: time.Hour, most: 145, fails: true,
		refuses: func(at time.Duration, n int64) bool {
			return between(at, 20*time.Minute, 80*time.Minute) && n%10 == 0
		}},
	{name: "OpenAI's clock 50 minutes ahead", lifetime: time.Hour, ahead: 50 * time.Minute, most: 4},
	{name: "OpenAI's clock 50 minutes behind", lifetime: time.Hour, ahead: -50 * time.Minute, most: 4},
	{name: "tokens of 10 minutes that end 4 minutes early", lifetime: 10 * time.Minute, early: 4 * time.Minute, most: 45},
}

// result is what a contender made of a scenario.
type result struct {
	exchanges, failedExchanges int
	calls, failed              int
	refused                    int
	ages                       []time.Duration // of a token when the next one came
}

func TestBesideTheSDK(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "")
	var table strings.Builder
	fmt.Fprintln(&table, "| two hours, 4 callers, a call each 10 s | | exchanges | of these failed | failed calls | 401s | a token's age at the next: least, median, most |")
	fmt.Fprintln(&table, "|---|---|---|---|---|---|---|")
	for _, s := range scenarios {
		results := map[string]result{}
		for _, c := range contenders {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, s)
				results[c.name] = w.run(t, c.make(t, w))
			})
			r := results[c.name]
			fmt.Fprintf(&table, "| %s | %s | %d | %d | %d of %d | %d | %s |\n", s.name, c.name,
				r.exchanges, r.failedExchanges, r.failed, r.calls, r.refused, r.spread())
		}
		sdk, our := results["openai-go"], results["keybearer"]
		switch {
		case our.exchanges > s.most:
			t.Errorf("%s: %d exchanges, want %d at most", s.name, our.exchanges, s.most)
		case our.failed > 0 && !s.fails:
			t.Errorf("%s: %d calls failed", s.name, our.failed)
		case our.exchanges > sdk.exchanges+2 && our.failed >= sdk.failed:
			t.Errorf("%s: %d exchanges, more than the %d of the SDK, for nothing", s.name, our.exchanges, sdk.exchanges)
		}
	}
	t.Log("\n" + table.String())
}

// run makes the calls.
func (w *world) run(t *testing.T, client openai.Client) result {
	if w.scenario.down[1] > 0 {
		time.AfterFunc(w.scenario.down[0], func() { w.endpoint.Inject(oauthtest.Fault{Status: 503}) })
		time.AfterFunc(w.scenario.down[1], w.endpoint.Clear)
	}
	var calls, failed atomic.Int64
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for at := period; at < duration; at += period {
				time.Sleep(at - w.since())
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				_, err := client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{
					Model: openai.ChatModelGPT4oMini, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Say hello.")},
				})
				cancel()
				calls.Add(1)
				if err != nil {
					failed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	time.Sleep(time.Minute) // the SDK may still be asking
	r := result{calls: int(calls.Load()), failed: int(failed.Load()), refused: int(w.refused.Load())}
	for _, e := range w.endpoint.Exchanges() {
		if r.exchanges++; e.Status != 200 {
			r.failedExchanges++
		}
	}
	for i := 1; i < len(w.issued); i++ {
		r.ages = append(r.ages, w.issued[i].Sub(w.issued[i-1]))
	}
	slices.Sort(r.ages)
	return r
}

// spread tells after which times tokens were replaced.
func (r result) spread() string {
	if len(r.ages) == 0 {
		return "none"
	}
	round := func(d time.Duration) string {
		if d < time.Second {
			return "<1s"
		}
		text := d.Round(time.Second).String()
		if whole, ok := strings.CutSuffix(text, "m0s"); ok {
			return whole + "m"
		}
		return text
	}
	return round(r.ages[0]) + ", " + round(r.ages[len(r.ages)/2]) + ", " + round(r.ages[len(r.ages)-1])
}
