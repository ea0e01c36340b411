// Vaultdev runs a Vault server with a KV version 2 engine at secret/, and a
// command beside it:
//
//	go run ./vaultdev -- go run -C ../../.. ./examples/vault
//
// The command finds the server and its root token in VAULT_ADDR and
// VAULT_TOKEN; when it ends, so does the server. Without a command the server
// runs until it is interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/keybearer/keybearer/internal/integration/vault/vaultserver"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	flag.Parse()
	if err := run(*listen, flag.Args()); err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			os.Exit(exit.ExitCode())
		}
		fmt.Fprintln(os.Stderr, "vaultdev:", err)
		os.Exit(1)
	}
}

func run(listen string, command []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	server, err := vaultserver.Start(vaultserver.Options{Addr: listen})
	if err != nil {
		return err
	}
	defer server.Close()
	if err := server.Mount(ctx, "secret", "kv", map[string]string{"version": "2"}); err != nil {
		return err
	}
	if len(command) == 0 {
		fmt.Printf("export VAULT_ADDR=%s VAULT_TOKEN=%s\n", server.Addr, server.RootToken)
		<-ctx.Done()
		return nil
	}
	child := exec.CommandContext(ctx, command[0], command[1:]...)
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	child.Cancel = func() error { return child.Process.Signal(os.Interrupt) }
	child.Env = append(os.Environ(), "VAULT_ADDR="+server.Addr, "VAULT_TOKEN="+server.RootToken)
	return child.Run()
}
