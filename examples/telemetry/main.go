// Telemetry shows what keybearer tells of the calls of an application: traces and
// metrics of chats, streams, embeddings and errors, and of a key that is revoked
// in the middle of it all.
//
//	go -C examples/telemetry run .
//
// With nothing set it needs no account and no backend: it starts a fake OpenAI
// server, plays one round of calls (story.go), and prints the traces as trees and
// the metrics as a table.
//
//	OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 go -C examples/telemetry run .
//
// sends both to a collector instead, or to a backend that takes OTLP over HTTP.
// OTEL_METRICS_EXPORTER=none keeps the metrics from one that takes traces only.
//
//	go -C examples/telemetry run . -metrics 127.0.0.1:9464 -for 10m
//
// plays rounds for ten minutes, and answers Prometheus under /metrics.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
)

// options are the command line.
type options struct {
	metrics string        // address to answer Prometheus at; "" for none
	rounds  time.Duration // how long to play rounds; 0 for one round
}

func main() {
	var opts options
	flag.StringVar(&opts.metrics, "metrics", "", "the `address` to answer Prometheus at, under /metrics")
	flag.DurationVar(&opts.rounds, "for", 0, "how long to play rounds, one after the other (default one round)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, opts)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "telemetry:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, opts options) (err error) {
	tel, err := newTelemetry(ctx, opts.metrics)
	if err != nil {
		return err
	}
	defer func() {
		// ctx may have ended, and what is left is to be sent nevertheless.
		if e := tel.shutdown(context.WithoutCancel(ctx)); err == nil {
			err = e
		}
	}()
	p, err := newPlay(ctx, tel)
	if err != nil {
		return err
	}
	defer p.close()

	began := time.Now()
	for round := 1; ; round++ {
		if err := p.round(ctx); err != nil {
			return err
		}
		if ctx.Err() != nil || time.Since(began) >= opts.rounds {
			break
		}
	}
	return tel.print(ctx, out, p.replayed)
}
