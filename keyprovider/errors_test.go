package keyprovider_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

var classes = []error{keyprovider.ErrNotFound, keyprovider.ErrDenied, keyprovider.ErrUnavailable, keyprovider.ErrInvalid}

func TestErrorText(t *testing.T) {
	tests := []struct {
		name string
		err  *keyprovider.Error
		want string
	}{
		{"all", &keyprovider.Error{Provider: "awssm:prod/openai", Class: keyprovider.ErrDenied, Err: keyprovider.Reason("grant secretsmanager:GetSecretValue", io.EOF)},
			"keyprovider: awssm:prod/openai: access denied: grant secretsmanager:GetSecretValue"},
		{"no cause", &keyprovider.Error{Provider: "env:X", Class: keyprovider.ErrNotFound}, "keyprovider: env:X: not found"},
		{"no provider", &keyprovider.Error{Class: keyprovider.ErrInvalid}, "keyprovider: invalid"},
		{"no class", &keyprovider.Error{Provider: "p", Err: keyprovider.Reason("r", nil)}, "keyprovider: p: r"},
		{"nothing", &keyprovider.Error{}, "keyprovider"},
		{"foreign cause", &keyprovider.Error{Provider: "p", Class: keyprovider.ErrUnavailable, Err: errors.New("said the store")}, "keyprovider: p: unavailable"},
		{"wrapped class", &keyprovider.Error{Provider: "p", Class: fmt.Errorf("odd: %w", keyprovider.ErrDenied)}, "keyprovider: p: access denied"},
		{"foreign class", &keyprovider.Error{Provider: "p", Class: errors.New("odd")}, "keyprovider: p: unavailable"},
		{"an Error within", &keyprovider.Error{Provider: "outer", Class: keyprovider.ErrUnavailable,
			Err: &keyprovider.Error{Provider: "inner", Class: keyprovider.ErrDenied, Err: keyprovider.Reason("r", nil)}},
			"keyprovider: outer: unavailable: r"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, got := range []string{tt.err.Error(), fmt.Sprintf("%v", tt.err), fmt.Sprintf("%+v", tt.err), fmt.Sprintf("%#v", tt.err), fmt.Sprintf("%d", tt.err)} {
				if got != tt.want {
					t.Errorf("text %q, want %q", got, tt.want)
				}
			}
		})
	}
}

// TestErrorEncodes: an encoder writes what Error returns, not the fields of the
// SDK's error.
func TestErrorEncodes(t *testing.T) {
	type sdkError struct {
		error
		Message string
	}
	secret := keyprovidertest.NewSecret()
	err := &keyprovider.Error{Provider: "p", Class: keyprovider.ErrDenied, Err: sdkError{io.EOF, "you sent " + secret}}
	want := "keyprovider: p: access denied"
	b, jsonErr := json.Marshal(map[string]any{"e": err})
	if jsonErr != nil || string(b) != `{"e":"`+want+`"}` {
		t.Errorf("json.Marshal = %s, %v", b, jsonErr)
	}
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Error("x", "err", err)
	slog.New(slog.NewTextHandler(&out, nil)).Error("x", "err", err)
	if strings.Count(out.String(), want) != 2 {
		t.Errorf("slog writes %s", out.String())
	}
	wantHidden(t, err, secret)
	wantHidden(t, struct{ Err error }{err}, secret)
}

func TestErrorUnwrap(t *testing.T) {
	cause := &json.SyntaxError{Offset: 7}
	err := error(&keyprovider.Error{Class: keyprovider.ErrInvalid, Err: keyprovider.Reason("r", fmt.Errorf("x: %w", cause))})
	err = fmt.Errorf("outer: %w", err)
	if !errors.Is(err, keyprovider.ErrInvalid) || errors.Is(err, keyprovider.ErrDenied) {
		t.Error("errors.Is does not tell the class")
	}
	if got, ok := errors.AsType[*json.SyntaxError](err); !ok || got != cause {
		t.Error("errors.As does not find the cause")
	}
	if got, ok := errors.AsType[*keyprovider.Error](err); !ok || got.Class != keyprovider.ErrInvalid {
		t.Error("errors.As does not find the Error")
	}
	if got := (&keyprovider.Error{}).Unwrap(); len(got) != 0 {
		t.Errorf("an empty Error unwraps to %v", got)
	}
}

