package clients

import (
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/azure"
	"github.com/openai/openai-go/v3/option"

	"github.com/keybearer/keybearer/transport"
)

// The library wants a key for Azure, and sends it in a header of Azure's. What
// it is given here is no key, and stands where an application writes one.
const (
	placeholder  = "set-by-keybearer"
	azureVersion = "2024-06-01"
)

func newAzure(t *testing.T, tls bool) *service {
	return newService(t, config{tls: tls, scheme: transport.Header("api-key"), header: "api-key"})
}

func (s *service) azure(opts ...option.RequestOption) openai.Client {
	base := []option.RequestOption{
		azure.WithEndpoint(s.Origin(), azureVersion), azure.WithAPIKey(placeholder),
		option.WithHTTPClient(s.client), option.WithMaxRetries(0),
	}
	return openai.NewClient(append(base, opts...)...)
}

// TestOpenAIGoAzure: the Source's key takes the placeholder's place, on the
// replay of a dead key too, whose body the library has rewritten by then.
func TestOpenAIGoAzure(t *testing.T) {
	s := newAzure(t, true)
	leftover(t)
	client := s.azure()
	for range 2 {
		if _, err := client.Chat.Completions.New(t.Context(), chatParams); err != nil {
			t.Fatal(err)
		}
		s.Revoke(s.put())
	}
	s.wantBore("Api-Key: key1", "Api-Key: key1", "Api-Key: key2")
	want := "/openai/deployments/gpt-4o-mini/chat/completions?api-version=" + azureVersion
	for i, r := range s.Received() {
		if r.Target != want || r.Proto != "HTTP/2.0" {
			t.Errorf("request %d: got %s by %s, want %s by HTTP/2.0", i, r.Target, r.Proto, want)
		}
	}
	if a, b := s.Received()[0].Body, s.Received()[2].Body; len(a) == 0 || string(a) != string(b) {
		t.Error("the replay's body is not the first request's")
	}
}

// TestOpenAIGoAzureRetries: the library's retry bears the key of its moment.
func TestOpenAIGoAzureRetries(t *testing.T) {
	s := newAzure(t, true)
	s.Inject(busy())
	client := s.azure(option.WithMaxRetries(1), beforeEach(func(attempt int) {
		if attempt == 2 {
			s.Revoke(s.rotate())
		}
	}))
	if _, err := client.Chat.Completions.New(t.Context(), chatParams); err != nil {
		t.Fatal(err)
	}
	s.wantBore("Api-Key: key1", "Api-Key: key2")
}

// TestOpenAIGoAzurePlainText records a limit of the library's: for a server on
// the same machine without TLS it uses a connection of its own, past the client
// that it was given. The Source's key is not sent; neither is the call traced.
func TestOpenAIGoAzurePlainText(t *testing.T) {
	s := newAzure(t, false)
	client := s.azure(azure.WithUnsafeAllowHTTP())
	if _, err := client.Chat.Completions.New(t.Context(), chatParams); err == nil {
		t.Error("the call succeeded: the library no longer bypasses its client, and doc.go may say so")
	}
	s.wantBore("Api-Key: ?")
}
