package awssm

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// fakeAWS speaks as much of the JSON 1.1 protocol of Secrets Manager, and of
// the JSON 1.0 of SQS, as a Provider uses. Truth is in the nested module, with
// a server that we did not write; this one can fail in every way.
type fakeAWS struct {
	*httptest.Server

	mu       sync.Mutex
	versions map[string]fakeVersion
	stages   map[string]string // label to version
	faults   map[string]http.HandlerFunc
	calls    []string
	inputs   []string // bodies of the requests
	queue    []string
	arrived  chan struct{} // closed when a message arrives
	deleted  []string
	hold     int // messages that cannot be deleted
}

type fakeVersion struct {
	text    *string
	binary  []byte
	created time.Time
}

// arnOf is the ARN of the fake's only secret.
const (
	secretName = "prod/openai"
	secretARN  = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/openai-AbCdEf"
)

func newFake(tb testing.TB) *fakeAWS {
	f := &fakeAWS{versions: map[string]fakeVersion{}, stages: map[string]string{}, faults: map[string]http.HandlerFunc{}, arrived: make(chan struct{})}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	tb.Cleanup(f.Close)
	return f
}

// versionID makes an id of the length that Secrets Manager's have.
func versionID(n int) string { return fmt.Sprintf("00000000-0000-0000-0000-%012d", n) }

// put stores version n and moves the labels to it.
func (f *fakeAWS) put(n int, value string, labels ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.versions[versionID(n)] = fakeVersion{text: &value, created: time.Unix(1_700_000_000+int64(n), 0).UTC()}
	for _, label := range labels {
		f.stages[label] = versionID(n)
	}
}

func (f *fakeAWS) putBinary(n int, value []byte, label string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.versions[versionID(n)] = fakeVersion{binary: value, created: time.Unix(1_700_000_000+int64(n), 0).UTC()}
	f.stages[label] = versionID(n)
}

// remove takes a label from the version that bears it.
func (f *fakeAWS) remove(label string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.stages, label)
}

func (f *fakeAWS) move(label string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stages[label] = versionID(n)
}

// fail makes an operation answer with a handler; nil mends it.
func (f *fakeAWS) fail(operation string, h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults[operation] = h
}

// failCode makes an operation answer with an error code.
func (f *fakeAWS) failCode(operation string, status int, code, message string) {
	f.fail(operation, func(w http.ResponseWriter, _ *http.Request) { answerError(w, status, code, message) })
}

func (f *fakeAWS) send(messages ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queue = append(f.queue, messages...)
	close(f.arrived)
	f.arrived = make(chan struct{})
}

// took returns the calls since the last time, as "Get Describe".
func (f *fakeAWS) took() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := strings.Join(f.calls, " ")
	f.calls = nil
	return strings.NewReplacer("GetSecretValue", "Get", "DescribeSecret", "Describe", "ReceiveMessage", "Receive", "DeleteMessageBatch", "Delete").Replace(calls)
}

func (f *fakeAWS) lastInput() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.inputs[len(f.inputs)-1]
}

func (f *fakeAWS) deletedMessages() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.deleted)
}

func answerError(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": message})
}

func (f *fakeAWS) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	f.mu.Lock()
	f.calls, f.inputs = append(f.calls, operation), append(f.inputs, string(body))
	fault := f.faults[operation]
	f.mu.Unlock()
	if fault != nil {
		fault(w, r.WithContext(context.WithValue(r.Context(), bodyKey{}, body)))
		return
	}
	f.answer(w, r, operation, body)
}

// bodyKey is where a fault finds the body, which was read already.
type bodyKey struct{}

func (f *fakeAWS) answer(w http.ResponseWriter, r *http.Request, operation string, body []byte) {
	if operation == "ReceiveMessage" {
		f.awaitMessage(r.Context())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	switch operation {
	case "GetSecretValue":
		f.get(w, body)
	case "DescribeSecret":
		stages := map[string][]string{}
		for label, id := range f.stages {
			stages[id] = append(stages[id], label)
		}
		json.NewEncoder(w).Encode(map[string]any{"ARN": secretARN, "Name": secretName, "VersionIdsToStages": stages})
	case "ReceiveMessage":
		var messages []map[string]string
		for i, m := range f.queue {
			messages = append(messages, map[string]string{"MessageId": fmt.Sprint(i), "ReceiptHandle": m, "Body": m})
		}
		f.queue = nil
		json.NewEncoder(w).Encode(map[string]any{"Messages": messages})
	case "DeleteMessageBatch":
		f.deleteBatch(w, body)
	default:
		answerError(w, 400, "UnknownOperationException", "")
	}
}

// awaitMessage is SQS's long poll.
func (f *fakeAWS) awaitMessage(ctx context.Context) {
	f.mu.Lock()
	empty, arrived := len(f.queue) == 0, f.arrived
	f.mu.Unlock()
	if empty {
		select {
		case <-arrived:
		case <-ctx.Done():
		}
	}
}

func (f *fakeAWS) get(w http.ResponseWriter, body []byte) {
	var in struct{ SecretId, VersionId, VersionStage string }
	json.Unmarshal(body, &in)
	id := in.VersionId
	if id == "" {
		id = f.stages[in.VersionStage]
	}
	v, ok := f.versions[id]
	if !ok || in.SecretId != secretName && in.SecretId != secretARN {
		answerError(w, 400, "ResourceNotFoundException", "Secrets Manager can't find the specified secret value")
		return
	}
	out := map[string]any{"ARN": secretARN, "Name": secretName, "VersionId": id, "CreatedDate": v.created.Unix()}
	if v.text != nil {
		out["SecretString"] = *v.text
	} else {
		out["SecretBinary"] = v.binary
	}
	json.NewEncoder(w).Encode(out)
}

func (f *fakeAWS) deleteBatch(w http.ResponseWriter, body []byte) {
	var in struct {
		Entries []struct{ Id, ReceiptHandle string }
	}
	json.Unmarshal(body, &in)
	out := map[string][]map[string]any{"Successful": {}, "Failed": {}}
	for _, e := range in.Entries {
		if f.hold > 0 {
			f.hold--
			out["Failed"] = append(out["Failed"], map[string]any{"Id": e.Id, "Code": "InternalError", "SenderFault": false})
			continue
		}
		f.deleted = append(f.deleted, e.ReceiptHandle)
		out["Successful"] = append(out["Successful"], map[string]any{"Id": e.Id})
	}
	json.NewEncoder(w).Encode(out)
}

// provide makes a provider of the fake's secret.
func (f *fakeAWS) provide(tb testing.TB, opts *Options) *Provider {
	tb.Helper()
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Client == nil {
		o.Endpoint, o.Region = f.URL, "eu-west-1"
	}
	p, err := New(tb.Context(), secretName, &o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { p.Close() })
	return p
}

func fetch(tb testing.TB, p keyprovider.KeyProvider, last keyprovider.Version) *keyprovider.Key {
	tb.Helper()
	key, err := p.Fetch(tb.Context(), last)
	if err != nil {
		tb.Fatalf("Fetch: %v", err)
	}
	return key
}
