package aws

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/rotation/awslambda"
)

// rotates makes the server answer as if the secret was rotated by AWS, of which
// moto knows little: rotation is on, and the version of the token is there
// without a value, with AWSPENDING, until it has one.
func rotates(token string, next fault) fault {
	return func(w http.ResponseWriter, r *http.Request, behind http.Handler) {
		next(w, r, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if operation(r) != "DescribeSecret" {
				behind.ServeHTTP(w, r)
				return
			}
			recorder := httptest.NewRecorder()
			behind.ServeHTTP(recorder, r)
			var out map[string]any
			if err := json.Unmarshal(recorder.Body.Bytes(), &out); err == nil {
				out["RotationEnabled"], out["RotationRules"] = true, map[string]any{"AutomaticallyAfterDays": 30}
				if stages, ok := out["VersionIdsToStages"].(map[string]any); ok && stages[token] == nil {
					stages[token] = []string{"AWSPENDING"}
				}
			}
			w.Header().Set("Content-Type", recorder.Header().Get("Content-Type"))
			w.WriteHeader(recorder.Code)
			json.NewEncoder(w).Encode(out)
		}))
	}
}

// losesNth loses the answer of one call, counted from 1, and tells whether
// there was that call.
func losesNth(n int) (f fault, reached func() bool) {
	var mu sync.Mutex
	calls := 0
	f = func(w http.ResponseWriter, r *http.Request, behind http.Handler) {
		mu.Lock()
		calls++
		lost := calls == n
		mu.Unlock()
		if lost {
			behind.ServeHTTP(discard{http.Header{}}, r)
			reset(w, r, nil)
			return
		}
		behind.ServeHTTP(w, r)
	}
	return f, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return calls >= n
	}
}

// The four steps on moto and the Admin API, each twice, where the answer of one
// call is lost, whichever it is, and AWS begins anew.
func TestLambda(t *testing.T) {
	r := newRotating(t)
	byHand := r.openai.Mint(openaitest.MintOptions{Name: "by hand"})
	r.set([]byte(`{"api_key":"` + byHand + `","organization":"org-1"}`))
	handler, err := awslambda.New(t.Context(), r.issuer, &awslambda.Options{
		Endpoint: r.front.URL, Region: region, Overlap: -1, Quiet: -1, TestFor: 5 * time.Second, Logger: r.logger()})
	r.ok(err)
	rotations := 0
	for n, more := 1, true; more; n++ {
		rotations++
		token := fmt.Sprintf("00000000-0000-4000-8000-%012d", rotations)
		before := r.labels()["AWSCURRENT"]
		lost, reached := losesNth(n)
		r.front.set(rotates(token, lost))
		attempts := 0
		for done := false; !done; attempts++ {
			if attempts == 4 {
				t.Fatalf("with the answer of call %d lost, the rotation does not end: %v", n, err)
			}
			done = true
			for _, step := range []string{"createSecret", "createSecret", "setSecret", "testSecret", "testSecret", "finishSecret", "finishSecret"} {
				if err = handler.Handle(t.Context(), events.SecretsManagerSecretRotationEvent{Step: step, SecretID: r.arn, ClientRequestToken: token}); err != nil {
					done = false
					break
				}
			}
		}
		more = reached()
		r.front.set(nil)
		labels := r.labels()
		if labels["AWSCURRENT"] != token || labels["AWSPREVIOUS"] != before || labels["AWSPENDING"] != "" {
			t.Errorf("call %d: labels = %v, want AWSCURRENT on %s and AWSPREVIOUS on %s", n, labels, token, before)
		}
		live := r.live()
		if want := min(rotations, 2); len(live) != want || !strings.HasSuffix(live[len(live)-1].Name, "/"+token) {
			t.Errorf("call %d: keys alive = %+v, want the new one and the one before", n, live)
		}
	}
	if rotations < 15 {
		t.Errorf("%d answers were lost, want more", rotations-1)
	}
	if keys := r.openai.Keys(); !keys[0].RevokedAt.IsZero() {
		t.Error("the key that a person made was revoked")
	}
	t.Logf("%d rotations, each with another answer lost", rotations)
}
