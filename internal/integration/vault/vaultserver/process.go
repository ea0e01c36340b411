package vaultserver

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/hashicorp/vault/api"
)

// childVariable tells a program that it is to be the server.
const childVariable = "KEYBEARER_VAULTSERVER"

// Remote is a Vault server in a process of its own, reached as any other.
type Remote struct {
	Addr, RootToken string
	Keys            []string // base64

	child *exec.Cmd
	stdin io.Closer
}

// Child runs the server and does not return, if this process was started by
// Spawn. Call it first in TestMain or main.
func Child() {
	if os.Getenv(childVariable) == "" {
		return
	}
	s, err := Start(Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, "the Vault core does not start:", err)
		os.Exit(1)
	}
	r := Remote{Addr: s.Addr, RootToken: s.RootToken}
	for _, key := range s.keys {
		r.Keys = append(r.Keys, base64.StdEncoding.EncodeToString(key))
	}
	_ = json.NewEncoder(os.Stdout).Encode(r)
	_, _ = io.Copy(io.Discard, os.Stdin) // until the parent is gone
	_ = s.Close()
	os.Exit(0)
}

// Spawn runs this program again, as a server.
func Spawn() (*Remote, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childVariable+"=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	r := &Remote{child: cmd, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, r)
	}
	if err != nil {
		_ = cmd.Process.Kill()
		return nil, errors.Join(fmt.Errorf("the Vault server does not start: %w", err), cmd.Wait())
	}
	return r, nil
}

// Process is the server's process, to be stopped and killed.
func (r *Remote) Process() *os.Process { return r.child.Process }

// Close ends the server.
func (r *Remote) Close() error {
	_ = r.stdin.Close()
	return r.child.Wait()
}

// Client returns a client that bears the root token and keeps no connection.
func (r *Remote) Client() (*api.Client, error) {
	client, err := newClient(r.Addr, r.RootToken)
	if err == nil {
		client.SetDisableKeepAlives(true)
	}
	return client, err
}

// Mount mounts an engine: "kv" of a version, or "leased".
func (r *Remote) Mount(ctx context.Context, path, kind string, options map[string]string) error {
	client, err := r.Client()
	if err != nil {
		return err
	}
	return mount(ctx, client, path, kind, options)
}

// Seal seals the server.
func (r *Remote) Seal(ctx context.Context) error {
	client, err := r.Client()
	if err != nil {
		return err
	}
	return client.Sys().SealWithContext(ctx)
}

// Unseal unseals it, and returns once it is active.
func (r *Remote) Unseal(ctx context.Context) error {
	client, err := r.Client()
	if err != nil {
		return err
	}
	for _, key := range r.Keys {
		if _, err := client.Sys().UnsealWithContext(ctx, key); err != nil {
			return err
		}
	}
	deadline := time.Now().Add(10 * time.Second)
	for ; time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		// Health answers while the engines are still being set up.
		if _, err = client.Sys().ListMountsWithContext(ctx); err == nil {
			return nil
		}
	}
	return err
}
