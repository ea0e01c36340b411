package gcp

import (
	"context"
	"errors"
	"testing"

	"gocloud.dev/runtimevar"
	"gocloud.dev/runtimevar/gcpsecretmanager"

	"github.com/keybearer/keybearer/internal/integration/gcp/fakesm"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/gcpsm"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// BenchmarkPoll is one look at an unchanged secret, by this module and by the
// Go CDK, with the same client on the same server. Both run in this process, so
// the server's work is in the figures of either; that of one bare call is the
// floor.
func BenchmarkPoll(b *testing.B) {
	s := newStore(b, fakesm.Options{})
	s.create()
	s.add(keyprovidertest.NewSecret())
	measure := func(b *testing.B, poll func() error) {
		if err := poll(); err != nil {
			b.Fatal(err)
		}
		s.Calls()
		b.ReportAllocs()
		n := 0
		for b.Loop() {
			n++
			if err := poll(); err != nil {
				b.Fatal(err)
			}
		}
		calls := 0
		for _, c := range s.Calls() {
			calls += c
		}
		b.ReportMetric(float64(calls)/float64(n), "calls/op")
	}
	b.Run("gcpsm", func(b *testing.B) {
		p, err := gcpsm.New(b.Context(), place, &gcpsm.Options{Client: s.admin})
		if err != nil {
			b.Fatal(err)
		}
		defer p.Close()
		if _, err := p.Fetch(b.Context(), ""); err != nil {
			b.Fatal(err)
		}
		measure(b, func() error {
			if _, err := p.Fetch(b.Context(), "1"); !errors.Is(err, keyprovider.ErrNotModified) {
				return errors.Join(errors.New("the poll brought something new"), err)
			}
			return nil
		})
	})
	b.Run("gocloud", func(b *testing.B) {
		// The CDK has no single look: a new variable's first value is one.
		measure(b, func() error {
			v, err := gcpsecretmanager.OpenVariable(s.admin, place, runtimevar.StringDecoder, nil)
			if err != nil {
				return err
			}
			defer v.Close()
			_, err = v.Latest(context.Background())
			return err
		})
	})
}
