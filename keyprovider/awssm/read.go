package awssm

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/keybearer/keybearer/internal/awsclient"
	"github.com/keybearer/keybearer/keyprovider"
)

const logLevel = slog.LevelWarn

func (p *Provider) attr() slog.Attr { return slog.String("provider", p.name) }

// describe returns the version that bears the label now.
func (p *Provider) describe(ctx context.Context) (keyprovider.Version, error) {
	input := &secretsmanager.DescribeSecretInput{SecretId: aws.String(p.secret.ID)}
	out, err := awsclient.Call(ctx, p.options.Timeout, func(ctx context.Context, s *awsclient.Session) (*secretsmanager.DescribeSecretOutput, error) {
		return p.client.DescribeSecret(ctx, input, p.tune(s))
	})
	if err != nil {
		return "", awsclient.Error(p.name, "secretsmanager:DescribeSecret on the secret", err)
	}
	if out.DeletedDate != nil {
		return "", p.error(keyprovider.ErrNotFound, "the secret is marked for deletion (DeletedDate "+
			out.DeletedDate.UTC().Format(time.RFC3339)+"): restore it (secretsmanager:RestoreSecret), or name another")
	}
	for id, stages := range out.VersionIdsToStages {
		if slices.Contains(stages, p.options.Stage) {
			return keyprovider.Version(id), nil
		}
	}
	return "", p.error(keyprovider.ErrNotFound, "no version of the secret bears the staging label")
}

// read returns the key of the version that bears the label, or of the pinned
// one. The label is always named, because not every server takes its absence
// for AWSCURRENT.
func (p *Provider) read(ctx context.Context) (*keyprovider.Key, error) {
	input := &secretsmanager.GetSecretValueInput{SecretId: aws.String(p.secret.ID)}
	if p.options.VersionID != "" {
		input.VersionId = aws.String(p.options.VersionID)
	} else {
		input.VersionStage = aws.String(p.options.Stage)
	}
	out, err := awsclient.Call(ctx, p.options.Timeout, func(ctx context.Context, s *awsclient.Session) (*secretsmanager.GetSecretValueOutput, error) {
		return p.client.GetSecretValue(ctx, input, p.tune(s))
	})
	if err != nil {
		return nil, awsclient.Error(p.name, "secretsmanager:GetSecretValue on the secret", err)
	}
	payload := out.SecretBinary
	if out.SecretString != nil {
		payload = []byte(*out.SecretString)
	}
	key, err := keyprovider.ParseKey(payload, p.options.Field, keyprovider.Info{
		Version:   keyprovider.Version(aws.ToString(out.VersionId)),
		CreatedAt: aws.ToTime(out.CreatedDate),
	})
	if err != nil {
		return nil, &keyprovider.Error{Provider: p.name, Class: keyprovider.ErrInvalid, Err: err}
	}
	return key, nil
}

func (p *Provider) error(class error, text string) error {
	return &keyprovider.Error{Provider: p.name, Class: class, Err: reason(text)}
}
