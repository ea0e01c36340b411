package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/keybearer/keybearer/internal/openaitest"
)

const secretName = "prod/openai"

// An operator owns the secret and the queue, and rotates the key.
type operator struct {
	secrets *secretsmanager.Client
	queues  *sqs.Client
	openai  *openaitest.Server

	arn, queue   string
	key, version string
}

func newOperator(ctx context.Context, endpoint string, service *openaitest.Server) (*operator, error) {
	creds := credentials.NewStaticCredentialsProvider("test", "test", "")
	o := &operator{
		openai:  service,
		secrets: secretsmanager.New(secretsmanager.Options{Region: region, BaseEndpoint: &endpoint, Credentials: creds}),
		queues:  sqs.New(sqs.Options{Region: region, BaseEndpoint: &endpoint, Credentials: creds}),
	}
	queue, err := o.queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("openai-key")})
	if err != nil {
		return nil, err
	}
	o.key = service.Mint(openaitest.MintOptions{})
	secret, err := o.secrets.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: aws.String(secretName), SecretString: aws.String(stored(o.key))})
	if err != nil {
		return nil, err
	}
	o.queue, o.arn, o.version = *queue.QueueUrl, *secret.ARN, *secret.VersionId
	return o, nil
}

// stored is the secret's value, as the console writes one.
func stored(key string) string {
	value, _ := json.Marshal(map[string]string{"api_key": key})
	return string(value)
}

// source is the URI of the secret for the example.
func (o *operator) source() string {
	return "awssm://" + secretName + "?" + url.Values{"queue": {o.queue}}.Encode()
}

// rotate stages a key that it mints, and moves the label to it.
func (o *operator) rotate(ctx context.Context) error {
	key := o.openai.Mint(openaitest.MintOptions{})
	put, err := o.secrets.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
		SecretId: &o.arn, SecretString: aws.String(stored(key)), VersionStages: []string{"AWSPENDING"},
	})
	if err != nil {
		return err
	}
	_, err = o.secrets.UpdateSecretVersionStage(ctx, &secretsmanager.UpdateSecretVersionStageInput{
		SecretId: &o.arn, VersionStage: aws.String("AWSCURRENT"), MoveToVersionId: put.VersionId, RemoveFromVersionId: &o.version,
	})
	if err != nil {
		return err
	}
	o.key, o.version = key, *put.VersionId
	fmt.Printf("--- AWSCURRENT was moved to version %s\n", o.version)
	return o.announce(ctx)
}

// announce sends the event that Secrets Manager gives to EventBridge, which
// moto does not.
func (o *operator) announce(ctx context.Context) error {
	event, err := json.Marshal(map[string]any{
		"version": "0", "source": "aws.secretsmanager", "detail-type": "Secret Label Updated", "region": region, "resources": []string{o.arn},
		"detail": map[string]string{"name": secretName, "labelUpdated": "AWSCURRENT", "versionId": o.version},
	})
	if err != nil {
		return err
	}
	_, err = o.queues.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &o.queue, MessageBody: aws.String(string(event))})
	return err
}

// rotateUnder rotates under the example, and revokes each old key some time
// after the label was moved.
func (o *operator) rotateUnder(ctx context.Context, rotations int, every time.Duration) error {
	ticker := time.NewTicker(every / 2)
	defer ticker.Stop()
	wait := func() error {
		select {
		case <-ticker.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for range rotations {
		if err := wait(); err != nil {
			return err
		}
		old := o.key
		if err := o.rotate(ctx); err != nil {
			return err
		}
		if err := wait(); err != nil {
			return err
		}
		o.openai.Revoke(old)
		fmt.Println("--- the old key is revoked at OpenAI")
	}
	return wait()
}
