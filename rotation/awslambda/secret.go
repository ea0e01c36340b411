package awslambda

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"

	"github.com/keybearer/keybearer/internal/awsclient"
	"github.com/keybearer/keybearer/keyprovider"
)

// The labels of Secrets Manager.
const (
	current  = "AWSCURRENT"
	previous = "AWSPREVIOUS"
	pending  = "AWSPENDING"
)

// description is what a secret tells of itself without its values.
type description struct {
	arn      string
	stages   map[string][]string // by version; those with a label alone
	rotates  bool
	interval time.Duration // of the rotation; 0: not known
	rotated  time.Time     // when the last rotation ended; zero: none has, or that is not known
}

// at returns the version that bears a label, "" if none does.
func (d *description) at(label string) string {
	for id := range d.stages {
		if d.has(id, label) {
			return id
		}
	}
	return ""
}

func (d *description) has(id, label string) bool { return slices.Contains(d.stages[id], label) }

// call runs one operation of the SDK. once: it is not repeated by the SDK.
func call[In, Out any](ctx context.Context, t *turn, permission string, once bool, in *In,
	operation func(context.Context, *In, ...func(*secretsmanager.Options)) (*Out, error),
) (*Out, error) {
	if err := ctx.Err(); err != nil {
		return nil, t.failed(keyprovider.ErrUnavailable, err)
	}
	out, err := awsclient.Call(ctx, t.h.options.Timeout, func(ctx context.Context, session *awsclient.Session) (*Out, error) {
		return operation(ctx, in, func(o *secretsmanager.Options) {
			o.ClientLogMode = 0 // it would write the key to the SDK's log
			o.Credentials = session.Credentials(o.Credentials)
			if t.region != "" {
				o.Region = t.region
			}
			if once {
				o.Retryer = aws.NopRetryer{}
			}
		})
	})
	if err != nil {
		return nil, awsclient.Error(t.name, permission+" on the secret", err)
	}
	return out, nil
}

func code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

func (t *turn) describe(ctx context.Context) (*description, error) {
	out, err := call(ctx, t, "secretsmanager:DescribeSecret", false, &secretsmanager.DescribeSecretInput{SecretId: &t.id}, t.h.client.DescribeSecret)
	if err != nil {
		return nil, err
	}
	d := &description{arn: aws.ToString(out.ARN), stages: out.VersionIdsToStages, rotates: aws.ToBool(out.RotationEnabled), rotated: aws.ToTime(out.LastRotatedDate)}
	if out.RotationRules != nil {
		d.interval = time.Duration(aws.ToInt64(out.RotationRules.AutomaticallyAfterDays)) * day
	}
	return d, nil
}

// value is what a version holds, behind a closure, where no printer finds it.
type value struct {
	id      string
	created time.Time
	payload func() []byte
}

// read returns the value of a version, nil if there is none: there is no such
// version, or it has no value yet.
func (t *turn) read(ctx context.Context, id string) (*value, error) {
	if id == "" {
		return nil, nil
	}
	out, err := call(ctx, t, "secretsmanager:GetSecretValue", false, &secretsmanager.GetSecretValueInput{SecretId: &t.id, VersionId: &id}, t.h.client.GetSecretValue)
	if code(err) == "ResourceNotFoundException" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	payload := out.SecretBinary
	if out.SecretString != nil {
		payload = []byte(*out.SecretString)
	}
	return &value{id: id, created: aws.ToTime(out.CreatedDate), payload: func() []byte { return payload }}, nil
}

// put stores the value of this rotation's version.
func (t *turn) put(ctx context.Context, payload []byte) error {
	in := &secretsmanager.PutSecretValueInput{SecretId: &t.id, ClientRequestToken: &t.token, SecretString: aws.String(string(payload)), VersionStages: []string{pending}}
	if token := t.rotationToken(); token != "" {
		in.RotationToken = &token
	}
	// The SDK may repeat it: the version's id makes that harmless.
	_, err := call(ctx, t, "secretsmanager:PutSecretValue", false, in, t.h.client.PutSecretValue)
	return err
}

// errMoved: a label is not where a compare-and-move expected it.
var errMoved = errors.New("the label is on another version")

// move moves a label from a version to another; "" is none. It is sent once.
func (t *turn) move(ctx context.Context, label, to, from string) error {
	in := &secretsmanager.UpdateSecretVersionStageInput{SecretId: &t.id, VersionStage: &label}
	if to != "" {
		in.MoveToVersionId = &to
	}
	if from != "" {
		in.RemoveFromVersionId = &from
	}
	_, err := call(ctx, t, "secretsmanager:UpdateSecretVersionStage", true, in, t.h.client.UpdateSecretVersionStage)
	if code(err) == "InvalidParameterException" {
		return errMoved
	}
	return err
}

// pauses are those between reads that may be out of date.
var pauses = []time.Duration{100 * time.Millisecond, 300 * time.Millisecond, 900 * time.Millisecond}

func (t *turn) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return t.failed(keyprovider.ErrUnavailable, ctx.Err())
	}
}

// plausible reports whether s can be the id of a version.
func plausible(s string) bool { return len(s) >= 32 && len(s) <= 64 }
