package awssm

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/logging"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

const everything = aws.LogSigning | aws.LogRetries | aws.LogRequest | aws.LogRequestWithBody | aws.LogResponse | aws.LogResponseWithBody |
	aws.LogDeprecatedUsage | aws.LogRequestEventMessage | aws.LogResponseEventMessage

// A client with the SDK's whole debug log on shows the key by itself, and does
// not when a Provider calls it; nor do our errors, names and log.
func TestKeyIsNeverShown(t *testing.T) {
	once(t)
	stderr := captureStderr(t)
	var sdk, ours bytes.Buffer
	f := newFake(t)
	key := keyprovidertest.NewSecret()
	f.put(1, `{"api_key":"`+key+`"}`, "AWSCURRENT")

	creds := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b"}, nil
	})
	client := secretsmanager.New(secretsmanager.Options{Region: "eu-west-1", BaseEndpoint: aws.String(f.URL), Credentials: creds,
		ClientLogMode: everything, Logger: logging.NewStandardLogger(&sdk), RetryMaxAttempts: 1})
	queue := sqs.New(sqs.Options{Region: "eu-west-1", BaseEndpoint: aws.String(f.URL), Credentials: creds,
		ClientLogMode: everything, Logger: logging.NewStandardLogger(&sdk), RetryMaxAttempts: 1})
	if _, err := client.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String(secretName), VersionStage: aws.String("AWSCURRENT")}); err != nil {
		t.Fatal(err)
	}
	if !keyprovidertest.Leaks(sdk.String(), key) {
		t.Fatal("the SDK's debug log shows no key, so that this test shows nothing")
	}
	sdk.Reset()

	logger := slog.New(slog.NewTextHandler(&ours, &slog.HandlerOptions{Level: slog.LevelDebug}))
	given := f.provide(t, &Options{Client: client, Queue: queue, QueueURL: f.URL + "/1/q", Logger: logger})
	own := f.provide(t, &Options{Logger: logger})
	var out bytes.Buffer
	show := func(v any) { fmt.Fprintf(&out, "%v %+v %#v %s %q %d\n", v, v, v, v, v, v) }
	for _, p := range []*Provider{given, own} {
		got := fetch(t, p, "")
		show(got)
		show(p)
		logger.Info("key", "key", got, "provider", p)
		_, err := p.Fetch(t.Context(), got.Version())
		show(err)
		// What the service says next repeats the key, as none should.
		f.failCode("DescribeSecret", 400, "AccessDeniedException", key)
		show(second(p.Fetch(t.Context(), got.Version())))
		for _, fault := range []http.HandlerFunc{
			func(w http.ResponseWriter, _ *http.Request) { answerError(w, 400, "InvalidParameterException", key) },
			func(w http.ResponseWriter, _ *http.Request) { answerError(w, 500, key, key) },
			func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"SecretString":"`+key+`" `) },
			func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"SecretString":"{\"`+key+`"}`) },
			func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"SecretString":" `+key+` `+key+`"}`) },
		} {
			f.fail("GetSecretValue", fault)
			err := second(p.Fetch(t.Context(), ""))
			show(err)
			logger.Error("failed", "error", err)
		}
		f.fail("GetSecretValue", nil)
		f.fail("DescribeSecret", nil)
	}
	f.send(key, `{"source":"`+key+`"}`, eventFor(secretARN, secretName, "AWSCURRENT", versionID(1)))
	show(given.Watch(t.Context(), ""))
	f.failCode("ReceiveMessage", 400, "AccessDenied", key)
	show(given.Watch(t.Context(), keyprovider.Version(versionID(1))))

	for name, text := range map[string]string{"the SDK's log": sdk.String(), "our log": ours.String(), "what is printed": out.String(), "stderr": stderr()} {
		if keyprovidertest.Leaks(text, key) {
			t.Errorf("%s shows the key:\n%s", name, text)
		}
	}
	if ours.Len() == 0 || out.Len() == 0 {
		t.Error("nothing was printed")
	}
}

func second[T any](_ T, err error) error { return err }

// captureStderr returns what is written to the process's stderr from now on.
func captureStderr(t *testing.T) func() string {
	file, err := os.CreateTemp(t.TempDir(), "stderr")
	if err != nil {
		t.Fatal(err)
	}
	before := os.Stderr
	os.Stderr = file
	t.Cleanup(func() { os.Stderr = before; file.Close() })
	return func() string {
		text, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}
