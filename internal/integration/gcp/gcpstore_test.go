package gcp

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/keybearer/keybearer/internal/integration/gcp/fakesm"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/gcpsm"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/gcpstore"
	"github.com/keybearer/keybearer/rotation/rotationtest"
)

// TestStoreConformance runs the suite of a rotation's stores over gRPC and TLS
// as a program has it, over REST, and on the endpoint of a region.
func TestStoreConformance(t *testing.T) {
	for _, tt := range []struct {
		name, location, alias string
		rest                  bool
	}{
		{name: "gRPC, latest"},
		{name: "gRPC, alias", alias: "prod"},
		{name: "REST, latest", rest: true},
		{name: "regional, alias", location: "europe-west4", alias: "prod"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// An abandoned claim is waited for twice as long as a call may take.
			rotationtest.RunStore(t, rotationtest.StoreHarness{Patience: 6 * gcpstore.DefaultTimeout, New: func(tb testing.TB) *rotationtest.StorePlace {
				v := newVault(tb, tt.location, tt.alias)
				if tt.rest {
					v.client = v.restClient()
				}
				return v.conforming()
			}})
		})
	}
}

// vault is a Secret Manager with the two secrets of a store.
type vault struct {
	*store
	main, pending string // resource names
	alias         string
	client        gcpstore.Client // instead of one of the store's own
	through       string          // the address of a proxy that stores connect to
	apart         bool            // readers come by the owner's way, where no faults are
}

var vaults atomic.Int64

func newVault(tb testing.TB, location, alias string) *vault {
	tb.Helper()
	parent, id := "projects/"+project, fmt.Sprintf("openai-%d", vaults.Add(1))
	if location != "" {
		parent += "/locations/" + location
	}
	v := &vault{store: newStore(tb, fakesm.Options{Location: location}), alias: alias,
		main: parent + "/secrets/" + id, pending: parent + "/secrets/" + id + "-pending"}
	for _, id := range []string{id, id + "-pending"} {
		secret := &secretmanagerpb.Secret{Labels: map[string]string{"team": "a"}, Annotations: map[string]string{"owner": "somebody else"}}
		if location == "" {
			secret.Replication = &secretmanagerpb.Replication{Replication: &secretmanagerpb.Replication_Automatic_{Automatic: &secretmanagerpb.Replication_Automatic{}}}
		}
		if _, err := v.admin.CreateSecret(tb.Context(), &secretmanagerpb.CreateSecretRequest{Parent: parent, SecretId: id, Secret: secret}); err != nil {
			tb.Fatal(err)
		}
	}
	return v
}

// restClient is Google's client of the API's other form.
func (v *vault) restClient() *secretmanager.Client {
	v.tb.Helper()
	base, stop, err := v.StartREST("127.0.0.1:0")
	if err != nil {
		v.tb.Fatal(err)
	}
	client, err := secretmanager.NewRESTClient(context.Background(), option.WithEndpoint(base), option.WithoutAuthentication(), option.WithTelemetryDisabled())
	if err != nil {
		v.tb.Fatal(err)
	}
	v.tb.Cleanup(func() { client.Close(); stop() })
	return client
}

// open makes a store as a program does.
func (v *vault) open(opts gcpstore.Options) *gcpstore.Store {
	v.tb.Helper()
	opts.Alias = v.alias
	if opts.Client = v.client; v.client == nil {
		opts.Endpoint = cmp.Or(v.through, v.addr)
	}
	s, err := gcpstore.New(v.tb.Context(), v.main, &opts)
	if err != nil {
		v.tb.Fatal(err)
	}
	return s
}

// reader is the provider of an application, which has the role for the main
// secret alone.
func (v *vault) reader() *gcpsm.Provider {
	v.tb.Helper()
	version := v.alias
	if version == "" {
		version = "latest"
	}
	opts := gcpsm.Options{Endpoint: v.addr}
	if v.apart {
		opts = gcpsm.Options{Client: v.admin}
	}
	p, err := gcpsm.New(v.tb.Context(), v.main+"/versions/"+version, &opts)
	if err != nil {
		v.tb.Fatal(err)
	}
	return p
}

