package awssm

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func TestFetchFollowsTheLabel(t *testing.T) {
	f := newFake(t)
	first, second := keyprovidertest.NewSecret(), keyprovidertest.NewSecret()
	f.put(1, first, "AWSCURRENT")
	p := f.provide(t, nil)

	key := fetch(t, p, "")
	if key.Reveal() != first || key.Version() != keyprovider.Version(versionID(1)) {
		t.Errorf("got %v, want version 1", key)
	}
	if want := time.Unix(1_700_000_001, 0); !key.Info().CreatedAt.Equal(want) {
		t.Errorf("CreatedAt = %v, want %v", key.Info().CreatedAt, want)
	}
	if got := f.took(); got != "Get" {
		t.Errorf("the first fetch took %q, want one Get", got)
	}
	if in := f.lastInput(); !strings.Contains(in, `"VersionStage":"AWSCURRENT"`) || strings.Contains(in, "VersionId") {
		t.Errorf("request %s does not name the stage, or a version", in)
	}

	if _, err := p.Fetch(t.Context(), key.Version()); err != keyprovider.ErrNotModified {
		t.Errorf("unchanged: got %v, want ErrNotModified", err)
	}
	if got := f.took(); got != "Describe" {
		t.Errorf("an unchanged fetch took %q, want one Describe", got)
	}

	f.put(2, second, "AWSCURRENT", "unrelated")
	if got := fetch(t, p, key.Version()); got.Reveal() != second {
		t.Errorf("after a rotation: got %v, want version 2", got)
	}
	if got := f.took(); got != "Describe Get" {
		t.Errorf("a fetch of a change took %q, want Describe and Get", got)
	}

	f.move("AWSCURRENT", 1) // rolled back
	if got := fetch(t, p, keyprovider.Version(versionID(2))); got.Reveal() != first || got.Info().CreatedAt.After(time.Unix(1_700_000_001, 0)) {
		t.Errorf("after a rollback: got %v, want version 1 with its own date", got)
	}
}

func TestFetchStageAndVersion(t *testing.T) {
	f := newFake(t)
	current, pending := keyprovidertest.NewSecret(), keyprovidertest.NewSecret()
	f.put(1, current, "AWSCURRENT")
	f.put(2, pending, "AWSPENDING")

	staged := f.provide(t, &Options{Stage: "AWSPENDING"})
	if fetch(t, staged, "").Reveal() != pending {
		t.Error("Stage: got another version's key")
	}
	if got, want := staged.String(), "awssm:prod/openai?stage=AWSPENDING"; got != want {
		t.Errorf("String = %s, want %s", got, want)
	}
	if staged.PollInterval() != 0 {
		t.Errorf("PollInterval = %v, want 0", staged.PollInterval())
	}

	pinned := f.provide(t, &Options{VersionID: versionID(2)})
	f.took()
	key := fetch(t, pinned, "")
	if key.Reveal() != pending {
		t.Error("VersionID: got another version's key")
	}
	if _, err := pinned.Fetch(t.Context(), key.Version()); err != keyprovider.ErrNotModified {
		t.Errorf("a pinned version: got %v, want ErrNotModified", err)
	}
	if got := f.took(); got != "Get Get" || strings.Contains(f.lastInput(), "VersionStage") {
		t.Errorf("took %q with %s, want plain reads by version", got, f.lastInput())
	}
	if pinned.PollInterval() >= 0 {
		t.Errorf("PollInterval = %v, want a negative one", pinned.PollInterval())
	}
	if got, want := pinned.String(), "awssm:prod/openai?version="+versionID(2); got != want {
		t.Errorf("String = %s, want %s", got, want)
	}
}

