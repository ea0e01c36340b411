package awssm

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func TestNewRefuses(t *testing.T) {
	key := keyprovidertest.NewSecret()
	client := secretsmanager.New(secretsmanager.Options{Region: "eu-west-1"})
	region := Options{Region: "eu-west-1"}
	for _, tt := range []struct {
		name, place string
		opts        Options
		text        string
	}{
		{"no name", "", region, "no secret is named"},
		{"a key", key, region, "looks like a key"},
		{"a key in a path", "prod/" + key, region, "looks like a key"},
		{"a key of digits and letters", strings.Repeat("a1", 16), region, "looks like a key"},
		{"a character", "prod openai", region, "character"},
		{"too long", strings.Repeat("a/", 300), region, "longer than 512"},
		{"another ARN", "arn:aws:s3:::bucket", Options{}, "not that of a secret"},
		{"half an ARN", "arn:aws:secretsmanager", Options{}, "not that of a secret"},
		{"an ARN without region", "arn:aws:secretsmanager::123456789012:secret:a", Options{}, "no region"},
		{"an ARN without account", "arn:aws:secretsmanager:eu-west-1::secret:a", Options{}, "no account"},
		{"an ARN without name", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:", Options{}, "no name"},
		{"an ARN with a key", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:a/" + key, Options{}, "looks like a key"},
		{"no region", secretName, Options{}, "no AWS region"},
		{"no region of the client", secretName, Options{Client: secretsmanager.New(secretsmanager.Options{})}, "the client has no AWS region"},
		{"two regions", secretARN, Options{Region: "us-east-1"}, "not that of the secret's ARN"},
		{"a key as region", secretName, Options{Region: key}, "region is malformed"},
		{"a key as profile", secretName, Options{Region: "eu-west-1", Profile: key}, "profile looks like a key"},
		{"a missing profile", secretName, Options{Region: "eu-west-1", Profile: "none"}, "configuration cannot be loaded"},
		{"a key as endpoint", secretName, Options{Region: "eu-west-1", Endpoint: key}, "endpoint is not an absolute"},
		{"a key in the endpoint", secretName, Options{Region: "eu-west-1", Endpoint: "https://host/" + key}, "endpoint looks like a key"},
		{"an endpoint with user", secretName, Options{Region: "eu-west-1", Endpoint: "https://u:" + key + "@host"}, "endpoint has a user"},
		{"client and region", secretName, Options{Client: client, Region: "eu-west-1"}, "Client excludes"},
		{"version and stage", secretName, Options{VersionID: versionID(1), Stage: "AWSCURRENT"}, "excludes Stage"},
		{"version and queue", secretName, Options{VersionID: versionID(1), QueueURL: "https://q/1"}, "excludes QueueURL"},
		{"a short version", secretName, Options{Region: "eu-west-1", VersionID: "7"}, "no id of a version"},
		{"a key as version", secretName, Options{Region: "eu-west-1", VersionID: key + key}, "no id of a version"},
		{"a key as stage", secretName, Options{Region: "eu-west-1", Stage: key}, "no staging label"},
		{"a key as field", secretName, Options{Region: "eu-west-1", Field: key}, "Field looks like a key"},
		{"a queue client alone", secretName, Options{Region: "eu-west-1", Queue: &memoryQueue{}}, "needs QueueURL"},
		{"a key as queue", secretName, Options{Region: "eu-west-1", QueueURL: key}, "QueueURL is not an absolute"},
		{"timeout", secretName, Options{Region: "eu-west-1", Timeout: -1}, "Timeout is negative"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := New(t.Context(), tt.place, &tt.opts)
			if p != nil || !errors.Is(err, keyprovider.ErrInvalid) || !strings.Contains(err.Error(), tt.text) {
				t.Fatalf("got %v, %v; want ErrInvalid: ...%s...", p, err, tt.text)
			}
			if keyprovidertest.Leaks(err.Error(), key) {
				t.Errorf("%v repeats a key", err)
			}
		})
	}
}

func TestNewAccepts(t *testing.T) {
	for _, place := range []string{"prod/openai", "/prod/openai", "MyStackOpenAIKeySecretA720EF05-x1Y2z3", "rds!db-1", "a_b+c=d.e@f",
		secretARN, "arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:openai", "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:a-b"} {
		opts := &Options{}
		if !strings.HasPrefix(place, "arn:") {
			opts.Region = "eu-west-1"
		}
		p, err := New(t.Context(), place, opts)
		if err != nil {
			t.Errorf("New(%s): %v", place, err)
			continue
		}
		if got, want := p.String(), "awssm:"+place; got != want {
			t.Errorf("String = %s, want %s", got, want)
		}
		if err := errors.Join(p.Close(), p.Close()); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}
