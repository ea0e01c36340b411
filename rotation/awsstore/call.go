package awsstore

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"

	"github.com/keybearer/keybearer/internal/awsclient"
	"github.com/keybearer/keybearer/keyprovider"
)

// errMoved: a label is not where a compare-and-move expected it.
var errMoved = errors.New("the label is on another version")

// call runs one operation of the SDK. once: it is not repeated by the SDK.
func call[In, Out any](ctx context.Context, s *Store, permission string, once bool, in *In,
	operation func(context.Context, *In, ...func(*secretsmanager.Options)) (*Out, error),
) (*Out, error) {
	if err := ctx.Err(); err != nil {
		return nil, named(s.name, keyprovider.ErrUnavailable, err)
	}
	out, err := awsclient.Call(ctx, s.options.Timeout, func(ctx context.Context, session *awsclient.Session) (*Out, error) {
		return operation(ctx, in, func(o *secretsmanager.Options) {
			o.ClientLogMode = 0 // it would write the key to the SDK's log
			o.Credentials = session.Credentials(o.Credentials)
			if s.region != "" {
				o.Region = s.region
			}
			if once {
				o.Retryer = aws.NopRetryer{}
			}
		})
	})
	if err == nil {
		return out, nil
	}
	failed := awsclient.Error(s.name, permission, err)
	if e, ok := errors.AsType[*keyprovider.Error](failed); ok && e.Class == keyprovider.ErrNotFound && code(err) == "InvalidRequestException" {
		// Marked for deletion. "Not found" would tell a rotator that there is
		// no key yet, and it would begin to mint.
		e.Class = keyprovider.ErrInvalid
	}
	return nil, failed
}

func code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// value is what a version holds, behind a closure, where no printer finds it.
type value struct {
	id      string
	created time.Time
	payload func() []byte
}

// read returns the value of a version, by its id or by its label. The label is
// always named, because not every server takes its absence for AWSCURRENT. A
// version without a value, as AWS makes it to rotate, is ErrNotFound.
func (s *Store) read(ctx context.Context, secret, id, label string) (*value, error) {
	in := &secretsmanager.GetSecretValueInput{SecretId: &secret}
	if id != "" {
		in.VersionId = &id
	} else {
		in.VersionStage = &label
	}
	out, err := call(ctx, s, "secretsmanager:GetSecretValue on "+s.which(secret), false, in, s.client.GetSecretValue)
	if err != nil {
		return nil, err
	}
	payload := out.SecretBinary
	if out.SecretString != nil {
		payload = []byte(*out.SecretString)
	}
	return &value{id: aws.ToString(out.VersionId), created: aws.ToTime(out.CreatedDate), payload: func() []byte { return payload }}, nil
}

// put stores a value as a new version of this id, puts labels on it, and
// returns those that it has then: if there is such a version already, with the
// same value, nothing happens.
func (s *Store) put(ctx context.Context, secret, id string, payload []byte, label string) ([]string, error) {
	in := &secretsmanager.PutSecretValueInput{SecretId: &secret, ClientRequestToken: &id, SecretString: aws.String(string(payload)), VersionStages: []string{label}}
	// The SDK may repeat it: the id makes that harmless.
	out, err := call(ctx, s, "secretsmanager:PutSecretValue on "+s.which(secret), false, in, s.client.PutSecretValue)
	if err != nil {
		return nil, err
	}
	return out.VersionStages, nil
}

// move moves a label to a version, or takes it away for to "", if it is on the
// version from, or on none for from "". Otherwise it returns errMoved. It is
// sent once: of a move that was repeated because its answer was lost, nobody
// could tell whether it was the first that moved the label.
func (s *Store) move(ctx context.Context, secret, label, to, from string) error {
	in := &secretsmanager.UpdateSecretVersionStageInput{SecretId: &secret, VersionStage: &label}
	if to != "" {
		in.MoveToVersionId = &to
	}
	if from != "" {
		in.RemoveFromVersionId = &from
	}
	_, err := call(ctx, s, "secretsmanager:UpdateSecretVersionStage on "+s.which(secret), true, in, s.client.UpdateSecretVersionStage)
	if code(err) == "InvalidParameterException" {
		// The ids and the label are well-formed: they came from the service.
		return errMoved
	}
	return err
}

// create makes the secret of the state with its first value.
func (s *Store) create(ctx context.Context, id string, payload []byte) (arn string, err error) {
	in := &secretsmanager.CreateSecretInput{Name: &s.stateName, ClientRequestToken: &id, SecretString: aws.String(string(payload)),
		Description: aws.String("State of the rotation of " + s.arn + ", kept by keybearer. It holds no key.")}
	out, err := call(ctx, s, "secretsmanager:CreateSecret on the secret of the state, or make that secret, empty", false, in, s.client.CreateSecret)
	if err != nil {
		return "", err
	}
	return aws.ToString(out.ARN), nil
}

// which names a secret in an error.
func (s *Store) which(secret string) string {
	if secret == s.state {
		return "the secret of the state (make it, empty, if it is not there)"
	}
	return "the secret"
}
