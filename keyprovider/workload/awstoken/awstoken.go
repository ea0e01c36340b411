// Package awstoken gives package workload identity tokens of AWS, from
// sts:GetWebIdentityToken. It is a package of its own so that only programs that
// use it compile the SDK.
//
//	subject, err := awstoken.New(ctx, "", nil)
//	provider, err := workload.New(ctx, &workload.Options{Subject: subject})
//
// The account needs outbound identity federation enabled, and the workload's role
// the permission sts:GetWebIdentityToken, best with the conditions
// sts:IdentityTokenAudience and sts:DurationSeconds. On EKS, a projected service
// account token and workload.File do without AWS's SDK.
package awstoken

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/keybearer/keybearer/internal/awsclient"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/workload"
)

// Options change how the token is asked for. The zero value is the good default,
// and so is a nil *Options.
type Options struct {
	// Region is that of the STS endpoint: there is no global one for this call.
	// [AWS_REGION, else the shared configuration's]
	Region string
	// Profile is the profile of the shared configuration files to use.
	// [AWS_PROFILE, else "default"]
	Profile string
	// Lifetime is that of the identity token, whole seconds from a minute to an
	// hour. [5m] OpenAI's access token does not outlive it.
	Lifetime time.Duration
	// Algorithm signs the token, RS256 or ES384. [RS256]
	Algorithm string
	// Timeout bounds a call with its retries, the search for credentials
	// included. [5s]
	Timeout time.Duration
	// Client replaces the client that New makes of the SDK's configuration. It
	// excludes Region and Profile.
	Client Client
}

// Client is the part of *sts.Client that is used.
type Client interface {
	GetWebIdentityToken(context.Context, *sts.GetWebIdentityTokenInput, ...func(*sts.Options)) (*sts.GetWebIdentityTokenOutput, error)
}

const (
	defaultAudience = "https://api.openai.com/v1"
	permission      = "sts:GetWebIdentityToken"
)

type subject struct {
	opts     Options
	audience string
}

// New returns a workload.Subject for the role that this process has. audience is
// the one that OpenAI's identity provider is configured with, "" for
// https://api.openai.com/v1. It makes no request; ctx bounds the reading of the
// SDK's configuration and is not kept. Errors are of class
// keyprovider.ErrInvalid.
func New(ctx context.Context, audience string, opts *Options) (workload.Subject, error) {
	s := &subject{audience: audience}
	if opts != nil {
		s.opts = *opts
	}
	if s.audience == "" {
		s.audience = defaultAudience
	}
	if err := s.complete(ctx); err != nil {
		return nil, &keyprovider.Error{Provider: "awstoken", Class: keyprovider.ErrInvalid, Err: err}
	}
	return s, nil
}

// complete checks the options and fills what is left out.
func (s *subject) complete(ctx context.Context) error {
	o := &s.opts
	if o.Algorithm == "" {
		o.Algorithm = "RS256"
	}
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	settings := awsclient.Settings{Region: o.Region, Profile: o.Profile}
	switch {
	case o.Lifetime != 0 && (o.Lifetime < time.Minute || o.Lifetime > time.Hour || o.Lifetime%time.Second != 0):
		return reason("Lifetime is not whole seconds from a minute to an hour")
	case o.Algorithm != "RS256" && o.Algorithm != "ES384":
		return reason("Algorithm is neither RS256 nor ES384")
	case o.Timeout < 0:
		return reason("Timeout is negative: 0 is the default")
	case o.Client != nil && settings != awsclient.Settings{}:
		return reason("Client excludes Region and Profile: configure them on the client")
	case o.Client != nil:
		return nil
	}
	if err := settings.Check(); err != nil {
		return err
	}
	cfg, err := awsclient.Load(ctx, settings)
	if err != nil {
		return err
	}
	if cfg.Region == "" {
		return reason("no AWS region: set Region or AWS_REGION; this call of STS has no global endpoint")
	}
	// Calls are far apart: connections are not kept.
	o.Client = closing{sts.NewFromConfig(cfg.Config, func(o *sts.Options) { o.Retryer = awsclient.Retryer(o.Retryer) }), cfg.Close}
	return nil
}

// closing closes the connections of a client of ours after each call.
type closing struct {
	Client
	close func()
}

func (c closing) GetWebIdentityToken(ctx context.Context, in *sts.GetWebIdentityTokenInput, opts ...func(*sts.Options)) (*sts.GetWebIdentityTokenOutput, error) {
	defer c.close()
	return c.Client.GetWebIdentityToken(ctx, in, opts...)
}

// Token asks STS.
func (s *subject) Token(ctx context.Context) (string, error) {
	in := &sts.GetWebIdentityTokenInput{Audience: []string{s.audience}, SigningAlgorithm: aws.String(s.opts.Algorithm)}
	if s.opts.Lifetime != 0 {
		in.DurationSeconds = aws.Int32(int32(s.opts.Lifetime / time.Second)) // an hour at most
	}
	out, err := awsclient.Call(ctx, s.opts.Timeout, func(ctx context.Context, session *awsclient.Session) (*sts.GetWebIdentityTokenOutput, error) {
		return s.opts.Client.GetWebIdentityToken(ctx, in, func(o *sts.Options) {
			o.Credentials = session.Credentials(o.Credentials)
			o.ClientLogMode = 0 // a log of the answer would show the token
		})
	})
	if err != nil {
		return "", classified(err)
	}
	return aws.ToString(out.WebIdentityToken), nil
}

func reason(text string) error { return keyprovider.Reason(text, nil) }
