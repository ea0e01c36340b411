package awslambda

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/keybearer/keybearer/internal/awsclient/awsfake"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation/rotationtest"
)

func TestRotation(t *testing.T) {
	bubble(t, Options{}, func(w *world) {
		before := w.aws.Labels(secretName)[awsfake.Current]
		token := w.aws.Rotate(secretName)
		if err := w.attempt(token, true); err != nil {
			t.Fatal(err)
		}
		w.settled(token)
		labels := w.aws.Labels(secretName)
		if labels[awsfake.Previous] != before || labels[awsfake.Pending] != "" {
			t.Errorf("labels = %v, want AWSPREVIOUS on the former version and no AWSPENDING", labels)
		}
		if tokens := w.aws.RotationTokens(); len(tokens) != 1 || tokens[0] != "rotation-token-canary" {
			t.Errorf("the rotation tokens %q came with values, want the event's, once", tokens)
		}
		key := w.service.Keys()[1]
		if !strings.HasSuffix(key.Name, "/"+token) || key.ExpiresAt.Sub(key.CreatedAt) != 3*interval {
			t.Errorf("minted %+v, want a name that ends in the token and a life of three intervals", key)
		}
		w.secrecy()
		for _, step := range steps { // AWS may repeat a rotation that is over
			if err := w.invoke(step, token); err != nil {
				t.Errorf("%s after the end: %v", step, err)
			}
		}
		if n := len(w.service.Keys()); n != 2 {
			t.Errorf("%d keys are alive, want the person's and the new one", n)
		}
	})
}

func TestFormerKeys(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options Options
		act     func(w *world, first *keyprovider.Key) // before the third rotation
		gone    bool
		log     string
	}{
		{"idle for long", Options{}, func(*world, *keyprovider.Key) { time.Sleep(interval) }, true, "former key revoked"},
		{"the rotation follows at once", Options{}, func(*world, *keyprovider.Key) {}, false, "not been out of use for long"},
		{"without an overlap", Options{Overlap: -1, Quiet: -1}, func(*world, *keyprovider.Key) {}, true, "former key revoked"},
		{"in use", Options{}, func(w *world, first *keyprovider.Key) {
			time.Sleep(interval)
			if err := w.service.Call(first); err != nil {
				w.Fatal(err)
			}
		}, false, "it is in use"},
		{"put back by moving the label", Options{Overlap: -1, Quiet: -1}, func(w *world, first *keyprovider.Key) {
			time.Sleep(interval)
			w.aws.Move(secretName, awsfake.Current, string(first.Version()))
		}, false, ""},
		{"put back as a bare key", Options{Overlap: -1, Quiet: -1}, func(w *world, first *keyprovider.Key) {
			time.Sleep(interval)
			w.aws.Set(secretName, `{"organization":"org-1","api_key":"`+first.Reveal()+`"}`)
		}, false, "it is the current key"},
		{"patched by hand, with the id of another key", Options{Overlap: -1, Quiet: -1}, func(w *world, first *keyprovider.Key) {
			time.Sleep(interval)
			w.aws.Set(secretName, `{"organization":"org-1","key_id":"key_9999","api_key":"`+first.Reveal()+`"}`)
		}, false, "it is the current key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, tt.options, func(w *world) {
				w.mustRotate(false, 1)
				first := w.current()
				w.mustRotate(false, 1)
				tt.act(w, first)
				if err := w.rotate(false); err != nil {
					t.Fatal(err)
				}
				_, err := w.handler.issuer.Inspect(w.Context(), first.Info().ID)
				if gone := errors.Is(err, keyprovider.ErrNotFound); gone != tt.gone {
					t.Errorf("revoked: %v, want %v; log:\n%s", gone, tt.gone, w.log.String())
				}
				if !strings.Contains(w.log.String(), tt.log) {
					t.Errorf("the log does not say %q:\n%s", tt.log, w.log.String())
				}
				w.secrecy()
			})
		})
	}
}

// A key of the right name that is somebody else's, or of another secret, stays.
func TestForeignKeys(t *testing.T) {
	bubble(t, Options{}, func(w *world) {
		w.mustRotate(false, 1)
		name := w.service.Keys()[1].Name
		prefix := name[:strings.LastIndex(name, "/")+1]
		others := []string{
			w.service.NewKey("svc_2", prefix+"00000000-0000-0000-0000-000000000000", 0).Info().ID,
			w.service.NewKey(account, strings.Replace(name, prefix, "keybearer-lambda/00000000/", 1), 0).Info().ID,
			w.service.NewKey(account, "keybearer/00000000-000000/1/1", 0).Info().ID,
			w.service.NewKey(account, "x"+name, 0).Info().ID,
		}
		used := w.service.NewKey(account, prefix+"11111111-0000-0000-0000-000000000000", 0)
		if err := w.service.Call(used); err != nil {
			t.Fatal(err)
		}
		orphan := w.service.NewKey(account, prefix+"22222222-0000-0000-0000-000000000000", 0).Info().ID
		w.mustRotate(false, 2)
		for _, id := range append(others, used.Info().ID) {
			if _, err := w.handler.issuer.Inspect(w.Context(), id); err != nil {
				t.Errorf("a key that is not of this secret, or was used: %v", err)
			}
		}
		if !strings.Contains(w.log.String(), "key="+others[0]) || !strings.Contains(w.log.String(), "an account that is not ours") {
			t.Errorf("the log does not tell of the key of another account:\n%s", w.log.String())
		}
		if _, err := w.handler.issuer.Inspect(w.Context(), orphan); !errors.Is(err, keyprovider.ErrNotFound) {
			t.Errorf("a key that was never stored nor used: %v, want it revoked", err)
		}
	})
}

