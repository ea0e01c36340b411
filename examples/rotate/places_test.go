package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// TestStores: a URI leads to the store behind the provider of the same URI.
func TestStores(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "fake")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "fake")
	t.Setenv("AWS_REGION", "eu-central-1")
	t.Setenv("VAULT_ADDR", "https://vault.example.com:8200")
	t.Setenv("VAULT_TOKEN", "fake")
	// AWS's store asks for the secret's ARN at once, for its own name.
	arn := "arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/openai-AbCdEf"
	aws := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		fmt.Fprintf(w, `{"ARN":%q,"Name":"prod/openai"}`, arn)
	}))
	defer aws.Close()
	endpoint := "?endpoint=" + url.QueryEscape(aws.URL)
	cases := []struct {
		uri  string
		want []string
	}{
		{"file://" + t.TempDir() + "/openai.key?field=key", []string{"file:box:", "openai.key"}},
		{"vault://secret/openai", []string{"vault.example.com", "secret/openai"}},
		{"vault://secret/openai?auth=kubernetes&role=rotator&server=main&namespace=team", []string{"main", "secret/openai"}},
		{"awssm://prod/openai" + endpoint, []string{"eu-central-1", "prod/openai"}},
		{"awssm:" + arn + endpoint, []string{"eu-central-1", "prod/openai"}},
		{"gcpsm://projects/p-1/secrets/openai?alias=prod", []string{"projects/p-1/secrets/openai"}},
	}
	for _, tc := range cases {
		store, closer, err := openStore(t.Context(), tc.uri, "box")
		if err != nil {
			t.Errorf("%s: got %v, want a store", tc.uri, err)
			continue
		}
		for _, want := range tc.want {
			if !strings.Contains(store.String(), want) {
				t.Errorf("%s: the store's name is %q, want %q in it", tc.uri, store, want)
			}
		}
		if err := closeAll(closer); err != nil {
			t.Errorf("%s: close: %v", tc.uri, err)
		}
	}
}

func TestStoresRefused(t *testing.T) {
	t.Parallel()
	secret := strings.ReplaceAll(keyprovidertest.NewSecret(), "sk-", "key") // what parse does not recognise
	cases := []struct{ uri, want string }{
		{secret, "scheme"},
		{"file://host/" + secret, "absolute path"},
		{"vault:", "vault"},
		{"vault://secret/openai?password=" + secret, "no other parameter"},
		{"awssm://", "awssm"},
		{"awssm://x?region=a&region=b", "at most once"},
		{"gcpsm://secrets/" + secret, "projects/"},
		{"gcpsm://projects/p/secrets/s?%zz", "malformed"},
		{"file:///x?%zz", "malformed"},
	}
	for _, tc := range cases {
		store, _, err := openStore(t.Context(), tc.uri, "")
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, %v, want an error with %q", store, err, tc.want)
		}
		if err != nil && keyprovidertest.Leaks(err.Error(), secret) {
			t.Errorf("the error repeats what was pasted: %v", err)
		}
	}
}
