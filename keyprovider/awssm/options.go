package awssm

import (
	"context"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/keybearer/keybearer/internal/awsclient"
	"github.com/keybearer/keybearer/internal/keyshape"
	"github.com/keybearer/keybearer/keyprovider"
)

// Options change how the key is read. The zero value is the good default, and
// so is a nil *Options.
type Options struct {
	// Stage is the staging label to follow [AWSCURRENT].
	Stage string
	// VersionID pins one version, which then never changes: polling it is
	// pointless and PollInterval says so. It excludes Stage and QueueURL.
	VersionID string
	// Field is the field of a JSON object that holds the key ["api_key"].
	Field string

	// Region is where the secret is [that of the ARN, else AWS_REGION or the
	// shared configuration's].
	Region string
	// Profile is the profile of the shared configuration files to use
	// [AWS_PROFILE, else "default"].
	Profile string
	// Endpoint is the URL of a VPC endpoint, proxy or emulator of Secrets
	// Manager [AWS_ENDPOINT_URL_SECRETS_MANAGER, else AWS's own].
	Endpoint string
	// Timeout bounds one call to AWS with its retries, the search for
	// credentials included [5s]. A Fetch makes one or two. Negative values are
	// refused.
	Timeout time.Duration

	// Client replaces the client that New makes of the SDK's configuration. It
	// excludes Region, Profile and Endpoint, which are the client's own; the
	// region of an ARN goes before the client's.
	Client Client

	// QueueURL makes Watch learn of changes from this SQS queue [no push]. See
	// the package's documentation for what feeds it.
	QueueURL string
	// Queue replaces the SQS client that New makes. It needs QueueURL.
	Queue Queue

	// Logger receives one line when the provider goes over to plain reads, and
	// one for each message of the queue that it cannot read [slog.Default()].
	Logger *slog.Logger
}

// Client is the part of *secretsmanager.Client that a Provider uses.
type Client interface {
	GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
	DescribeSecret(context.Context, *secretsmanager.DescribeSecretInput, ...func(*secretsmanager.Options)) (*secretsmanager.DescribeSecretOutput, error)
}

// Queue is the part of *sqs.Client that a Provider uses.
type Queue interface {
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
}

const (
	defaultStage   = "AWSCURRENT"
	defaultTimeout = 5 * time.Second
)

// check refuses what cannot be right, in words that repeat nothing of it.
func (o Options) check(secret awsclient.Secret) error {
	settings := awsclient.Settings{Region: o.Region, Profile: o.Profile, Endpoint: o.Endpoint}
	switch {
	case o.Client != nil && settings != awsclient.Settings{}:
		return reason("Client excludes Region, Profile and Endpoint: configure them on the client")
	case o.Region != "" && secret.Region != "" && o.Region != secret.Region:
		return reason("Region is not that of the secret's ARN: leave it out")
	case o.VersionID != "" && o.Stage != "":
		return reason("VersionID excludes Stage: a version is pinned, or a label followed")
	case o.VersionID != "" && o.QueueURL != "":
		return reason("VersionID excludes QueueURL: a pinned version never changes")
	case o.Queue != nil && o.QueueURL == "":
		return reason("Queue needs QueueURL")
	case o.Timeout < 0:
		return reason("Timeout is negative: 0 is the default")
	case len(o.Stage) > 256 || keyshape.Looks(o.Stage):
		return reason("Stage is no staging label: it looks like a key or has more than 256 characters")
	case o.VersionID != "" && (len(o.VersionID) < 32 || len(o.VersionID) > 64 || keyshape.Prefixed(o.VersionID)):
		return reason("VersionID is no id of a version: one has 32 to 64 characters, most are UUIDs")
	case keyshape.Looks(o.Field):
		return reason("Field looks like a key: it is the name of a field of a JSON object")
	}
	if o.QueueURL != "" {
		if err := awsclient.CheckURL(o.QueueURL); err != nil {
			return reason("QueueURL " + err.Error())
		}
	}
	return settings.Check()
}

// withDefaults fills what may be left out.
func (o Options) withDefaults() Options {
	if o.Stage == "" && o.VersionID == "" {
		o.Stage = defaultStage
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

func reason(text string) error { return keyprovider.Reason(text, nil) }
