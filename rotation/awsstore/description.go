package awsstore

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// The labels. The first three are AWS's own.
const (
	current  = "AWSCURRENT"
	previous = "AWSPREVIOUS"
	pending  = "AWSPENDING"
	// former is on the version that was current before the last Promote. A
	// hand that edits the secret meanwhile moves AWSPREVIOUS, and not this one.
	former = "KEYBEARER_FORMER"
	// merged is on a version that Promote wrote itself. It keeps nothing from
	// being deleted that matters, but a version cannot be made without a label.
	merged = "KEYBEARER_MERGED"
)

// description is what a secret tells of itself without its values: the labels.
type description struct {
	arn, name string
	stages    map[string][]string // by version
}

// at returns the version that bears a label, "" if none does.
func (d *description) at(label string) string {
	for id, stages := range d.stages {
		if slices.Contains(stages, label) {
			return id
		}
	}
	return ""
}

// pointer is the revision of the current key: its version, and the version
// before, so that a key which becomes current again has another revision. The
// placeholder of a secret without a key is no key.
func (d *description) pointer() rotation.Revision {
	id := d.at(current)
	if id == "" || id == placeholderID(d.arn) {
		return ""
	}
	return pair(id, d.at(previous))
}

func pair(current, previous string) rotation.Revision {
	return rotation.Revision(current + "/" + previous)
}

func split(r rotation.Revision) (current, previous string) {
	current, previous, _ = strings.Cut(string(r), "/")
	return current, previous
}

// describe reads the labels of a secret. One that a rotator cannot drive is
// ErrInvalid.
func (s *Store) describe(ctx context.Context, secret string) (*description, error) {
	in := &secretsmanager.DescribeSecretInput{SecretId: &secret}
	out, err := call(ctx, s, "secretsmanager:DescribeSecret on "+s.which(secret), false, in, s.client.DescribeSecret)
	if err != nil {
		return nil, err
	}
	d := &description{arn: aws.ToString(out.ARN), name: aws.ToString(out.Name), stages: out.VersionIdsToStages}
	refuse := func(text string) (*description, error) {
		what := "the secret "
		if secret == s.state {
			what = "the secret of the state "
		}
		return nil, s.error(keyprovider.ErrInvalid, what+text)
	}
	switch {
	case out.DeletedDate != nil:
		return refuse("is marked for deletion (DeletedDate " + out.DeletedDate.UTC().Format(time.RFC3339) + "): restore it (secretsmanager:RestoreSecret)")
	case out.OwningService != nil:
		return refuse("is managed by another service of AWS, which alone may change it")
	case out.PrimaryRegion != nil && !strings.Contains(d.arn, ":"+*out.PrimaryRegion+":"):
		return refuse("is a replica: name the one in its primary region (PrimaryRegion " + *out.PrimaryRegion + ")")
	case aws.ToBool(out.RotationEnabled) && (secret == s.state || !s.options.Lambda):
		return refuse("is rotated by AWS itself (RotationEnabled): end that (secretsmanager:CancelRotateSecret), or let AWS do it with package awslambda")
	}
	return d, nil
}

// described is describe of the secret of the key, which is there: New saw it.
// "Not found" would tell a rotator that there is no key yet.
func (s *Store) described(ctx context.Context) (*description, error) {
	d, err := s.describe(ctx, s.arn)
	if errors.Is(err, keyprovider.ErrNotFound) {
		return nil, s.error(keyprovider.ErrInvalid, "the secret has been deleted: make it again, and restart the rotator")
	}
	return d, err
}
