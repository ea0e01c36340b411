package vault

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/hashicorp/vault/api"

	"github.com/keybearer/keybearer/internal/vaultlogin"
	"github.com/keybearer/keybearer/keyprovider"
)

// A subscription is a connection on which the server tells of changes.
type subscription struct {
	conn *websocket.Conn
	idle func() // closes the transport's idle connections
}

const (
	dialTimeout = 10 * time.Second
	// pingInterval finds out that a connection is dead which nobody closed.
	pingInterval, pingTimeout = 30 * time.Second, 10 * time.Second
	maxEvent                  = 1 << 20 // bytes
)

// subscribe opens a subscription to the events of one KV version. An error
// other than keyprovider.ErrUnavailable means that there are none for us.
func subscribe(ctx context.Context, client *api.Client, kv int) (*subscription, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	httpClient, idle := webSocketClient(client)
	header := client.Headers()
	header.Set(api.AuthHeaderName, client.Token())
	target := strings.TrimSuffix(client.Address(), "/") + fmt.Sprintf("/v1/sys/events/subscribe/kv-v%d/*?json=true", kv)
	conn, resp, err := dial(ctx, target, httpClient, header) //nolint:bodyclose // websocket.Dial leaves a body that needs none
	if err != nil && resp != nil && resp.StatusCode == http.StatusTemporaryRedirect {
		// A standby names the active node. The token goes there as the SDK's
		// would, but never from https to http.
		if next, ok := redirect(target, resp.Header.Get("Location")); ok {
			conn, resp, err = dial(ctx, next, httpClient, header) //nolint:bodyclose // likewise
		}
	}
	if err != nil {
		idle()
		return nil, subscribeError(ctx, resp, err)
	}
	conn.SetReadLimit(maxEvent)
	return &subscription{conn, idle}, nil
}

func dial(ctx context.Context, target string, client *http.Client, header http.Header) (*websocket.Conn, *http.Response, error) {
	return websocket.Dial(ctx, target, &websocket.DialOptions{HTTPClient: client, HTTPHeader: header})
}

func redirect(from, location string) (string, bool) {
	old, err := url.Parse(from)
	if err != nil {
		return "", false
	}
	next, err := old.Parse(location)
	if err != nil || next.Host == "" || next.User != nil || old.Scheme == "https" && next.Scheme != "https" && next.Scheme != "wss" {
		return "", false
	}
	return next.String(), true
}

// webSocketClient is the SDK's HTTP client without HTTP/2, which has no way to
// upgrade a connection, and without a timeout for the whole of it.
func webSocketClient(client *api.Client) (c *http.Client, idle func()) {
	c = client.CloneConfig().HttpClient
	c.Timeout = 0
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	t, ok := c.Transport.(*http.Transport)
	if !ok {
		return c, func() {}
	}
	t = t.Clone()
	t.ForceAttemptHTTP2 = false
	t.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	if t.TLSClientConfig != nil {
		t.TLSClientConfig.NextProtos = []string{"http/1.1"}
	}
	c.Transport = t
	return c, t.CloseIdleConnections
}

func subscribeError(ctx context.Context, resp *http.Response, err error) error {
	if resp == nil || ctx.Err() != nil {
		return vaultlogin.Fail(ctx, "subscribing to events", err)
	}
	code := resp.StatusCode
	switch {
	case code == http.StatusForbidden || code == http.StatusUnauthorized:
		return &keyprovider.Error{Class: keyprovider.ErrDenied, Err: keyprovider.Reason(
			"the policy does not allow to subscribe to events (read on sys/events/subscribe/kv-v2/*); polling goes on: set Options.DisableWatch if that is meant", nil)}
	case code == 429 || code == 472 || code == 473 || code >= 500 && code != http.StatusNotImplemented:
		return &keyprovider.Error{Class: keyprovider.ErrUnavailable, Err: keyprovider.Reason(
			fmt.Sprintf("subscribing to events: the server is not able to now (HTTP %d)", code), nil)}
	}
	return &keyprovider.Error{Class: keyprovider.ErrNotFound, Err: keyprovider.Reason(
		fmt.Sprintf("the server has no events to subscribe to (HTTP %d); polling goes on: set Options.DisableWatch if that is meant", code), nil)}
}

// wait returns nil once an event tells of the secret at path.
func (s *subscription) wait(ctx context.Context, mount vaultlogin.Mount, path string) error {
	ctx, cancel := context.WithCancel(ctx)
	var pinger sync.WaitGroup
	pinger.Go(func() { s.ping(ctx) })
	defer pinger.Wait()
	defer cancel()
	for {
		_, message, err := s.conn.Read(ctx)
		if err != nil {
			return &keyprovider.Error{Class: keyprovider.ErrUnavailable, Err: keyprovider.Reason("the subscription to events broke off", err)}
		}
		if concerns(message, mount, path) {
			return nil
		}
	}
}

// ping closes the connection when the server has stopped to answer.
func (s *subscription) ping(ctx context.Context) {
	ticker := time.NewTicker(pingInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		pingCtx, cancel := context.WithTimeout(ctx, pingTimeout)
		err := s.conn.Ping(pingCtx)
		cancel()
		if err != nil {
			s.conn.CloseNow()
			return
		}
	}
}

func (s *subscription) close() {
	s.conn.CloseNow()
	s.idle()
}

// concerns reports whether an event may be about the secret. Servers differ in
// how they write its path: "data/openai", "openai", "secret/data/openai". A
// hint too many costs a read, one too few a poll's time, so what cannot be
// understood counts.
func concerns(message []byte, mount vaultlogin.Mount, path string) bool {
	var event struct {
		Data struct {
			Event struct {
				Metadata map[string]any `json:"metadata"`
			} `json:"event"`
			Plugin struct {
				MountPath string `json:"mount_path"`
			} `json:"plugin_info"`
		} `json:"data"`
	}
	if json.Unmarshal(message, &event) != nil {
		return true
	}
	if m := strings.Trim(event.Data.Plugin.MountPath, "/"); m != "" && m != mount.Path && !strings.HasSuffix(mount.Path, "/"+m) {
		return false
	}
	rest, named := mount.Rest(path), false
	for _, field := range []string{"path", "data_path"} {
		if at, ok := event.Data.Event.Metadata[field].(string); ok {
			named = true
			if at == rest || strings.HasSuffix(at, "/"+rest) {
				return true
			}
		}
	}
	return !named
}
