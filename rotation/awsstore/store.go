package awsstore

import (
	"context"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/keybearer/keybearer/internal/awsclient"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// Store keeps a key in a secret of AWS Secrets Manager. It is safe for
// concurrent use, and any number of Stores, in any number of processes, may be
// of the same secret. Make one with New.
type Store struct {
	name   string // "awssm:" and the ARN
	arn    string
	region string
	// state is the id of the state's secret; stateName is what to make it as,
	// "" if it is not to be made.
	state, stateName string

	options Options
	client  Client
	config  *awsclient.Config // nil if the client is the caller's

	// What this Store has replaced itself.
	pointer, pending, document passed
}

var (
	_ rotation.Store = (*Store)(nil)
	_ io.Closer      = (*Store)(nil)
)

// New returns a store of the key in a secret, which is given by its name or
// ARN and has to exist, with a value or without. nil opts are the defaults.
//
// It asks AWS once, within ctx, for the secret's complete ARN, which is the
// Store's name and what all later calls are about: a secret that is deleted and
// made anew under the same name is another place. ctx is not kept.
//
// An error is of class keyprovider.ErrInvalid if the place or the options are
// malformed, or the secret is one that cannot be driven: AWS rotates it, another
// service owns it, it is a replica, it is marked for deletion. Otherwise it is
// of the class of the failed call. It repeats nothing that looks like a key.
func New(ctx context.Context, secret string, opts *Options) (*Store, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	parsed, err := awsclient.ParseSecret(secret)
	if err != nil {
		return nil, named("awssm", keyprovider.ErrInvalid, err)
	}
	if err := o.check(parsed); err != nil {
		return nil, named("awssm", keyprovider.ErrInvalid, err)
	}
	if o.Field == "" {
		o.Field = keyprovider.DefaultField
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	s := &Store{name: "awssm:" + parsed.ID, arn: parsed.ID, region: parsed.Region, options: o, client: o.Client}
	if err := s.connect(ctx); err != nil {
		return nil, named("awssm", keyprovider.ErrInvalid, err)
	}
	if err := s.resolve(ctx); err != nil {
		if s.config != nil {
			s.config.Close()
		}
		return nil, err
	}
	return s, nil
}

// connect makes the client that was not given. It makes no connection.
func (s *Store) connect(ctx context.Context) error {
	if s.client != nil {
		if c, ok := s.client.(interface {
			Options() secretsmanager.Options
		}); ok && s.region == "" && c.Options().Region == "" {
			return reason("the client has no AWS region: configure one, or name the secret by its ARN")
		}
		return nil
	}
	region := s.region
	if region == "" {
		region = s.options.Region
	}
	cfg, err := awsclient.Load(ctx, awsclient.Settings{Region: region, Profile: s.options.Profile, Endpoint: s.options.Endpoint})
	if err != nil {
		return err
	}
	if cfg.Region == "" {
		return reason("no AWS region: set Region or AWS_REGION, or name the secret by its ARN")
	}
	s.config = cfg
	s.client = secretsmanager.NewFromConfig(cfg.Config, func(o *secretsmanager.Options) { o.Retryer = awsclient.Retryer(o.Retryer) })
	return nil
}

// resolve asks for the ARN, and finds out early what would keep a rotation from
// working.
func (s *Store) resolve(ctx context.Context) error {
	d, err := s.describe(ctx, s.arn)
	if err != nil {
		return err
	}
	complete, err := awsclient.ParseSecret(d.arn)
	if err != nil || complete.Region == "" || len(d.arn) < len(d.name)+suffixLen {
		return s.error(keyprovider.ErrUnavailable, "the service does not tell the secret's ARN: check the endpoint")
	}
	state, stateName, err := placeState(s.options.StateSecret, d)
	if err != nil {
		return named(s.name, keyprovider.ErrInvalid, err)
	}
	s.name, s.arn, s.region, s.state, s.stateName = "awssm:"+d.arn, d.arn, complete.Region, state, stateName
	return nil
}

// String returns the name of the place: "awssm:" and the secret's complete ARN,
// which has the account and the region. It is the same by whatever name the
// secret was given to New.
func (s *Store) String() string { return s.name }

// Format implements fmt.Formatter: the SDK's client, within, holds credentials.
func (s *Store) Format(f fmt.State, _ rune) { io.WriteString(f, s.name) }

// Close closes the idle connections that the Store made; those of a client that
// was given are left alone. It always returns nil.
func (s *Store) Close() error {
	if s.config != nil {
		s.config.Close()
	}
	return nil
}

func (s *Store) error(class error, text string) error { return named(s.name, class, reason(text)) }

func named(place string, class, err error) error {
	return &keyprovider.Error{Provider: place, Class: class, Err: err}
}

// conflict is the error for a compare-and-set that somebody else won.
func (s *Store) conflict(what string) error {
	return fmt.Errorf("awsstore: %s: %s: %w", s.name, what, rotation.ErrConflict)
}