// hand stores a value as a person does.
func (v *vault) hand(value []byte) {
	v.tb.Helper()
	ctx := context.Background()
	added, err := v.admin.AddSecretVersion(ctx, &secretmanagerpb.AddSecretVersionRequest{Parent: v.main, Payload: &secretmanagerpb.SecretPayload{Data: value}})
	if err != nil {
		v.tb.Fatal(err)
	}
	if v.alias == "" {
		return
	}
	var number int64
	if _, err := fmt.Sscan(added.Name[strings.LastIndex(added.Name, "/")+1:], &number); err != nil {
		v.tb.Fatal(err)
	}
	_, err = v.admin.UpdateSecret(ctx, &secretmanagerpb.UpdateSecretRequest{
		Secret:     &secretmanagerpb.Secret{Name: v.main, VersionAliases: map[string]int64{v.alias: number}},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"version_aliases"}}})
	if err != nil {
		v.tb.Fatal(err)
	}
}

func (v *vault) conforming() *rotationtest.StorePlace {
	reopen := func() rotation.Store { return v.open(gcpstore.Options{}) }
	return &rotationtest.StorePlace{
		Store: reopen(), Reader: v.reader(), Reopen: reopen, Set: v.hand,
		Fail: func(class error) func() {
			code := map[error]codes.Code{keyprovider.ErrNotFound: codes.NotFound, keyprovider.ErrDenied: codes.PermissionDenied,
				keyprovider.ErrUnavailable: codes.Unavailable, keyprovider.ErrInvalid: codes.InvalidArgument}[class]
			v.SetFault(func(context.Context, string, any) error { return status.Error(code, "as the test says") })
			return func() { v.SetFault(nil) }
		},
		Hang: func() func() {
			released := make(chan struct{})
			v.SetFault(func(context.Context, string, any) error { <-released; return nil })
			return sync.OnceFunc(func() { v.SetFault(nil); close(released) })
		},
		Lose: func() func() {
			v.SetLoss(func(_ context.Context, method string, _ any) error {
				if strings.HasPrefix(method, "Get") || strings.HasPrefix(method, "Access") {
					return nil
				}
				return status.Error(codes.Unavailable, "the connection died")
			})
			return func() { v.SetLoss(nil) }
		},
		Lag: func() func() {
			for _, name := range []string{v.main, v.pending} {
				if err := v.Lag(name); err != nil {
					v.tb.Error(err)
				}
			}
			return func() {
				for _, name := range []string{v.main, v.pending} {
					if err := v.CatchUp(name); err != nil {
						v.tb.Error(err)
					}
				}
			}
		},
	}
}

// disable disables the newest version of a secret, if there is one.
func (v *vault) disable(secret string) {
	v.tb.Helper()
	ctx := context.Background()
	latest, err := v.admin.GetSecretVersion(ctx, &secretmanagerpb.GetSecretVersionRequest{Name: secret + "/versions/latest"})
	if status.Code(err) == codes.NotFound || latest.GetState() == secretmanagerpb.SecretVersion_DESTROYED {
		return
	}
	if err != nil {
		v.tb.Fatal(err)
	}
	if _, err := v.admin.DisableSecretVersion(ctx, &secretmanagerpb.DisableSecretVersionRequest{Name: latest.Name}); err != nil {
		v.tb.Fatal(err)
	}
}

// TestCreatePending has the service's rules judge how the second secret is made,
// of which a global and a regional one differ.
func TestCreatePending(t *testing.T) {
	for _, tt := range []struct {
		name, location string
		rest           bool
	}{{name: "global"}, {name: "REST", rest: true}, {name: "regional", location: "europe-west4"}} {
		t.Run(tt.name, func(t *testing.T) {
			v := newVault(t, tt.location, "")
			if tt.rest {
				v.client = v.restClient()
			}
			must(t, v.admin.DeleteSecret(t.Context(), &secretmanagerpb.DeleteSecretRequest{Name: v.pending}))
			stores := []*gcpstore.Store{v.open(gcpstore.Options{CreatePending: true}), v.open(gcpstore.Options{CreatePending: true})}
			var wg sync.WaitGroup
			won := make([]error, len(stores))
			for i, s := range stores {
				t.Cleanup(func() { s.Close() })
				wg.Go(func() { _, won[i] = s.SetState(context.Background(), []byte(`{}`), "") })
			}
			wg.Wait()
			if (won[0] == nil) == (won[1] == nil) {
				t.Errorf("of two that create the secret and set the state: %v, %v; want one to win", won[0], won[1])
			}
			main, err := v.admin.GetSecret(t.Context(), &secretmanagerpb.GetSecretRequest{Name: v.main})
			must(t, err)
			pending, err := v.admin.GetSecret(t.Context(), &secretmanagerpb.GetSecretRequest{Name: v.pending})
			must(t, err)
			if !proto.Equal(main.Replication, pending.Replication) || pending.Annotations["keybearer-state"] != "{}" {
				t.Errorf("the second secret is %v", pending)
			}
		})
	}
}
