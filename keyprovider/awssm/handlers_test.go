package awssm

import (
	"context"
	"io"
	"net/http"
	"strings"
)

func deletedSecret(w http.ResponseWriter, _ *http.Request) {
	io.WriteString(w, `{"ARN":"`+secretARN+`","DeletedDate":1700000000}`)
}

// hangUntil reads nothing and answers nothing until the client or the test
// gives up.
func hangUntil(done <-chan struct{}) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-done:
		}
	}
}

func cancelThenHang(cancel context.CancelFunc, done <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		cancel()
		hangUntil(done)(w, r)
	}
}

// recordScope notes the scope of the request's signature, and answers.
func (f *fakeAWS) recordScope(scope *string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, *scope, _ = strings.Cut(r.Header.Get("Authorization"), "Credential=")
		f.mu.Lock()
		defer f.mu.Unlock()
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		f.get(w, []byte(`{"SecretId":"`+secretARN+`","VersionStage":"AWSCURRENT"}`))
	}
}

// resume answers nothing until done is closed, and then as it should.
func (f *fakeAWS) resume(done <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-done:
			_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
			body, _ := r.Context().Value(bodyKey{}).([]byte)
			f.answer(w, r, operation, body)
		}
	}
}
