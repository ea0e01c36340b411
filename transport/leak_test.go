package transport

import (
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"text/template"
)

// reachable walks everything that a reflective dumper could reach from v,
// unexported fields included, and returns the path to the first place that holds
// the canary, or "". Like all dumpers it cannot look into a function.
func reachable(v any) string {
	w := walker{seen: map[visit]bool{}}
	w.walk(reflect.ValueOf(v), fmt.Sprintf("%T", v))
	return w.found
}

type visit struct {
	p uintptr
	t reflect.Type
}

type walker struct {
	seen  map[visit]bool
	found string
}

func (w *walker) walk(v reflect.Value, path string) {
	if !v.IsValid() || w.found != "" {
		return
	}
	switch v.Kind() {
	case reflect.String:
		if strings.Contains(v.String(), canary) {
			w.found = path
		}
	case reflect.Pointer, reflect.Map, reflect.Slice:
		if v.IsNil() {
			return
		}
		at := visit{v.Pointer(), v.Type()}
		if v.Kind() != reflect.Slice && w.seen[at] {
			return
		}
		w.seen[at] = true
		w.elements(v, path)
	case reflect.Interface:
		w.walk(v.Elem(), path)
	case reflect.Array:
		w.elements(v, path)
	case reflect.Struct:
		for i := range v.NumField() {
			w.walk(v.Field(i), path+"."+v.Type().Field(i).Name)
		}
	}
}

func (w *walker) elements(v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Pointer:
		w.walk(v.Elem(), path)
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			w.walk(it.Key(), path+"[key]")
			w.walk(it.Value(), fmt.Sprintf("%s[%v]", path, it.Key()))
		}
	default:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			if v.Kind() == reflect.Slice && bytes.Contains(v.Bytes(), []byte(canary)) {
				w.found = path
			}
			return
		}
		for i := range v.Len() {
			w.walk(v.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	}
}

// TestWalkerFinds shows that the walker would find a key.
func TestWalkerFinds(t *testing.T) {
	type inner struct{ header http.Header }
	key := newKey(t, "v1")
	for name, v := range map[string]any{
		"string":           key.Reveal(),
		"unexported field": struct{ p *inner }{&inner{http.Header{"A": {key.Reveal()}}}},
		"bytes":            &struct{ b any }{[]byte(key.Reveal())},
		"key of a map":     map[string]int{key.Reveal(): 1},
		"request":          &http.Request{Response: &http.Response{Header: http.Header{"A": {key.Reveal()}}}},
	} {
		if reachable(v) == "" {
			t.Errorf("%s: the walker does not find the key", name)
		}
	}
}

// TestTransportShowsNothing: a Transport that has sent requests, what holds it,
// and its Options, through every printer of the standard library.
func TestTransportShowsNothing(t *testing.T) {
	key := newKey(t, "v1")
	source := sequence(newKey(t, "v0"), key)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != bearer(key) {
			w.WriteHeader(401)
		}
	}))
	defer srv.Close()
	opts := Options{Base: ownBase(t), Origins: []string{srv.URL}}
	client, err := NewClient(source, &opts)
	if err != nil {
		t.Fatal(err)
	}
	rt := client.Transport.(*Transport)
	resp, err := client.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()

	type holder struct {
		Exported   *Transport
		unexported *Transport
		value      Transport
		any        any
		Client     *http.Client
	}
	pasted := Options{Origins: []string{key.Reveal()}, Routes: []string{key.Reveal()}, Scheme: Header(key.Reveal())}
	shows := map[string]any{
		"Transport":       rt,
		"Transport value": *rt,
		"Client":          client,
		"Client value":    *client,
		"holder":          holder{rt, rt, *rt, rt, client},
		"pointer":         &holder{rt, rt, *rt, rt, client},
		"slice":           []any{rt, *rt, client},
		"map":             map[string]any{"a": rt, "b": *rt},
		"zero Transport":  Transport{},
		"nil Transport":   (*Transport)(nil),
		"response":        resp,
	}
	for name, v := range shows {
		// No method stands between a dumper and these, also not for a verb that
		// fmt refuses.
		if path := reachable(v); path != "" {
			t.Errorf("%s: the key can be reached at %s", name, path)
		}
		for _, verb := range []string{"%w", "%p"} {
			mustNotShow(t, name+" by "+verb, fmt.Sprintf(verb, v))
		}
	}
	shows["pasted options"] = pasted
	shows["pointer to pasted options"] = &pasted
	shows["pasted header"] = pasted.Scheme
	shows["pasted parameter"] = Query(key.Reveal())
	for name, v := range shows {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%t", "%T", "%e", "%c", "%U"} {
			mustNotShow(t, name+" by "+verb, fmt.Sprintf(verb, v))
		}
		var out bytes.Buffer
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v, slog.Group("g", "v", v))
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v, slog.Group("g", "v", v))
		json.NewEncoder(&out).Encode(v)
		xml.NewEncoder(&out).Encode(v)
		if !reflect.ValueOf(v).IsZero() {
			gob.NewEncoder(&out).Encode(v) // panics on a nil pointer
		}
		template.Must(template.New("").Parse("{{.}} {{printf `%v` .}}")).Execute(&out, v)
		func() {
			defer func() { fmt.Fprint(&out, recover()) }()
			panic(fmt.Sprint(v))
		}()
		mustNotShow(t, name, out.String())
	}
}