func TestFetchValues(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	str := func(s string) fakeVersion { return fakeVersion{text: &s} }
	for _, tt := range []struct {
		name  string
		value fakeVersion
		field string
		want  string // text of the error, "" for the key
	}{
		{"bare", str(secret), "", ""},
		{"console", str(`{"api_key":"` + secret + `"}`), "", ""},
		{"field", str(`{"OPENAI_API_KEY":"` + secret + `"}`), "OPENAI_API_KEY", ""},
		{"binary", fakeVersion{binary: []byte(secret + "\n")}, "", ""},
		{"empty", str(""), "", "the stored value is empty"},
		{"neither", fakeVersion{}, "", "the stored value is empty"},
		{"no field", str(`{"key":"` + secret + `"}`), "", `no field "api_key"`},
		{"binary rubbish", fakeVersion{binary: []byte{0xff, 0, 1}}, "", "the key contains"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t)
			f.versions[versionID(1)], f.stages["AWSCURRENT"] = tt.value, versionID(1)
			key, err := f.provide(t, &Options{Field: tt.field}).Fetch(t.Context(), "")
			if tt.want == "" {
				if err != nil || key.Reveal() != secret {
					t.Fatalf("got %v, %v; want the key", key, err)
				}
				return
			}
			if !errors.Is(err, keyprovider.ErrInvalid) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "awssm:prod/openai") {
				t.Fatalf("got %v, want ErrInvalid: ...%s...", err, tt.want)
			}
			if keyprovidertest.Leaks(err.Error(), secret) {
				t.Error("the error shows the key")
			}
		})
	}
}

func TestFetchDescribeDenied(t *testing.T) {
	var log bytes.Buffer
	f := newFake(t)
	first, second := keyprovidertest.NewSecret(), keyprovidertest.NewSecret()
	f.put(1, first, "AWSCURRENT")
	p := f.provide(t, &Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	last := fetch(t, p, "").Version()

	// While everything is denied nothing is learned.
	f.failCode("DescribeSecret", 400, "AccessDeniedException", "no")
	f.failCode("GetSecretValue", 400, "AccessDeniedException", "no")
	if _, err := p.Fetch(t.Context(), last); !errors.Is(err, keyprovider.ErrDenied) {
		t.Fatalf("got %v, want ErrDenied", err)
	}
	if log.Len() != 0 {
		t.Errorf("logged %q", &log)
	}

	f.fail("GetSecretValue", nil)
	f.took()
	for range 3 {
		if _, err := p.Fetch(t.Context(), last); err != keyprovider.ErrNotModified {
			t.Errorf("got %v, want ErrNotModified", err)
		}
	}
	if got := f.took(); got != "Describe Get Get Get" {
		t.Errorf("took %q, want one Describe and then plain reads", got)
	}
	if got := strings.Count(log.String(), "\n"); got != 1 || !strings.Contains(log.String(), "DescribeSecret is not granted") {
		t.Errorf("log %q, want one line", &log)
	}

	f.put(2, second, "AWSCURRENT")
	if fetch(t, p, last).Reveal() != second {
		t.Error("a rotation is not seen by plain reads")
	}
}

func TestFetchDescribeSaysGone(t *testing.T) {
	f := newFake(t)
	f.put(1, keyprovidertest.NewSecret(), "AWSCURRENT")
	p := f.provide(t, nil)
	last := fetch(t, p, "").Version()

	delete(f.stages, "AWSCURRENT")
	_, err := p.Fetch(t.Context(), last)
	if !errors.Is(err, keyprovider.ErrNotFound) || !strings.Contains(err.Error(), "staging label") {
		t.Errorf("without the label: got %v, want ErrNotFound", err)
	}
	f.fail("DescribeSecret", deletedSecret)
	_, err = p.Fetch(t.Context(), last)
	if !errors.Is(err, keyprovider.ErrNotFound) || !strings.Contains(err.Error(), "marked for deletion (DeletedDate 2023-11-14T22:13:20Z)") {
		t.Errorf("marked for deletion: got %v, want ErrNotFound with the time", err)
	}
}

func TestFetchDeadline(t *testing.T) {
	f := newFake(t)
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	f.fail("GetSecretValue", hangUntil(hang))
	p := f.provide(t, &Options{Timeout: 50 * time.Millisecond})
	_, err := p.Fetch(t.Context(), "")
	if !errors.Is(err, keyprovider.ErrUnavailable) || !strings.Contains(err.Error(), "no answer within 50ms") {
		t.Errorf("got %v, want ErrUnavailable: no answer within 50ms", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	f.fail("GetSecretValue", cancelThenHang(cancel, hang))
	_, err = f.provide(t, nil).Fetch(ctx, "")
	if !errors.Is(err, context.Canceled) || !errors.Is(err, keyprovider.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable and context.Canceled", err)
	}
}

func TestFetchCredentialsHang(t *testing.T) {
	f := newFake(t)
	hanging := secretsmanager.New(secretsmanager.Options{
		Region: "eu-west-1", BaseEndpoint: aws.String(f.URL),
		Credentials: aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
			<-ctx.Done() // as an instance metadata service that accepts and says nothing
			return aws.Credentials{}, ctx.Err()
		}),
	})
	p := f.provide(t, &Options{Client: hanging, Timeout: 50 * time.Millisecond})
	_, err := p.Fetch(t.Context(), "")
	if !errors.Is(err, keyprovider.ErrUnavailable) || !strings.Contains(err.Error(), "no AWS credentials: their source") {
		t.Errorf("got %v, want ErrUnavailable: no AWS credentials", err)
	}
	if got := f.took(); got != "" {
		t.Errorf("took %q, want no call", got)
	}
}

// The instance metadata service accepts the connection and says nothing, as on
// a machine whose hop limit keeps a container from it.
func TestFetchInstanceMetadataHangs(t *testing.T) {
	done := make(chan struct{})
	imds := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		<-done
		w.WriteHeader(http.StatusNotFound) // no role is attached
	}))
	t.Cleanup(imds.Close)
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "",
		"AWS_EC2_METADATA_SERVICE_ENDPOINT": imds.URL} {
		t.Setenv(name, value)
	}
	p := newFake(t).provide(t, &Options{Timeout: 100 * time.Millisecond})
	start := time.Now()
	_, err := p.Fetch(t.Context(), "")
	if !errors.Is(err, keyprovider.ErrUnavailable) || !strings.Contains(err.Error(), "no AWS credentials: their source") {
		t.Errorf("got %v, want ErrUnavailable: no AWS credentials", err)
	}
	// The SDK's own limit is five seconds.
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("took %v, want 100ms", took)
	}

	// Later fetches join the SDK's search, which goes on, and learn its end.
	close(done)
	for errors.Is(err, keyprovider.ErrUnavailable) && t.Context().Err() == nil {
		_, err = p.Fetch(t.Context(), "")
	}
	if !errors.Is(err, keyprovider.ErrDenied) || !strings.Contains(err.Error(), "give the workload a role") {
		t.Errorf("got %v, want ErrDenied: no AWS credentials", err)
	}
}

