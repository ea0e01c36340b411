package awsclient

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"

	"github.com/keybearer/keybearer/internal/keyshape"
	"github.com/keybearer/keybearer/keyprovider"
)

// Settings are what a program may say about its AWS client. The zero value
// leaves everything to the SDK: the environment, the shared configuration
// files, and the roles of EC2, ECS, EKS and Lambda.
type Settings struct {
	// Region, if not "", goes before AWS_REGION and the shared configuration.
	Region string
	// Profile is the profile of the shared configuration files to use.
	Profile string
	// Endpoint, if not "", goes before AWS_ENDPOINT_URL and its kin.
	Endpoint string
}

// Check refuses settings that cannot be right. Its errors repeat none of them.
func (s Settings) Check() error {
	if s.Region != "" && !isRegion(s.Region) {
		return keyprovider.Reason("the region is malformed: write it like eu-west-1", nil)
	}
	if keyshape.Looks(s.Profile) {
		return keyprovider.Reason("the profile looks like a key: name a profile of the AWS configuration files", nil)
	}
	if s.Endpoint != "" {
		if err := CheckURL(s.Endpoint); err != nil {
			return keyprovider.Reason("the endpoint "+err.Error(), nil)
		}
	}
	return nil
}

// Config is an SDK configuration and the connections of the clients made of it.
type Config struct {
	aws.Config
	transport *http.Transport
}

// Load reads the SDK's configuration. It makes no request: credentials are
// looked for when the first operation needs them. An error is a reason for a
// keyprovider.Error; what to do about a missing region is the caller's to say.
func Load(ctx context.Context, s Settings) (*Config, error) {
	options := []func(*config.LoadOptions) error{
		// The SDK writes to stderr by default, and what it writes is its own
		// choice.
		config.WithLogger(logging.Nop{}),
	}
	if s.Region != "" {
		options = append(options, config.WithRegion(s.Region))
	}
	if s.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(s.Profile))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		// The SDK's text may quote a line of the configuration files.
		return nil, keyprovider.Reason("the AWS configuration cannot be loaded: check AWS_PROFILE, AWS_CA_BUNDLE and the files config and credentials", err)
	}
	if s.Endpoint != "" {
		cfg.BaseEndpoint = aws.String(s.Endpoint)
	}
	loaded := &Config{Config: cfg}
	if base, ok := cfg.HTTPClient.(*awshttp.BuildableClient); ok {
		loaded.useTransport(base.GetTransport()) // one with AWS_CA_BUNDLE
	} else {
		loaded.useTransport(awshttp.NewBuildableClient().GetTransport())
	}
	return loaded, nil
}

// useTransport gives the clients connections that Close can close, which the
// SDK's own HTTP client hides.
func (c *Config) useTransport(t *http.Transport) {
	// One HTTP/2 connection whose peer is gone would be used again by every
	// call until the kernel gives up on it; an HTTP/1 connection is dropped
	// with the first call that times out on it.
	t.ForceAttemptHTTP2 = false
	// A poll is one small request on a connection that is often new, because
	// the service has closed the last one.
	t.ReadBufferSize, t.WriteBufferSize = 2<<10, 2<<10
	c.transport = t
	c.HTTPClient = &sender{http.Client{
		Transport: t,
		// No operation redirects; a signed request goes nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// sender is an HTTP client that owns the bodies of its requests, which are
// small. The SDK closes a body as soon as there is an answer, while net/http may
// still be looking for the body's end: then net/http gives up the connection,
// and about one answer in 300 that is longer than a packet is lost. A body that
// can be had again also lets net/http repeat a request by itself that met an
// idle connection as the server closed it.
type sender struct{ http http.Client }

func (s *sender) Do(req *http.Request) (*http.Response, error) {
	if req.Body != nil && req.Body != http.NoBody {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		req = req.WithContext(req.Context()) // a copy: the SDK closes its own body
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		req.Body, _ = req.GetBody()
	}
	return s.http.Do(req)
}

// Close closes the idle connections. Clients go on working.
func (c *Config) Close() { c.transport.CloseIdleConnections() }

// maxBackoff bounds the SDK's pause between two attempts, 20 s by default: an
// operation's deadline must end in the service's own answer, not in a pause.
const maxBackoff = time.Second

// Retryer bounds a client's retries; pass it the client's own.
func Retryer(r aws.Retryer) aws.Retryer { return retry.AddWithMaxBackoffDelay(r, maxBackoff) }

type urlError string

func (e urlError) Error() string { return string(e) }

// CheckURL accepts an absolute http or https URL without a user, a query or a
// fragment. Its error completes a sentence and repeats nothing of the URL.
func CheckURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return urlError("is not a well-formed URL")
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "":
		return urlError("is not an absolute http or https URL")
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return urlError("has a user, a query or a fragment, which it cannot have")
	case keyshape.Prefixed(raw):
		return urlError("looks like a key")
	}
	return nil
}

// isRegion tells whether s has the form of a region, with room for those to
// come and for an emulator's.
func isRegion(s string) bool {
	if len(s) < 2 || len(s) > 32 || keyshape.Looks(s) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