// TestResponseShowsNothing: a response in mid-stream, of either protocol, leads
// to no connection and no request that has the key. It came after a redirect and
// a replay, so that all that hangs together is there.
func TestResponseShowsNothing(t *testing.T) {
	v1, v2 := newKey(t, "v1"), newKey(t, "v2")
	handler := func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != bearer(v2):
			w.WriteHeader(401)
			io.WriteString(w, deadKey)
		case r.URL.Path == "/start":
			http.Redirect(w, r, "/stream", http.StatusTemporaryRedirect)
		default:
			io.WriteString(w, "data: 1\n\n")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
	}
	plain := httptest.NewServer(http.HandlerFunc(handler))
	defer plain.Close()
	crypt, base2 := startHTTP2(t, handler)
	for _, tt := range []struct {
		name, url string
		base      *http.Transport
		status    int
		path      string
		traced    bool
	}{
		{"HTTP/1.1", plain.URL, ownBase(t), 200, "/start", false},
		{"HTTP/1.1 with a span", plain.URL, ownBase(t), 200, "/start", true},
		{"HTTP/2", crypt.URL, base2, 200, "/start", false},
		{"HTTP/2 with a span", crypt.URL, base2, 200, "/start", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts := &Options{Base: tt.base, Origins: []string{tt.url}}
			if tt.traced {
				opts.TracerProvider, _ = newSpans()
			}
			client, err := NewClient(sequence(v1, v2), opts)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			// Without a body: HTTP/2 may still be reading one while it is printed.
			req, err := http.NewRequestWithContext(ctx, "POST", tt.url+tt.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if _, err := io.ReadFull(resp.Body, make([]byte, 9)); err != nil || resp.StatusCode != tt.status {
				t.Fatalf("status %d, %v", resp.StatusCode, err)
			}
			for what, v := range map[string]any{"the response": resp, "its request": resp.Request, "the caller's request": req, "the client": client} {
				if path := reachable(v); path != "" {
					t.Errorf("from %s the key can be reached at %s", what, path)
				}
				for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
					mustNotShow(t, what+" by "+verb, fmt.Sprintf(verb, v))
				}
			}
		})
	}
}

// TestUpgradedResponseShowsNothing is the same for a switched protocol.
func TestUpgradedResponseShowsNothing(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		io.Copy(io.Discard, conn)
	}))
	defer srv.Close()
	rt := newTestTransport(t, always(newKey(t, "v1")), &Options{Base: ownBase(t), Origins: []string{srv.URL}})
	resp, err := rt.RoundTrip(newRequest(t, "GET", srv.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if path := reachable(resp.Body); path != "" {
		t.Errorf("the key can be reached at %s", path)
	}
}
