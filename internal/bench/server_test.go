package bench

import (
	"bufio"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"
)

// The server runs in a process of its own, so that its CPU time is not measured
// with the client's: this test binary, started anew with serverEnv set.
const serverEnv = "KEYBEARER_BENCH_SERVER"

// protocols are the values of serverEnv: "http1" is HTTP/1.1 in plain text, the
// least that a call can cost; "h2" is HTTP/2 over TLS, as OpenAI is called.
var protocols = []string{"http1", "h2"}

// address is what the server's process says of itself, on one line.
type address struct {
	URL  string
	Cert []byte // PEM; nil without TLS
}

// serve is the server's process. It ends when its standard input does, and so
// with its parent.
func serve(protocol string) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if r.Header.Get("Authorization") != bearer {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.Header.Get("Accept") == "text/event-stream" {
			stream(w)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, answer)
	}))
	var a address
	if protocol == "h2" {
		srv.EnableHTTP2 = true
		srv.StartTLS()
		a.Cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	} else {
		srv.Start()
	}
	defer srv.Close()
	a.URL = srv.URL
	json.NewEncoder(os.Stdout).Encode(a)
	io.Copy(io.Discard, os.Stdin)
}

// stream sends a streamed answer event by event, as a model writes it, without
// its pauses.
func stream(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/event-stream")
	flusher := http.NewResponseController(w)
	for _, event := range longStream {
		io.WriteString(w, event)
		flusher.Flush()
	}
}

var longStream = streamedAnswer(1000)

// A peer is the server as its client sees it.
type peer struct {
	url   string
	roots *x509.CertPool
}

func startServer(tb testing.TB, protocol string) peer {
	tb.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serverEnv+"="+protocol)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			tb.Errorf("the server's process: %v", err)
		}
	})
	p, err := readAddress(stdout)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func readAddress(r io.Reader) (peer, error) {
	line, err := bufio.NewReader(r).ReadBytes('\n')
	if err != nil {
		return peer{}, fmt.Errorf("the server's process does not say its address: %w", err)
	}
	var a address
	if err := json.Unmarshal(line, &a); err != nil {
		return peer{}, fmt.Errorf("the server's process does not say its address: %w", err)
	}
	p := peer{url: a.URL}
	if a.Cert != nil {
		p.roots = x509.NewCertPool()
		p.roots.AppendCertsFromPEM(a.Cert)
	}
	return p, nil
}
