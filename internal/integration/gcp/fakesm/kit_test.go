package fakesm_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	sm "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/keybearer/keybearer/internal/integration/gcp/fakesm"
)

const name = "projects/p/secrets/s"

// world is a service, a client, what it has published and its clock.
type world struct {
	*secretmanager.Client
	*testing.T
	server *fakesm.Server
	events []string
	now    time.Time
}

func newWorld(t *testing.T, location string) *world {
	t.Helper()
	w := &world{T: t, now: time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)}
	w.server = fakesm.New(fakesm.Options{
		Projects: map[string]int64{"p": 42}, Location: location,
		Now: func() time.Time { return w.now },
		Publish: func(topic string, attributes map[string]string, data []byte) {
			if strings.Contains(string(data), "payload") {
				t.Error("a notification has a payload")
			}
			w.events = append(w.events, strings.TrimSpace(topic+" "+attributes["eventType"]+" "+attributes["versionId"]))
		},
	})
	running, err := w.server.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(running.Stop)
	if w.Client, err = fakesm.Client(t.Context(), running.Addr); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func automatic() *sm.Replication {
	return &sm.Replication{Replication: &sm.Replication_Automatic_{Automatic: &sm.Replication_Automatic{}}}
}

func (w *world) create(s *sm.Secret) *sm.Secret {
	w.Helper()
	s.Replication = automatic()
	made, err := w.CreateSecret(w.Context(), &sm.CreateSecretRequest{Parent: "projects/p", SecretId: "s", Secret: s})
	if err != nil {
		w.Fatal(err)
	}
	return made
}

func (w *world) add(data string) *sm.SecretVersion {
	w.Helper()
	v, err := w.AddSecretVersion(w.Context(), &sm.AddSecretVersionRequest{Parent: name, Payload: &sm.SecretPayload{Data: []byte(data)}})
	if err != nil {
		w.Fatal(err)
	}
	return v
}

// read is what a version says, or the code and the message of the error.
func (w *world) read(version string) string {
	resp, err := w.AccessSecretVersion(w.Context(), &sm.AccessSecretVersionRequest{Name: name + "/versions/" + version})
	if err != nil {
		return fmt.Sprint(status.Code(err), " ", status.Convert(err).Message())
	}
	return string(resp.Payload.Data)
}

func (w *world) want(what, got, want string) {
	w.Helper()
	if got != want {
		w.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func (w *world) wantCode(what string, err error, want codes.Code) {
	w.Helper()
	if status.Code(err) != want {
		w.Errorf("%s: got %v, want %v", what, err, want)
	}
}

func readAt(w *world, full string) string {
	_, err := w.AccessSecretVersion(w.Context(), &sm.AccessSecretVersionRequest{Name: full})
	return fmt.Sprint(status.Code(err), " ", status.Convert(err).Message())
}
