package awssm

import (
	"context"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/keybearer/keybearer/internal/awsclient"
)

// connect makes the clients that were not given. It makes no connection.
func (p *Provider) connect(ctx context.Context) error {
	needQueue := p.queue == nil && p.options.QueueURL != ""
	if p.client != nil && !needQueue {
		return p.checkRegion()
	}
	cfg, err := awsclient.Load(ctx, awsclient.Settings{
		Region: p.region(), Profile: p.options.Profile, Endpoint: p.options.Endpoint,
	})
	if err != nil {
		return err
	}
	p.config = cfg
	if p.client == nil {
		if cfg.Region == "" {
			return reason("no AWS region: set Region or AWS_REGION, or name the secret by its ARN")
		}
		p.client = secretsmanager.NewFromConfig(cfg.Config, func(o *secretsmanager.Options) { o.Retryer = awsclient.Retryer(o.Retryer) })
	} else if err := p.checkRegion(); err != nil {
		return err
	}
	if needQueue {
		return p.connectQueue(cfg)
	}
	return nil
}

func (p *Provider) region() string {
	if p.secret.Region != "" {
		return p.secret.Region
	}
	return p.options.Region
}

// checkRegion finds a client without a region now, which the SDK reports at
// the first call as a malformed endpoint.
func (p *Provider) checkRegion() error {
	if c, ok := p.client.(interface {
		Options() secretsmanager.Options
	}); ok && p.secret.Region == "" && c.Options().Region == "" {
		return reason("the client has no AWS region: configure one, or name the secret by its ARN")
	}
	return nil
}

// connectQueue makes the client of the queue, which is where its URL says: the
// URL's host, and the region that the host names.
func (p *Provider) connectQueue(cfg *awsclient.Config) error {
	u, err := url.Parse(p.options.QueueURL)
	if err != nil {
		return reason("QueueURL is not a well-formed URL") // check has seen to it
	}
	region := cfg.Region
	labels := strings.Split(u.Hostname(), ".")
	for i, label := range labels[:len(labels)-1] {
		if label == "sqs" || label == "sqs-fips" {
			region = labels[i+1]
		}
	}
	if region == "" {
		return reason("no AWS region for the queue: set AWS_REGION")
	}
	p.queue = sqs.NewFromConfig(cfg.Config, func(o *sqs.Options) {
		o.Region = region
		o.BaseEndpoint = aws.String(u.Scheme + "://" + u.Host)
		o.Retryer = aws.NopRetryer{} // Watch has a backoff of its own
	})
	return nil
}
