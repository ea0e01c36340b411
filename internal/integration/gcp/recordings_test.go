package gcp

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/google/go-replayers/grpcreplay"
	pb "github.com/google/go-replayers/grpcreplay/proto/grpcreplay"
	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/keybearer/keybearer/internal/integration/gcp/fakesm"
)

// TestRecordings holds the fake to the real service. Google's own client is
// given, call by call, what the Go CDK once recorded of Secret Manager, and the
// fake: both must answer the same, but for what depends on the clock.
func TestRecordings(t *testing.T) {
	total := 0
	for _, file := range recordings(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".replay"), func(t *testing.T) {
			requests := recorded(t, file)
			replayer, err := grpcreplay.NewReplayer(file, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer replayer.Close()
			conn, err := replayer.Connection()
			if err != nil {
				t.Fatal(err)
			}
			real, err := secretmanager.NewClient(t.Context(), option.WithGRPCConn(conn))
			if err != nil {
				t.Fatal(err)
			}
			defer real.Close()
			fake := recordedProject(t)
			for i, request := range requests {
				want, wantErr := call(t, real, request)
				got, gotErr := call(t, fake, request)
				if w, g := outcome(want, wantErr), outcome(got, gotErr); w != g {
					t.Errorf("call %d of %d, %s:\nthe service: %s\nthe fake:    %s", i+1, len(requests), request.ProtoReflect().Descriptor().Name(), w, g)
				}
			}
			total += len(requests)
		})
	}
	t.Logf("%d calls compared", total)
	if total < 30 {
		t.Errorf("%d calls compared: recordings are missing", total)
	}
}

// recordings are the files that the Go CDK's module ships with its tests.
func recordings(t *testing.T) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "gocloud.dev").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var files []string
	dir := filepath.Join(strings.TrimSpace(string(out)), "runtimevar", "gcpsecretmanager", "testdata")
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".replay") {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		lacking(t, "the module gocloud.dev came without its recordings")
	}
	return files
}

// recordedProject is a fake with the recordings' project.
func recordedProject(t *testing.T) *secretmanager.Client {
	t.Helper()
	running, err := fakesm.New(fakesm.Options{Projects: map[string]int64{"go-cloud-test-216917": 892942638129}}).Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(running.Stop)
	client, err := fakesm.Client(t.Context(), running.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// recorded returns a recording's requests, in order.
func recorded(t *testing.T, name string) []proto.Message {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	const magic = "RPCReplay"
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(file, head); err != nil || string(head) != magic {
		t.Fatalf("%s is no recording", name)
	}
	var requests []proto.Message
	for first := true; ; first = false {
		entry, err := record(file)
		if errors.Is(err, io.EOF) {
			return requests
		}
		if err != nil {
			t.Fatal(err)
		}
		if first {
			continue // the initial state, which is empty
		}
		var e pb.Entry
		if err := proto.Unmarshal(entry, &e); err != nil {
			t.Fatal(err)
		}
		if e.Kind == pb.Entry_REQUEST {
			message, err := e.Message.UnmarshalNew()
			if err != nil {
				t.Fatal(err)
			}
			requests = append(requests, message)
		}
	}
}

// record reads what follows a length of four bytes, the lowest first.
func record(r io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	data := make([]byte, int(size[0])|int(size[1])<<8|int(size[2])<<16|int(size[3])<<24)
	_, err := io.ReadFull(r, data)
	return data, err
}

// call makes a recorded call.
func call(t *testing.T, client *secretmanager.Client, request proto.Message) (proto.Message, error) {
	t.Helper()
	ctx := context.Background()
	switch r := request.(type) {
	case *secretmanagerpb.CreateSecretRequest:
		return client.CreateSecret(ctx, r)
	case *secretmanagerpb.AddSecretVersionRequest:
		return client.AddSecretVersion(ctx, r)
	case *secretmanagerpb.AccessSecretVersionRequest:
		return client.AccessSecretVersion(ctx, r)
	case *secretmanagerpb.GetSecretVersionRequest:
		return client.GetSecretVersion(ctx, r)
	case *secretmanagerpb.DeleteSecretRequest:
		return nil, client.DeleteSecret(ctx, r)
	}
	t.Fatalf("a %T is recorded, which this test does not know", request)
	return nil, nil
}

// outcome writes an answer in a form that is the same for the same answers.
// Times and etags become one word if they are there and well-formed.
func outcome(m proto.Message, err error) string {
	if err != nil {
		return prototext.Format(status.Convert(err).Proto())
	}
	if m == nil {
		return codes.OK.String()
	}
	m = proto.Clone(m)
	out, fields := m.ProtoReflect(), m.ProtoReflect().Descriptor().Fields()
	clock := ""
	for _, name := range []protoreflect.Name{"create_time", "etag"} {
		field := fields.ByName(name)
		if field == nil || !out.Has(field) {
			continue
		}
		form := "set"
		if name == "etag" {
			form = etagForm(out.Get(field).String())
		}
		clock += string(name) + ": " + form + "\n"
		out.Clear(field)
	}
	return prototext.Format(m) + clock
}

// etagForm writes 0 for each hexadecimal digit.
func etagForm(etag string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("0123456789abcdef", r) {
			return '0'
		}
		return r
	}, etag)
}
