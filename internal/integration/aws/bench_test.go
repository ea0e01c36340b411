package aws

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	awsv1 "github.com/aws/aws-sdk-go/aws"
	credentialsv1 "github.com/aws/aws-sdk-go/aws/credentials"
	"github.com/aws/aws-sdk-go/aws/session"
	smv1 "github.com/aws/aws-sdk-go/service/secretsmanager"
	"github.com/aws/aws-secretsmanager-caching-go/secretcache"
	"gocloud.dev/runtimevar"
	"gocloud.dev/runtimevar/awssecretsmanager"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/awssm"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// counter counts calls. If turns is
// not nil, a GetSecretValue waits for its turn, and reports its end on done.
type counter struct {
	base        http.RoundTripper
	calls       atomic.Int64
	turns, done chan struct{}
}

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.turns != nil && operation(r) == "GetSecretValue" {
		select {
		case <-c.turns:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
		defer func() { c.done <- struct{}{} }()
	}
	c.calls.Add(1)
	return c.base.RoundTrip(r)
}

func newCounter(b *testing.B) *counter {
	t := &http.Transport{}
	b.Cleanup(t.CloseIdleConnections)
	return &counter{base: t}
}

// trace counts the calls of a client whose transport is its own.
func (c *counter) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { c.calls.Add(1) }})
}

func (c *counter) client(endpoint string) *secretsmanager.Client {
	return secretsmanager.New(secretsmanager.Options{Region: region, BaseEndpoint: aws.String(endpoint), HTTPClient: &http.Client{Transport: c},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
}

func (c *counter) clientV1(b *testing.B, endpoint string) *smv1.SecretsManager {
	s, err := session.NewSession(&awsv1.Config{Region: awsv1.String(region), Endpoint: &endpoint, HTTPClient: &http.Client{Transport: c},
		Credentials: credentialsv1.NewStaticCredentials("test", "test", "")})
	if err != nil {
		b.Fatal(err)
	}
	return smv1.New(s)
}

// report reports the calls for each operation since begin.
func (c *counter) report(b *testing.B, begin int64) {
	b.ReportMetric(float64(c.calls.Load()-begin)/float64(b.N), "calls/op")
}

// BenchmarkPoll is one poll that finds the key unchanged, which nearly all do.
func BenchmarkPoll(b *testing.B) {
	endpoint := sharedMoto(b)
	st := newStore(b, endpoint)
	st.set([]byte(keyprovidertest.NewSecret()))

	b.Run("awssm", func(b *testing.B) {
		p, c := st.provide(endpoint, awssm.Options{}), newCounter(b)
		ctx, last := c.trace(b.Context()), mustFetch(b, p, "").Version()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := p.Fetch(ctx, last); err != keyprovider.ErrNotModified {
				b.Fatal(err)
			}
		}
		c.report(b, 0)
	})
	b.Run("awssm, GetSecretValue alone", func(b *testing.B) {
		p, c := st.provide(endpoint, awssm.Options{}), newCounter(b)
		ctx := c.trace(b.Context())
		b.ReportAllocs()
		for b.Loop() {
			if _, err := p.Fetch(ctx, ""); err != nil {
				b.Fatal(err)
			}
		}
		c.report(b, 0)
	})
	b.Run("gocloud runtimevar", func(b *testing.B) {
		c := newCounter(b)
		c.turns, c.done = make(chan struct{}), make(chan struct{}, 1)
		v, err := awssecretsmanager.OpenVariable(c.client(endpoint), st.name, runtimevar.StringDecoder, &awssecretsmanager.Options{WaitDuration: time.Nanosecond})
		if err != nil {
			b.Fatal(err)
		}
		defer v.Close()
		turn := func() {
			c.turns <- struct{}{}
			<-c.done
		}
		turn()
		if _, err := v.Latest(b.Context()); err != nil {
			b.Fatal(err)
		}
		begin := c.calls.Load()
		b.ReportAllocs()
		for b.Loop() {
			turn()
		}
		c.report(b, begin)
	})
	b.Run("caching-go", func(b *testing.B) {
		c := newCounter(b)
		cache := newCache(b, c.clientV1(b, endpoint))
		if _, err := cache.GetSecretString(st.name); err != nil {
			b.Fatal(err)
		}
		begin := c.calls.Load()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := cache.GetSecretString(st.name); err != nil {
				b.Fatal(err)
			}
		}
		c.report(b, begin)
	})
}

// newCache makes a cache that holds an entry for no time.
func newCache(b *testing.B, client *smv1.SecretsManager) *secretcache.Cache {
	cache, err := secretcache.New(func(c *secretcache.Cache) {
		c.Client = client
		c.CacheConfig.CacheItemTTL = 1
	})
	if err != nil {
		b.Fatal(err)
	}
	return cache
}

// BenchmarkFirst is the first fetch of a process that has its SDK client.
func BenchmarkFirst(b *testing.B) {
	endpoint := sharedMoto(b)
	st := newStore(b, endpoint)
	st.set([]byte(keyprovidertest.NewSecret()))

	b.Run("awssm", func(b *testing.B) {
		c := newCounter(b)
		client := c.client(endpoint)
		b.ReportAllocs()
		for b.Loop() {
			p, err := awssm.New(b.Context(), st.name, &awssm.Options{Client: client})
			if err != nil {
				b.Fatal(err)
			}
			mustFetch(b, p, "")
		}
		c.report(b, 0)
	})
	b.Run("gocloud runtimevar", func(b *testing.B) {
		c := newCounter(b)
		client := c.client(endpoint)
		b.ReportAllocs()
		for b.Loop() {
			v, err := awssecretsmanager.OpenVariable(client, st.name, runtimevar.StringDecoder, nil)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := v.Latest(context.Background()); err != nil {
				b.Fatal(err)
			}
			v.Close()
		}
		c.report(b, 0)
	})
	b.Run("caching-go", func(b *testing.B) {
		c := newCounter(b)
		client := c.clientV1(b, endpoint)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := newCache(b, client).GetSecretString(st.name); err != nil {
				b.Fatal(err)
			}
		}
		c.report(b, 0)
	})
}
