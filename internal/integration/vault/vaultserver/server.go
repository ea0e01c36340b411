// Package vaultserver runs an unmodified Vault core (1.14.1, the last under the
// MPL-2.0) in the process, with its storage in memory, on a loopback port. The
// behaviour is HashiCorp's; this is the glue that "vault server" would be.
package vaultserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	log "github.com/hashicorp/go-hclog"
	jwtauth "github.com/hashicorp/vault-plugin-auth-jwt"
	kubeauth "github.com/hashicorp/vault-plugin-auth-kubernetes"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/builtin/credential/userpass"
	"github.com/hashicorp/vault/helper/experiments"
	"github.com/hashicorp/vault/helper/namespace"
	"github.com/hashicorp/vault/helper/testhelpers/corehelpers"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

// Options configure a Server. The zero value is the good default.
type Options struct {
	// Addr is where it listens. ["127.0.0.1:0"]
	Addr string
	// NoEvents leaves out the experiment events.alpha1.
	NoEvents bool
	// Log receives the server's log from the level of warnings. [discarded]
	Log io.Writer
}

// Server is a Vault server.
type Server struct {
	Addr      string // http://127.0.0.1:port
	RootToken string

	core    *vault.Core
	keys    [][]byte
	handler http.Handler

	mu   sync.Mutex
	http *http.Server // nil: down
}

// Start runs a server: initialized, unsealed, without engines of its own
// beyond those of every Vault.
func Start(opts Options) (*Server, error) {
	core, err := newCore(opts)
	if err != nil {
		return nil, fmt.Errorf("vault core: %w", err)
	}
	seal := &vault.SealConfig{SecretShares: 1, SecretThreshold: 1}
	initialized, err := core.Initialize(namespace.RootContext(context.Background()), &vault.InitParams{BarrierConfig: seal, RecoveryConfig: seal})
	if err != nil {
		return nil, fmt.Errorf("initialize: %w", err)
	}
	s := &Server{core: core, RootToken: initialized.RootToken, keys: initialized.SecretShares}
	if err := s.Unseal(); err != nil {
		return nil, err
	}
	addr := opts.Addr
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	s.handler = vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core, ListenerConfig: &configutil.Listener{Address: addr}})
	return s, s.Up(addr)
}

func newCore(opts Options) (*vault.Core, error) {
	out := opts.Log
	if out == nil {
		out = io.Discard
	}
	logger := log.New(&log.LoggerOptions{Level: log.Warn, Output: out})
	storage, err := inmem.NewInmem(nil, logger)
	if err != nil {
		return nil, err
	}
	cfg := &vault.CoreConfig{
		Physical:        storage,
		DisableMlock:    true,
		Logger:          logger,
		BuiltinRegistry: corehelpers.NewMockBuiltinRegistry(),
		LogicalBackends: map[string]logical.Factory{
			"kv":     kv.Factory,
			"leased": vault.LeasedPassthroughBackendFactory, // Vault's own engine whose reads bear leases
		},
		CredentialBackends: map[string]logical.Factory{
			"approle":    approle.Factory,
			"userpass":   userpass.Factory,
			"jwt":        jwtauth.Factory,
			"kubernetes": kubeauth.Factory,
		},
	}
	if !opts.NoEvents {
		cfg.Experiments = []string{experiments.VaultExperimentEventsAlpha1}
	}
	return vault.NewCore(cfg)
}

// Up serves on addr; "" is the address of before.
func (s *Server) Up(addr string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if addr == "" {
		addr = s.Addr[len("http://"):]
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	s.Addr = "http://" + listener.Addr().String()
	server := &http.Server{Handler: s.handler, ReadHeaderTimeout: 10 * time.Second}
	s.http = server
	go func() { _ = server.Serve(listener) }()
	return nil
}

// Down closes the port and every connection, as the death of the process would.
// The core lives on; Up serves it again.
func (s *Server) Down() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.http != nil {
		_ = s.http.Close()
		s.http = nil
	}
}

// Seal seals the server.
func (s *Server) Seal() error { return s.core.Seal(s.RootToken) }

// Unseal unseals it, and returns once it is active.
func (s *Server) Unseal() error {
	for _, key := range s.keys {
		if _, err := s.core.Unseal(append([]byte(nil), key...)); err != nil {
			return fmt.Errorf("unseal: %w", err)
		}
	}
	deadline := time.Now().Add(5 * time.Second)
	for ; time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) { // the core tells of it in no other way
		if standby, err := s.core.Standby(); err == nil && !standby && !s.core.Sealed() {
			return nil
		}
	}
	return errors.New("unseal: the server did not become active")
}

// Mount mounts an engine: "kv" of a version, or "leased".
func (s *Server) Mount(ctx context.Context, path, kind string, options map[string]string) error {
	client, err := newClient(s.Addr, s.RootToken)
	if err != nil {
		return err
	}
	return mount(ctx, client, path, kind, options)
}

// newClient returns a client that bears a token, whatever the environment.
func newClient(addr, token string) (*api.Client, error) {
	cfg := api.DefaultConfig()
	cfg.Address, cfg.AgentAddress, cfg.MaxRetries = addr, "", 0
	client, err := api.NewClient(cfg)
	if err == nil {
		client.SetToken(token)
		client.ClearNamespace()
	}
	return client, err
}

func mount(ctx context.Context, client *api.Client, path, kind string, options map[string]string) error {
	if err := client.Sys().MountWithContext(ctx, path, &api.MountInput{Type: kind, Options: options}); err != nil {
		return err
	}
	if kind != "kv" || options["version"] != "2" {
		return nil
	}
	// The engine upgrades its storage just after the mount and refuses writes
	// until that is done.
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		_, err := client.KVv2(path).Put(ctx, "ready", map[string]any{"ready": "yes"})
		if err == nil || time.Now().After(deadline) || ctx.Err() != nil {
			return err
		}
	}
}

// Close stops the server.
func (s *Server) Close() error {
	s.Down()
	return s.core.ShutdownWait()
}