func TestRefusals(t *testing.T) {
	for _, tt := range []struct {
		name string
		act  func(w *world, e *events.SecretsManagerSecretRotationEvent)
		want string
	}{
		{"no step", func(_ *world, e *events.SecretsManagerSecretRotationEvent) { e.Step = "deleteSecret" }, "no step of a rotation"},
		{"no secret", func(_ *world, e *events.SecretsManagerSecretRotationEvent) { e.SecretID = "" }, "no secret is named"},
		{"no token", func(_ *world, e *events.SecretsManagerSecretRotationEvent) { e.ClientRequestToken = "x" }, "32 to 64 characters"},
		{"a token of nothing", func(_ *world, e *events.SecretsManagerSecretRotationEvent) {
			e.ClientRequestToken = strings.Repeat("0", 36)
		}, "of no rotation of this secret"},
		{"the token of another version", func(w *world, e *events.SecretsManagerSecretRotationEvent) {
			e.ClientRequestToken = w.aws.Store(secretName, "x", "OTHER")
		}, "no longer under way"},
		{"rotation switched off", func(w *world, _ *events.SecretsManagerSecretRotationEvent) { w.aws.Rotates(secretName, 0) }, "not switched on"},
		{"too short a life", func(w *world, _ *events.SecretsManagerSecretRotationEvent) {
			w.aws.Rotates(secretName, 60*24*time.Hour)
		}, "less than three intervals"},
		{"no permission", func(w *world, _ *events.SecretsManagerSecretRotationEvent) {
			w.aws.Intercept(func(operation, _ string) *awsfake.Refusal {
				if operation == "PutSecretValue" {
					return &awsfake.Refusal{Status: 400, Code: "AccessDeniedException", Message: "no"}
				}
				return nil
			})
		}, "grant secretsmanager:PutSecretValue on the secret"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, Options{Lifetime: 100 * 24 * time.Hour}, func(w *world) {
				e := events.SecretsManagerSecretRotationEvent{Step: "createSecret", SecretID: secretName, ClientRequestToken: w.aws.Rotate(secretName), RotationToken: "rotation-token-canary"}
				tt.act(w, &e)
				err := w.handler.Handle(w.Context(), e)
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Fatalf("got %v, want ...%s...", err, tt.want)
				}
				w.secrecy(err.Error(), fmt.Sprintf("%+v %#v", err, err), fmt.Sprintf("%+v", w.handler))
				if n := len(w.ours()); n != 0 {
					t.Errorf("%d keys are left", n)
				}
			})
		})
	}
}

func TestNewRefuses(t *testing.T) {
	issuer := rotationtest.NewService().Issuer(account)
	canary := keyprovidertest.NewSecret()
	for name, opts := range map[string]Options{
		"negative lifetime": {Lifetime: -1}, "negative timeout": {Timeout: -1}, "a key as field": {Field: canary}, "a field that describes": {Field: "key_id"},
		"a key as domain": {Domain: canary}, "region": {Region: "EU"}, "endpoint": {Endpoint: "x"}, "no region": {},
	} {
		_, err := New(t.Context(), issuer, &opts)
		if keyprovider.Class(err) != keyprovider.ErrInvalid || err == nil || keyprovidertest.Leaks(err.Error(), canary) {
			t.Errorf("%s: %v, want ErrInvalid that shows nothing", name, err)
		}
	}
	if _, err := New(t.Context(), nil, nil); !errors.Is(err, keyprovider.ErrInvalid) {
		t.Errorf("without an Issuer: %v", err)
	}
}

// A key takes a while to spread: testSecret waits for it, within bounds.
func TestSpread(t *testing.T) {
	for _, tt := range []struct {
		spread, deadline time.Duration
		ok               bool
	}{
		{30 * time.Second, time.Hour, true},
		{2 * time.Minute, time.Hour, false},
		{30 * time.Second, 20 * time.Second, false},
	} {
		bubble(t, Options{}, func(w *world) {
			w.service.Spread(tt.spread)
			token := w.aws.Rotate(secretName)
			if err := w.invoke("createSecret", token); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(w.Context(), tt.deadline)
			defer cancel()
			start := time.Now()
			err := w.handler.Handle(ctx, events.SecretsManagerSecretRotationEvent{Step: "testSecret", SecretID: secretName, ClientRequestToken: token})
			if (err == nil) != tt.ok || time.Since(start) > min(tt.deadline-margin, time.Minute) {
				t.Errorf("spread %v, deadline %v: %v after %v", tt.spread, tt.deadline, err, time.Since(start))
			}
			if got := w.aws.Labels(secretName)[awsfake.Current]; got == token {
				t.Error("testSecret promotes")
			}
		})
	}
}

// TestDryRun: with RotateImmediately=false AWS calls testSecret alone, for a
// copy of the current value.
func TestDryRun(t *testing.T) {
	bubble(t, Options{}, func(w *world) {
		current := w.aws.Labels(secretName)[awsfake.Current]
		token := w.aws.Store(secretName, w.aws.Value(secretName, current), awsfake.Pending)
		if err := w.invoke("testSecret", token); err != nil {
			t.Error(err)
		}
		if n := len(w.ours()); n != 0 {
			t.Errorf("%d keys were minted", n)
		}
	})
}

// A service that lags behind for a moment is not a rotation that is over.
func TestLaggingLabels(t *testing.T) {
	bubble(t, Options{}, func(w *world) {
		settle := w.aws.Lag()
		token := w.aws.Rotate(secretName)
		done := make(chan error, 1)
		go func() {
			done <- w.handler.Handle(w.Context(), events.SecretsManagerSecretRotationEvent{Step: "createSecret", SecretID: secretName, ClientRequestToken: token})
		}()
		synctest.Wait()
		settle()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
