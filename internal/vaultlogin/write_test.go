package vaultlogin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/keybearer/keybearer/internal/vaultlogin/vaultfake"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// An exact session sends each request once, whatever the client's own retries
// are, and leaves that client as it is.
func TestExactSendsOnce(t *testing.T) {
	for _, exact := range []bool{false, true} {
		server := &vaultfake.Server{Intercept: func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}}
		client, err := server.Client(server.Token(0, false))
		if err != nil {
			t.Fatal(err)
		}
		client.SetMaxRetries(2)
		client.SetMinRetryWait(time.Millisecond)
		client.SetMaxRetryWait(2 * time.Millisecond)
		access := Access{Client: client, Exact: exact}
		s, _, err := access.Open()
		if err != nil {
			t.Fatal(err)
		}
		_, err = Write(t.Context(), grant(t, s).Client, "secret/data/openai", map[string]any{})
		want := map[bool]int{false: 3, true: 1}[exact]
		if got := server.Count("PUT"); !errors.Is(err, keyprovider.ErrUnavailable) || got != want {
			t.Errorf("exact %v: %d requests, want %d: %v", exact, got, want, err)
		}
		if client.MaxRetries() != 2 {
			t.Error("the client was changed")
		}
	}
}

func TestWrite(t *testing.T) {
	canary := keyprovidertest.NewSecret()
	for _, c := range []struct {
		status            int
		body              string
		class             error
		mismatch, foreign bool
	}{
		{200, `{"data":{"version":3,"created_time":"2026-11-23T08:00:00.1Z"}}`, nil, false, false},
		{204, ``, nil, false, false},
		{200, `KEY`, keyprovider.ErrUnavailable, false, false},
		{400, `{"errors":["check-and-set parameter did not match the current version KEY"]}`, keyprovider.ErrInvalid, true, false},
		{400, `{"errors":["check-and-set parameter required for this call"]}`, keyprovider.ErrInvalid, false, false},
		{404, `{"errors":[]}`, keyprovider.ErrNotFound, false, false},
		{404, `<html>KEY`, keyprovider.ErrNotFound, false, true},
	} {
		server := &vaultfake.Server{Intercept: func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body))
			return true
		}}
		client, err := server.Client("t")
		if err != nil {
			t.Fatal(err)
		}
		_, err = Write(t.Context(), client, "secret/data/openai", map[string]any{"data": canary})
		if keyprovider.Class(err) != c.class || Mismatch(err) != c.mismatch || Foreign(err) != c.foreign {
			t.Errorf("%d %s: %v, mismatch %v, foreign %v", c.status, c.body, err, Mismatch(err), Foreign(err))
		}
		if err != nil && keyprovidertest.Leaks(fmt.Sprintf("%+v %#v", err, err), canary) {
			t.Errorf("the error shows the key: %v", err)
		}
	}
	_, err := Write(t.Context(), new(api.Client), "x", func() {})
	if !errors.Is(err, keyprovider.ErrInvalid) {
		t.Errorf("what is no JSON: %v", err)
	}
}

func TestStored(t *testing.T) {
	for _, c := range []struct {
		data, name, absent string
		ok                 bool
	}{
		{`{"data":{"a":"b"},"metadata":{"version":7,"created_time":"2026-11-23T09:00:00.1+01:00"}}`, "7@2026-11-23T08:00:00.1Z", "", true},
		{`{"data":null,"metadata":{"version":7,"deletion_time":"2026-11-23T08:00:00Z"}}`, "", "version 7 was deleted at 2026-11-23T08:00:00Z: undelete it, or write a new one", true},
		{`{"data":{"a":"b"},"metadata":{"version":7,"destroyed":true}}`, "", "version 7 was destroyed: write a new one", true},
		{`{"data":{},"metadata":{"version":7,"created_time":"yesterday"}}`, "7@0001-01-01T00:00:00Z", "version 7 holds nothing", true},
		{`{"api_key":"x"}`, "", "", false},
		{`"x"`, "", "", false},
	} {
		a := &Answer{Data: json.RawMessage(c.data)}
		s, err := a.Stored()
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.data, err)
		}
		if err != nil {
			continue
		}
		if c.name != "" && s.Metadata.Name() != c.name {
			t.Errorf("%s is named %s, want %s", c.data, s.Metadata.Name(), c.name)
		}
		if err := s.Absent(); c.absent == "" && err != nil || c.absent != "" && (!errors.Is(err, keyprovider.ErrNotFound) || err.Error() != "keyprovider: not found: "+c.absent) {
			t.Errorf("%s: %v, want %q", c.data, err, c.absent)
		}
	}
}

func TestCheckMountOf(t *testing.T) {
	for _, c := range []struct {
		path, mount string
		ok          bool
	}{
		{"secret/openai", "secret", true}, {"a/b/c", "a/b", true}, {"a/b", "a/b", false}, {"secrets/x", "secret", false},
		{"a/sys/x", "a/sys", false}, {"secret/x", "", false}, {"secret/x", "secret/", false},
	} {
		if err := CheckMountOf(c.path, c.mount); (err == nil) != c.ok {
			t.Errorf("CheckMountOf(%q, %q) = %v", c.path, c.mount, err)
		}
	}
}
