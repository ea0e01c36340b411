package awsstore

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/keybearer/keybearer/internal/awsclient"
	"github.com/keybearer/keybearer/internal/keyshape"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// Options change where and how a Store keeps its key. The zero value is the
// good default, and so is a nil *Options. All replicas of a rotator should have
// the same.
type Options struct {
	// Field is the field of the JSON object that holds the key ["api_key"].
	Field string

	// StateSecret is the name or ARN of the secret that holds the rotator's
	// state [the secret's name with ".rotation", in its account and region]. It
	// is made when the first state is set, if it is not there, in the account
	// of the credentials and with the account's default KMS key.
	StateSecret string

	// Lambda allows a secret that AWS rotates itself, by a function such as
	// that of package awslambda. It is for a program that looks at such a
	// secret, or puts the former key back. A Rotator must not drive it: both
	// would use the label AWSPENDING [false: such a secret is refused].
	Lambda bool

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
	// credentials included [5s]. A method makes up to six. Negative values are
	// refused.
	Timeout time.Duration

	// Client replaces the client that New makes of the SDK's configuration. It
	// excludes Region, Profile and Endpoint, which are the client's own; the
	// region of an ARN goes before the client's.
	Client Client
}

// Client is the part of *secretsmanager.Client that a Store uses.
type Client interface {
	DescribeSecret(context.Context, *secretsmanager.DescribeSecretInput, ...func(*secretsmanager.Options)) (*secretsmanager.DescribeSecretOutput, error)
	GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
	PutSecretValue(context.Context, *secretsmanager.PutSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.PutSecretValueOutput, error)
	UpdateSecretVersionStage(context.Context, *secretsmanager.UpdateSecretVersionStageInput, ...func(*secretsmanager.Options)) (*secretsmanager.UpdateSecretVersionStageOutput, error)
	CreateSecret(context.Context, *secretsmanager.CreateSecretInput, ...func(*secretsmanager.Options)) (*secretsmanager.CreateSecretOutput, error)
}

const (
	defaultTimeout = 5 * time.Second
	stateSuffix    = ".rotation"
)

// check refuses what cannot be right, in words that repeat nothing of it.
func (o *Options) check(secret awsclient.Secret) error {
	settings := awsclient.Settings{Region: o.Region, Profile: o.Profile, Endpoint: o.Endpoint}
	switch {
	case o.Client != nil && settings != awsclient.Settings{}:
		return reason("Client excludes Region, Profile and Endpoint: configure them on the client")
	case o.Region != "" && secret.Region != "" && o.Region != secret.Region:
		return reason("Region is not that of the secret's ARN: leave it out")
	case o.Timeout < 0:
		return reason("Timeout is negative: 0 is the default")
	case keyshape.Looks(o.Field):
		return reason("Field looks like a key: it is the name of a field of a JSON object")
	case rotation.DescribesKey(o.Field):
		return reason("Field is the name of a field that describes the key: choose another")
	}
	if o.StateSecret != "" {
		state, err := awsclient.ParseSecret(o.StateSecret)
		if err != nil {
			return reason("StateSecret: " + err.Error())
		}
		if state.Region != "" && secret.Region != "" && state.Region != secret.Region {
			return reason("StateSecret is in another region than the secret: both are in one")
		}
	}
	return settings.Check()
}

// placeState returns the id of the state's secret and the name to make it with,
// "" where an ARN was given.
func placeState(option string, main *description) (id, name string, err error) {
	switch {
	case strings.HasPrefix(option, "arn:"):
		id = option
	case option != "":
		id, name = option, option
	default:
		name = main.name + stateSuffix
		if _, err := awsclient.ParseSecret(name); err != nil {
			return "", "", reason("the secret's name is too long for a state beside it: set StateSecret")
		}
		// By ARN, so that a secret of another account has its state there too.
		id = main.arn[:len(main.arn)-len(main.name)-suffixLen] + name
	}
	if id == main.name || strings.HasPrefix(main.arn, id) && len(main.arn)-len(id) <= suffixLen {
		return "", "", reason("StateSecret is the secret itself: readers of the key must not find the state")
	}
	return id, name, nil
}

// suffixLen is the length of what Secrets Manager adds to a name to make the
// ARN of a secret: a hyphen and six characters.
const suffixLen = 7

func reason(text string) error { return keyprovider.Reason(text, nil) }
