package filestore_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation/filestore"
)

// What others keep in the file beside the key outlives it.
func TestPromoteKeepsOtherMembers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "openai")
	if err := os.WriteFile(path, []byte(`{"api_key":"`+keyprovidertest.NewSecret()+`","key_id":"key_1","organization":"org_1"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := filestore.New(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	k, err := keyprovider.NewKey(keyprovidertest.NewSecret(), keyprovider.Info{ID: "key_2"})
	if err != nil {
		t.Fatal(err)
	}
	_, from, err := s.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Promote(t.Context(), k, from); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if got["organization"] != "org_1" || got["key_id"] != "key_2" || got["api_key"] != k.Reveal() {
		t.Errorf("key_id %q and organization %q stand beside the key, want key_2 and org_1", got["key_id"], got["organization"])
	}
}
