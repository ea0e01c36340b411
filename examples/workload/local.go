package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	openai "github.com/sashabaranov/go-openai"

	"github.com/keybearer/keybearer/internal/oauthtest"
	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider/workload"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/transport"
)

const (
	account  = "svc_assistant"
	provider = "wip_cluster"
	audience = "https://api.openai.com/v1"
	pod      = "system:serviceaccount:assistant:assistant"

	identityLifetime = 20 * time.Second // of the pod's token, which Kubernetes would let live for an hour
	accessLifetime   = 6 * time.Second
)

// local is production on one machine, with times that can be watched: a cluster
// that projects a token into a file, OpenAI's token endpoint, which checks it,
// and OpenAI's API, which takes the access tokens until they expire.
func (a *app) local(ctx context.Context) error {
	api := openaitest.New(nil)
	defer api.Close()
	endpoint := oauthtest.New(&oauthtest.Options{Lifetime: accessLifetime, OnIssue: func(t oauthtest.Issued) {
		api.Add(t.Secret, openaitest.MintOptions{Name: "access token", ServiceAccountID: t.ServiceAccountID, ExpiresAt: t.ExpiresAt})
		_, _ = fmt.Fprintf(a.out, "--- OpenAI exchanged the pod's identity for a token of %s\n", t.ServiceAccountID)
	}})
	defer endpoint.Close()

	cluster := oauthtest.NewIssuer("https://cluster.example")
	endpoint.Trust(oauthtest.Provider{ID: provider, Issuer: cluster.URL, Audience: audience, JWKS: cluster.JWKS})
	endpoint.Map(provider, oauthtest.Mapping{ServiceAccountID: account, Match: map[string]string{"sub": pod}})
	file, stop, err := project(cluster)
	if err != nil {
		return err
	}
	defer stop()

	identity, err := workload.New(ctx, &workload.Options{
		IdentityProviderID: provider,
		ServiceAccountID:   account,
		Subject:            workload.File(file),
		Transport:          endpoint.Transport(), // leads to the endpoint above by OpenAI's own name
	})
	if err != nil {
		return err
	}
	keys, err := rotation.NewSource(ctx, identity, nil)
	if err != nil {
		return err
	}
	defer keys.Close()
	client, err := transport.NewClient(keys, &transport.Options{Base: api.Transport(), Origins: []string{api.Origin()}})
	if err != nil {
		return err
	}
	config := openai.DefaultConfig("")
	config.BaseURL, config.HTTPClient = api.URL(), client
	return a.chat(ctx, openai.NewClientWithConfig(config), keys)
}

// project does what the kubelet does for a projected service account token: it
// writes the token to a file, and another one well before the first expires.
func project(cluster *oauthtest.Issuer) (file string, stop func(), err error) {
	dir, err := os.MkdirTemp("", "workload")
	if err != nil {
		return "", nil, err
	}
	file = filepath.Join(dir, "token")
	write := func() error {
		next := file + ".next"
		if err := os.WriteFile(next, []byte(cluster.Token(pod, audience, identityLifetime)), 0o600); err != nil {
			return err
		}
		return os.Rename(next, file)
	}
	if err := write(); err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var kubelet sync.WaitGroup
	kubelet.Go(func() {
		ticker := time.NewTicker(identityLifetime / 2)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				if err := write(); err != nil {
					fmt.Fprintln(os.Stderr, "the token cannot be written:", err)
				}
			case <-ctx.Done():
				return
			}
		}
	})
	return file, func() {
		cancel()
		kubelet.Wait()
		_ = os.RemoveAll(dir)
	}, nil
}
