package transport

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// TestEndsTogether: a read, a close and a cancellation at the same time end an
// operation once, and what reads the bodies goes on to the next call in good
// order: no call is told what belongs to another.
func TestEndsTogether(t *testing.T) {
	w := newWatcher(t)
	key := newKey(t, "v1")
	rt := newTestTransport(t, always(key), w.over(echoModel))
	const rounds = 200
	for range rounds {
		var all sync.WaitGroup
		for _, model := range []string{"model-a", "model-b"} {
			all.Go(func() { endTogether(t, rt, model) })
		}
		all.Wait()
	}
	for range 2 * rounds { // a cancelled call ends on a goroutine of its own
		<-w.ended
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.calls) != 2*rounds {
		t.Errorf("%d calls have ended, want %d", len(w.calls), 2*rounds)
	}
	for _, c := range w.calls {
		if c.Model != "model-a" && c.Model != "model-b" || c.ResponseModel != "" && c.ResponseModel != c.Model {
			t.Errorf("a call of %q is told to have been answered by %q", c.Model, c.ResponseModel)
		}
	}
}

// echoModel streams an answer that names the model of the request.
var echoModel = roundTripFunc(func(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	_, model, _ := strings.Cut(string(body), `"model":"`)
	event := `{"id":"x","model":"` + strings.TrimSuffix(model, `"}`) + `","choices":[{"index":0,"delta":{"content":"word"},"finish_reason":null}]}`
	return streamOf(event, event, event, "[DONE]"), nil
})

func endTogether(t *testing.T, rt *Transport, model string) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	resp, err := rt.RoundTrip(newRequest(t, "POST", chatURL, strings.NewReader(`{"stream":true,"model":"`+model+`"}`)).WithContext(ctx))
	if err != nil {
		t.Error(err)
		return
	}
	var all sync.WaitGroup
	all.Go(func() { io.Copy(io.Discard, resp.Body) })
	all.Go(func() { resp.Body.Close() })
	all.Go(cancel)
	all.Wait()
}