// TestReason: its text is printed in whatever way; its cause is not.
func TestReason(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	cause := errors.New(secret)
	err := keyprovider.Reason("set X", cause)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, err); got != "set X" {
			t.Errorf("%s prints %q", verb, got)
		}
	}
	wantHidden(t, err, secret)
	if !errors.Is(err, cause) {
		t.Error("the cause is not wrapped")
	}
	if errors.Unwrap(keyprovider.Reason("set X", nil)) != nil {
		t.Error("no cause unwraps to something")
	}
}

func TestClass(t *testing.T) {
	login := &keyprovider.Error{Provider: "file:token", Class: keyprovider.ErrNotFound}
	tests := []struct {
		name string
		err  error
		want error
	}{
		{"nil", nil, nil},
		{"not modified", keyprovider.ErrNotModified, nil},
		{"not modified, wrapped", fmt.Errorf("x: %w", keyprovider.ErrNotModified), nil},
		{"unclassified", io.EOF, keyprovider.ErrUnavailable},
		{"a cancelled context", context.Canceled, keyprovider.ErrUnavailable},
		{"a class", keyprovider.ErrDenied, keyprovider.ErrDenied},
		{"a class, wrapped", fmt.Errorf("x: %w", keyprovider.ErrInvalid), keyprovider.ErrInvalid},
		{"an Error", &keyprovider.Error{Class: keyprovider.ErrNotFound}, keyprovider.ErrNotFound},
		{"an Error, wrapped", fmt.Errorf("x: %w", &keyprovider.Error{Class: keyprovider.ErrDenied}), keyprovider.ErrDenied},
		{"an Error with a wrapped class", &keyprovider.Error{Class: fmt.Errorf("x: %w", keyprovider.ErrDenied)}, keyprovider.ErrDenied},
		{"an Error with its class in the cause", &keyprovider.Error{Err: keyprovider.ErrDenied}, keyprovider.ErrDenied},
		{"an Error without a class", &keyprovider.Error{Err: io.EOF}, keyprovider.ErrUnavailable},
		{"an Error with a foreign class", &keyprovider.Error{Class: io.EOF}, keyprovider.ErrUnavailable},
		{"the outermost Error counts", &keyprovider.Error{Class: keyprovider.ErrDenied, Err: keyprovider.Reason("log in", login)}, keyprovider.ErrDenied},
		{"an unreachable store is not empty", &keyprovider.Error{Class: keyprovider.ErrUnavailable, Err: login}, keyprovider.ErrUnavailable},
		{"of several, the one that may pass", errors.Join(keyprovider.ErrNotFound, keyprovider.ErrUnavailable), keyprovider.ErrUnavailable},
		{"of several, denied rather than missing", errors.Join(keyprovider.ErrNotFound, keyprovider.ErrDenied), keyprovider.ErrDenied},
	}
	for _, tt := range tests {
		if got := keyprovider.Class(tt.err); got != tt.want {
			t.Errorf("%s: Class = %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestSentinelsDiffer: no class is taken for another, and none for an error of
// a source.
func TestSentinelsDiffer(t *testing.T) {
	all := append([]error{keyprovider.ErrNotModified, keyprovider.ErrNoReplacement, keyprovider.ErrExpired, keyprovider.ErrStale, keyprovider.ErrClosed}, classes...)
	for i, a := range all {
		for j, b := range all {
			if errors.Is(a, b) != (i == j) {
				t.Errorf("errors.Is(%v, %v) = %t", a, b, i != j)
			}
		}
	}
}

// TestErrorInScript: within a script html/template follows pointers until it
// meets a json.Marshaler, past an error and a TextMarshaler.
func TestErrorInScript(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	err := &keyprovider.Error{Provider: "p", Class: keyprovider.ErrDenied, Err: &struct {
		error
		Message string
	}{io.EOF, secret}}
	var out strings.Builder
	if err := template.Must(template.New("").Parse("<script>x = {{.}}</script>")).Execute(&out, err); err != nil {
		t.Fatal(err)
	}
	if want := `<script>x = "keyprovider: p: access denied"</script>`; out.String() != want {
		t.Errorf("the template writes %s, want %s", out.String(), want)
	}
}
