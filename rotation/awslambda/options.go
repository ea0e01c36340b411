package awslambda

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/keybearer/keybearer/internal/awsclient"
	"github.com/keybearer/keybearer/internal/keyshape"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// Options change how a Handler rotates. The zero value is the good default, and
// so is a nil *Options.
type Options struct {
	// Field is the field of the JSON object that holds the key ["api_key"].
	Field string

	// Domain tells this function's keys from those of another function for the
	// same secret, such as in a second deployment of an emulator [""]. After a
	// change the former keys are no longer known, and are not revoked.
	Domain string

	// Lifetime is how long a key lives after which the service refuses it by
	// itself [three times the interval of the secret's rotation; 90 days if AWS
	// does not tell it]. Less than three intervals is refused, so that
	// rotations that fail are noticed long before they are an outage; and so is
	// more than what the Issuer says as a rotation.LifetimeLimiter: with the 365
	// days of package openaiadmin a secret has to rotate every 121 days or more
	// often. Negative values are refused.
	Lifetime time.Duration

	// Overlap is how long a key has to be out of AWSCURRENT before it is
	// revoked [1h]. It only matters to a rotation that follows the last one
	// closely, or a change by hand: keys are revoked at the start of a later
	// rotation, so that they live on for an interval of the schedule anyway. The
	// package's documentation says from when it counts. Negative: none, which an
	// emulator needs that tells no LastRotatedDate.
	Overlap time.Duration

	// Quiet is for how long the service must not have seen a former key before
	// it is revoked [1h]. One that is in use is left to a later rotation, or to
	// its own end. Negative: its use does not matter.
	Quiet time.Duration

	// TestFor is for how long testSecret goes on to ask while the service
	// refuses a new key, which takes a moment to spread [1m, and never longer
	// than two seconds before the function times out]. Negative: it asks once.
	TestFor time.Duration

	// Region and Endpoint are those of the secret [that of its ARN, else
	// AWS_REGION; AWS_ENDPOINT_URL_SECRETS_MANAGER, else AWS's own].
	Region, Endpoint string
	// Timeout bounds one call to AWS with its retries [5s]. Negative values are
	// refused.
	Timeout time.Duration
	// Client replaces the client that New makes of the SDK's configuration. It
	// excludes Region and Endpoint.
	Client Client

	// Logger receives one line for each key that is minted, revoked, or found
	// and left alone [slog.Default()].
	Logger *slog.Logger
}

// Client is the part of *secretsmanager.Client that a Handler uses.
type Client interface {
	DescribeSecret(context.Context, *secretsmanager.DescribeSecretInput, ...func(*secretsmanager.Options)) (*secretsmanager.DescribeSecretOutput, error)
	GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
	PutSecretValue(context.Context, *secretsmanager.PutSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.PutSecretValueOutput, error)
	UpdateSecretVersionStage(context.Context, *secretsmanager.UpdateSecretVersionStageInput, ...func(*secretsmanager.Options)) (*secretsmanager.UpdateSecretVersionStageOutput, error)
}

const (
	day             = 24 * time.Hour
	defaultTimeout  = 5 * time.Second
	defaultLifetime = 90 * day
	defaultTestFor  = time.Minute
	intervals       = 3 // that a lifetime lasts, at least
)

// check refuses what cannot be right, in words that repeat nothing of it.
func (o *Options) check() error {
	settings := awsclient.Settings{Region: o.Region, Endpoint: o.Endpoint}
	switch {
	case o.Client != nil && settings != awsclient.Settings{}:
		return reason("Client excludes Region and Endpoint: configure them on the client")
	case o.Timeout < 0:
		return reason("Timeout is negative: 0 is the default")
	case o.Lifetime < 0:
		return reason("Lifetime is negative: 0 is the default")
	case keyshape.Looks(o.Field):
		return reason("Field looks like a key: it is the name of a field of a JSON object")
	case rotation.DescribesKey(o.Field):
		return reason("Field is the name of a field that describes the key: choose another")
	case keyshape.Looks(o.Domain):
		return reason("Domain looks like a key: it is a name of your choice")
	}
	return settings.Check()
}

// withDefaults fills what may be left out. Afterwards zero means none.
func (o Options) withDefaults() Options {
	if o.Field == "" {
		o.Field = keyprovider.DefaultField
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	for value, fallback := range map[*time.Duration]time.Duration{&o.Overlap: time.Hour, &o.Quiet: time.Hour, &o.TestFor: defaultTestFor} {
		if *value == 0 {
			*value = fallback
		}
		*value = max(0, *value)
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// lifetime is that of the keys of a secret that rotates every so often; 0: that
// is not known. longest is what the service allows; 0: that is not known.
func (o *Options) lifetime(interval, longest time.Duration) (time.Duration, error) {
	life := o.Lifetime
	if life == 0 {
		life = intervals * interval
	}
	if life == 0 {
		life = defaultLifetime
		if longest > 0 {
			life = min(life, longest)
		}
	}
	switch {
	case life < intervals*interval:
		return 0, reason("Lifetime is less than three intervals of the secret's rotation: a rotation that fails would soon be an outage")
	case longest > 0 && life > longest && o.Lifetime > 0:
		return 0, reason(fmt.Sprintf("Lifetime is more than the %s that a key may live at the service", days(longest)))
	case longest > 0 && life > longest:
		return 0, reason(fmt.Sprintf("the secret rotates every %s: a key has to live for three times that, and may live for %s at the service; rotate every %s or more often",
			days(interval), days(longest), days(longest/intervals)))
	}
	return life, nil
}

// longest is how long a key of an Issuer's may live; 0: it does not tell.
func longest(issuer rotation.Issuer) time.Duration {
	if l, ok := issuer.(rotation.LifetimeLimiter); ok {
		return max(0, l.MaxLifetime())
	}
	return 0
}

// days is a duration in words, cut to whole days where it has one.
func days(d time.Duration) string {
	if d < 2*day {
		return d.String()
	}
	return fmt.Sprintf("%d days", d/day)
}

func reason(text string) error { return keyprovider.Reason(text, nil) }
