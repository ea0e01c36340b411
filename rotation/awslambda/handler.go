package awslambda

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/keybearer/keybearer/internal/awsclient"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// Handler is a rotation function of AWS Secrets Manager. It keeps nothing
// between two events, rotates any number of secrets, and is safe for concurrent
// use.
type Handler struct {
	issuer  rotation.Issuer
	options Options
	client  Client
}

// New returns a Handler that gets its keys from issuer. It makes no request. ctx
// bounds the reading of the SDK's configuration and is not kept. The error is of
// class keyprovider.ErrInvalid.
func New(ctx context.Context, issuer rotation.Issuer, opts *Options) (*Handler, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if issuer == nil {
		return nil, invalid(reason("there is no Issuer"))
	}
	if err := o.check(); err != nil {
		return nil, invalid(err)
	}
	if _, err := o.lifetime(0, longest(issuer)); err != nil {
		return nil, invalid(err)
	}
	h := &Handler{issuer: issuer, options: o.withDefaults(), client: o.Client}
	if h.client == nil {
		cfg, err := awsclient.Load(ctx, awsclient.Settings{Region: o.Region, Endpoint: o.Endpoint})
		if err != nil {
			return nil, invalid(err)
		}
		if cfg.Region == "" {
			return nil, invalid(reason("no AWS region: set Region or AWS_REGION, as Lambda does"))
		}
		h.client = secretsmanager.NewFromConfig(cfg.Config, func(o *secretsmanager.Options) { o.Retryer = awsclient.Retryer(o.Retryer) })
	}
	return h, nil
}

func invalid(err error) error {
	return &keyprovider.Error{Provider: "awslambda", Class: keyprovider.ErrInvalid, Err: err}
}

// Format implements fmt.Formatter: the SDK's client, within, holds credentials.
func (h *Handler) Format(f fmt.State, _ rune) { io.WriteString(f, "awslambda.Handler") }

// Handle carries out one step of a rotation: createSecret, setSecret,
// testSecret or finishSecret. It is what lambda.Start takes. AWS repeats steps
// and whole rotations; a step that has been done already is a success. An error
// shows no key and no token of the event.
func (h *Handler) Handle(ctx context.Context, event events.SecretsManagerSecretRotationEvent) error {
	do, ok := map[string]func(*turn, context.Context) error{
		"createSecret": (*turn).create, "setSecret": (*turn).set, "testSecret": (*turn).test, "finishSecret": (*turn).finish,
	}[event.Step]
	if !ok {
		return invalid(reason("the event names no step of a rotation: this function is for Secrets Manager to call"))
	}
	secret, err := awsclient.ParseSecret(event.SecretID)
	if err != nil {
		return invalid(err)
	}
	if !plausible(event.ClientRequestToken) {
		return invalid(reason("the event has no ClientRequestToken of 32 to 64 characters"))
	}
	t := &turn{h: h, name: "awslambda:" + secret.ID, id: secret.ID, region: secret.Region, token: event.ClientRequestToken,
		rotationToken: func() string { return event.RotationToken }}
	t.log = h.options.Logger.With(slog.String("step", event.Step), slog.String("secret", secret.ID), slog.String("rotation", t.token))
	done, err := t.begin(ctx)
	if err != nil || done {
		return err
	}
	return do(t, ctx)
}

// turn is one step of one rotation of one secret.
type turn struct {
	h             *Handler
	name          string // in errors
	id, region    string
	token         string
	rotationToken func() string // not to be printed
	log           *slog.Logger

	secret *description
}

// begin reads the labels and checks what every step requires. It is done if
// this rotation is over.
func (t *turn) begin(ctx context.Context) (done bool, err error) {
	// The version of the token was made a moment ago, and may not be known
	// everywhere yet.
	for try := 0; ; try++ {
		if t.secret, err = t.describe(ctx); err != nil {
			return false, err
		}
		if t.secret.has(t.token, pending) || t.secret.has(t.token, current) || try == len(pauses) {
			break
		}
		if err := t.pause(ctx, pauses[try]); err != nil {
			return false, err
		}
	}
	switch stages := t.secret.stages[t.token]; {
	case !t.secret.rotates:
		return false, t.error(keyprovider.ErrInvalid, "rotation is not switched on for this secret (RotationEnabled)")
	case stages == nil:
		return false, t.error(keyprovider.ErrInvalid, "the ClientRequestToken is that of no rotation of this secret")
	case t.secret.has(t.token, current) && t.secret.has(t.token, pending):
		return true, t.tidy(ctx)
	case t.secret.has(t.token, current):
		return true, nil
	case !t.secret.has(t.token, pending):
		return false, t.error(keyprovider.ErrInvalid, "the ClientRequestToken is that of a rotation that is no longer under way: its version does not bear AWSPENDING")
	}
	return false, nil
}

// prefix is what the names of the keys of this secret begin with. It is bound to
// the complete ARN, so that a copy of the secret has other keys.
func (t *turn) prefix() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "keybearer lambda\x00%s\x00%s", t.secret.arn, t.h.options.Domain))
	return "keybearer-lambda/" + hex.EncodeToString(sum[:4]) + "/"
}

func (t *turn) error(class error, text string) error { return t.failed(class, reason(text)) }

func (t *turn) failed(class, err error) error {
	return &keyprovider.Error{Provider: t.name, Class: class, Err: err}
}
