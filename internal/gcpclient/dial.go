package gcpclient

import (
	"context"
	"log/slog"
	"os"
	"time"

	pubsub "cloud.google.com/go/pubsub/v2/apiv1"
	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// keepAlive is what Google's own clients ask for and its servers put up with.
// The timeout also bounds, on Linux, how long sent bytes may go unanswered
// before the connection counts as dead.
var keepAlive = keepalive.ClientParameters{Time: 5 * time.Minute, Timeout: 10 * time.Second}

// reconnect bounds how long a connection stays away after an outage. gRPC's own
// bound is two minutes, in which every call fails without a try; who calls here
// has a backoff of its own.
var reconnect = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second},
	MinConnectTimeout: 5 * time.Second,
}

// SecretManager makes a client of Secret Manager with the application default
// credentials. endpoint is a host and port, or "" for the global one. Nothing
// connects before the first call.
func SecretManager(endpoint string) (*secretmanager.Client, error) {
	opts, err := options(secretmanager.DefaultAuthScopes())
	if err != nil {
		return nil, err
	}
	if endpoint != "" {
		opts = append(opts, option.WithEndpoint(endpoint))
	}
	// The client outlives every call, so no caller's context goes into it.
	return secretmanager.NewClient(context.Background(), opts...)
}

// Subscriptions makes a client of Pub/Sub with the application default
// credentials, or one of the emulator that PUBSUB_EMULATOR_HOST names, as
// Google's own clients do.
func Subscriptions() (*pubsub.SubscriptionAdminClient, error) {
	if emulator := os.Getenv("PUBSUB_EMULATOR_HOST"); emulator != "" {
		return pubsub.NewSubscriptionAdminClient(context.Background(), append(common(),
			option.WithEndpoint(emulator),
			option.WithoutAuthentication(),
			option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))...)
	}
	opts, err := options(pubsub.DefaultAuthScopes())
	if err != nil {
		return nil, err
	}
	return pubsub.NewSubscriptionAdminClient(context.Background(), opts...)
}

func options(scopes []string) ([]option.ClientOption, error) {
	creds, err := detect(scopes)
	if err != nil {
		return nil, err
	}
	return append(common(), option.WithAuthCredentials(creds)), nil
}

// common are the options of every client here. They keep it from showing what
// it carries: with GOOGLE_SDK_GO_LOGGING_LEVEL=debug in the environment it would
// write every answer, and so the secret, to standard error. Telemetry is left
// to who calls.
func common() []option.ClientOption {
	return []option.ClientOption{
		option.WithLogger(slog.New(slog.DiscardHandler)),
		option.WithTelemetryDisabled(),
		option.WithGRPCDialOption(grpc.WithKeepaliveParams(keepAlive)),
		option.WithGRPCDialOption(grpc.WithConnectParams(reconnect)),
	}
}

// Once is the call option that switches the client's own retries off: they go
// on until the context ends, and then report the context's end and not the
// cause.
func Once() gax.CallOption { return gax.WithRetry(func() gax.Retryer { return nil }) }