func TestFetchDropsExpiredCredentials(t *testing.T) {
	f := newFake(t)
	secret := keyprovidertest.NewSecret()
	f.put(1, secret, "AWSCURRENT")
	issued := 0
	cache := aws.NewCredentialsCache(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		issued++
		if issued == 2 {
			f.fail("GetSecretValue", nil)
		}
		return aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b"}, nil
	}))
	f.failCode("GetSecretValue", 400, "ExpiredTokenException", "The security token included in the request is expired")
	client := secretsmanager.New(secretsmanager.Options{Region: "eu-west-1", BaseEndpoint: aws.String(f.URL), Credentials: cache})
	if fetch(t, f.provide(t, &Options{Client: client}), "").Reveal() != secret || issued != 2 {
		t.Errorf("credentials were issued %d times, want 2", issued)
	}
	if got := f.took(); got != "Get Get" {
		t.Errorf("took %q, want one more try", got)
	}
}

func TestFetchTakesTheRegionOfTheARN(t *testing.T) {
	f := newFake(t)
	f.put(1, keyprovidertest.NewSecret(), "AWSCURRENT")
	var scope string
	f.fail("DescribeSecret", nil)
	f.fail("GetSecretValue", f.recordScope(&scope))
	client := secretsmanager.New(secretsmanager.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(f.URL),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b"}, nil
		}),
	})
	for _, opts := range []*Options{{Endpoint: f.URL}, {Client: client}} {
		p, err := New(t.Context(), secretARN, opts)
		if err != nil {
			t.Fatal(err)
		}
		fetch(t, p, "")
		if !strings.Contains(scope, "/eu-west-1/secretsmanager/") {
			t.Errorf("signed for %q, want the ARN's region", scope)
		}
		p.Close()
	}
}

// The SDK's own client loses one long answer in a few hundred.
func TestFetchLosesNoLongAnswer(t *testing.T) {
	once(t)
	f := newFake(t)
	secret := keyprovidertest.NewSecret()
	f.put(1, `{"api_key":"`+secret+`","padding":"`+strings.Repeat("x", 60<<10)+`"}`, "AWSCURRENT")
	p := f.provide(t, nil)
	for n := range 1000 {
		if key, err := p.Fetch(t.Context(), ""); err != nil || key.Reveal() != secret {
			t.Fatalf("fetch %d: %v", n, err)
		}
	}
}
