package awssm

import (
	"errors"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func TestOpen(t *testing.T) {
	t.Setenv("AWS_REGION", "eu-north-1")
	for _, tt := range []struct {
		uri, name string
		opts      Options
	}{
		{"awssm://prod/openai", "prod/openai", Options{}},
		{"awssm:prod/openai", "prod/openai", Options{}},
		{"awssm:///prod/openai", "/prod/openai", Options{}},
		{"awssm://OpenAI", "OpenAI", Options{}},
		{"awssm:name%40example", "name@example", Options{}},
		{"awssm:" + secretARN, secretARN, Options{}},
		{"awssm:" + secretARN + "?stage=mine", secretARN, Options{Stage: "mine"}},
		{"awssm://a?region=eu-west-1&stage=s&field=f&endpoint=http://127.0.0.1:1&timeout=2s&queue=https://sqs.eu-west-1.amazonaws.com/1/q", "a", Options{
			Region: "eu-west-1", Stage: "s", Field: "f", Endpoint: "http://127.0.0.1:1", Timeout: 2 * time.Second,
			QueueURL: "https://sqs.eu-west-1.amazonaws.com/1/q"}},
		{"awssm://a?version=" + versionID(1), "a", Options{VersionID: versionID(1)}},
	} {
		opened, err := keyprovider.Open(t.Context(), tt.uri)
		if err != nil {
			t.Errorf("Open(%s): %v", tt.uri, err)
			continue
		}
		p := opened.(*Provider)
		want := tt.opts.withDefaults()
		if p.secret.ID != tt.name || !reflect.DeepEqual(p.options, want) {
			t.Errorf("Open(%s) = %s %+v, want %s %+v", tt.uri, p.secret.ID, p.options, tt.name, want)
		}
	}
}

func TestOpenProfile(t *testing.T) {
	t.Setenv("AWS_REGION", "eu-north-1")
	_, err := keyprovider.Open(t.Context(), "awssm://a?profile=none")
	if !errors.Is(err, keyprovider.ErrInvalid) || !strings.Contains(err.Error(), "AWS_PROFILE") {
		t.Errorf("got %v, want the profile to be looked for", err)
	}
}

// Every option is reachable by a parameter or refused by its name.
func TestOpenKnowsEveryOption(t *testing.T) {
	parameter := map[string]string{
		"Stage": "stage", "VersionID": "version", "Field": "field", "Region": "region", "Profile": "profile", "Endpoint": "endpoint",
		"Timeout": "timeout", "QueueURL": "queue", "Client": "client", "Queue": "queue_client", "Logger": "logger",
	}
	for field := range reflect.TypeFor[Options]().Fields() {
		name, ok := parameter[field.Name]
		if !ok {
			t.Errorf("option %s has no parameter", field.Name)
			continue
		}
		_, err := keyprovider.Open(t.Context(), "awssm://a?region=eu-west-1&"+name+"=%20")
		if err == nil || strings.Contains(err.Error(), "unknown parameter") {
			// A stage and a field may be anything.
			if name != "stage" && name != "field" {
				t.Errorf("parameter %s: got %v", name, err)
			}
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	key := keyprovidertest.NewSecret()
	for _, tt := range []struct{ name, uri, text string }{
		{"a key", "awssm:" + key, "looks like a key"},
		{"a key as host", "awssm://" + key, "looks like a key"},
		{"a key as value", "awssm://a?region=" + key, "region is malformed"},
		{"a key as parameter", "awssm://a?" + key + "=x", "unknown parameter"},
		{"a slip", "awssm://a?regoin=x", "the nearest is region"},
		{"client", "awssm://a?client=" + key, "parameter client cannot be written in a URI"},
		{"logger", "awssm://a?logger=x", "parameter logger cannot be written"},
		{"queue client", "awssm://a?queue_client=x", "parameter queue_client cannot be written"},
		{"timeout", "awssm://a?timeout=" + key, "not a positive duration"},
		{"timeout of zero", "awssm://a?timeout=0s", "not a positive duration"},
		{"an ARN after slashes", "awssm://" + secretARN, "not a well-formed URI"},
		{"a port", "awssm://a:80/b", "character"},
		{"escapes", "awssm:%zz", "percent-encode"},
		{"fragment", "awssm://a#b", "fragment"},
		{"nothing", "awssm:", "no secret is named"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := keyprovider.Open(t.Context(), tt.uri)
			if !errors.Is(err, keyprovider.ErrInvalid) || !strings.Contains(err.Error(), tt.text) {
				t.Fatalf("got %v, want ErrInvalid: ...%s...", err, tt.text)
			}
			if keyprovidertest.Leaks(err.Error(), key) {
				t.Errorf("%v repeats a key", err)
			}
		})
	}
}

// Whatever is written around a key, an error repeats none of it, and a
// provider that opens has a name that Secrets Manager may have.
func FuzzOpen(f *testing.F) {
	for _, seed := range []string{"awssm://prod/openai?region=eu-west-1", "awssm:" + secretARN, "awssm:///a?stage=", "awssm:a%2fb?queue=http://[::1", "awssm:?"} {
		f.Add(seed, "")
		f.Add(seed, "&stage=x")
	}
	key := keyprovidertest.NewSecret()
	f.Fuzz(func(t *testing.T, before, after string) {
		for _, uri := range []string{before + after, before + key + after} {
			u, err := url.Parse(uri)
			if err != nil || u.Scheme != "awssm" {
				continue
			}
			p, err := open(t.Context(), u)
			switch {
			case err != nil && keyprovidertest.Leaks(err.Error(), key):
				t.Errorf("the error repeats a key: %v", err)
			case err != nil && !errors.Is(err, keyprovider.ErrInvalid):
				t.Errorf("the error is not of class ErrInvalid: %v", err)
			case err == nil && strings.ContainsAny(strings.TrimPrefix(p.(*Provider).secret.ID, "arn:"), " \t\r\n?#%"):
				t.Errorf("opened %q", p)
			}
		}
	})
}
