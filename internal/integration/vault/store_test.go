package vault

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/keyprovider/vault"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/rotationtest"
	"github.com/keybearer/keybearer/rotation/vaultstore"
)

// The suite, with no more than the documented policies grant.
func TestStoreConformance(t *testing.T) {
	rotationtest.RunStore(t, rotationtest.StoreHarness{New: func(tb testing.TB) *rotationtest.StorePlace {
		p := newStorePlace(tb)
		carry := &ferry{base: &http.Transport{DisableKeepAlives: true}}
		open := func() rotation.Store {
			client, err := api.NewClient(&api.Config{Address: p.gate.URL, HttpClient: &http.Client{Transport: carry}})
			must(tb, err)
			return p.storeOf(&vaultstore.Options{Client: client})
		}
		reader, err := vault.New(tb.Context(), p.path(), &vault.Options{Address: p.gate.URL, TokenFile: file(tb, p.tokens.reader), DisableWatch: true})
		must(tb, err)
		return &rotationtest.StorePlace{
			Store: open(), Reader: reader, Reopen: open,
			Set:  func(value []byte) { p.set(asFields(value)) },
			Fail: p.fail,
			Hang: p.gate.Hang,
			Lose: p.gate.Lose,
		}
	}})
}

// The reader's documented policy shows neither the staged key nor the state.
func TestReaderSeesNoMore(t *testing.T) {
	p := newStorePlace(t)
	s := p.store()
	defer s.Close()
	k := mintedKey(t)
	must(t, s.Stage(t.Context(), k))
	_, err := s.SetState(t.Context(), []byte(`{"phase":"staged"}`), "")
	must(t, err)
	for _, path := range []string{"openai.pending", "openai.rotation"} {
		client := admin(t)
		client.SetToken(p.tokens.reader)
		if _, err := client.KVv2(p.mount).Get(t.Context(), path); err == nil || !strings.Contains(err.Error(), "403") {
			t.Errorf("the reader gets %s: %v", path, err)
		}
	}
	must(t, s.Unstage(t.Context(), k.Fingerprint()))
	left, err := admin(t).KVv2(p.mount).Get(t.Context(), "openai.pending")
	if must(t, err); left.Data != nil || !left.VersionMetadata.Destroyed {
		t.Errorf("after Unstage the pending secret holds %d fields", len(left.Data))
	}
}

// What others keep in the secret stays.
func TestForeignFieldsStay(t *testing.T) {
	p := newStorePlace(t)
	p.set(map[string]any{"api_key": keyprovidertest.NewSecret(), "organization": "org-1", "limit": json.Number("1234567.25"), "tags": []any{"a", "<b>"}})
	s := p.store()
	defer s.Close()
	_, rev, err := s.Current(t.Context())
	must(t, err)
	k := mintedKey(t)
	must(t, s.Promote(t.Context(), k, rev))
	got, err := admin(t).KVv2(p.mount).Get(t.Context(), "openai")
	must(t, err)
	encoded, err := json.Marshal(got.Data["tags"])
	must(t, err)
	if got.Data["organization"] != "org-1" || got.Data["limit"] != json.Number("1234567.25") || string(encoded) != `["a","\u003cb\u003e"]` || got.Data["api_key"] != k.Reveal() {
		t.Errorf("limit = %v, tags = %s, and %d fields", got.Data["limit"], encoded, len(got.Data))
	}
}

// Deleted, destroyed, deleted with the history and aged out.
func TestStoreAndTheLifeOfAVersion(t *testing.T) {
	p := newStorePlace(t)
	s := p.store()
	defer s.Close()
	kv := admin(t).KVv2(p.mount)
	promote := func() *keyprovider.Key {
		t.Helper()
		_, rev, err := s.Current(t.Context())
		if err != nil {
			wantClass(t, err, keyprovider.ErrNotFound)
		}
		k := mintedKey(t)
		must(t, s.Promote(t.Context(), k, rev))
		return k
	}
	first := promote()
	must(t, kv.Delete(t.Context(), "openai"))
	_, _, err := s.Current(t.Context())
	wantClass(t, err, keyprovider.ErrNotFound, "deleted at")
	_, err = s.Former(t.Context(), first.Fingerprint())
	wantClass(t, err, keyprovider.ErrNotFound)
	second := promote()
	must(t, kv.Destroy(t.Context(), "openai", []int{2}))
	_, _, err = s.Current(t.Context())
	wantClass(t, err, keyprovider.ErrNotFound, "destroyed")
	third := promote()
	_, rev, err := s.Current(t.Context())
	must(t, err)
	must(t, kv.DeleteMetadata(t.Context(), "openai"))
	for range 3 {
		promote()
	}
	if err := s.Promote(t.Context(), second, rev); !errors.Is(err, rotation.ErrConflict) {
		t.Errorf("promoting from version 3 of a secret that was made anew: %v", err)
	}
	_, err = s.Former(t.Context(), third.Fingerprint())
	wantClass(t, err, keyprovider.ErrNotFound)
	must(t, kv.PutMetadata(t.Context(), "openai", api.KVMetadataPutInput{MaxVersions: 2}))
	kept := promote()
	promote()
	if k, err := s.Former(t.Context(), kept.Fingerprint()); err != nil || !k.Equal(kept) {
		t.Errorf("Former = %v, %v, want %v", k, err, kept)
	}
	promote()
	_, err = s.Former(t.Context(), kept.Fingerprint())
	wantClass(t, err, keyprovider.ErrNotFound, "max_versions")
}

func TestStoreRefusesVersionOne(t *testing.T) {
	mount := engine(t, "kv1", unique("kv"))
	write(t, "kv1", mount, "openai", map[string]any{"api_key": keyprovidertest.NewSecret()})
	s, err := vaultstore.New(t.Context(), mount+"/openai", &vaultstore.Options{Address: server.Addr, TokenFile: file(t, server.RootToken)})
	must(t, err)
	defer s.Close()
	_, _, err = s.Current(t.Context())
	wantClass(t, err, keyprovider.ErrInvalid, "enable-versioning")
	wantClass(t, s.Stage(t.Context(), mintedKey(t)), keyprovider.ErrInvalid, "enable-versioning")
	none, err := admin(t).Logical().ReadWithContext(t.Context(), mount+"/openai.pending")
	if must(t, err); none != nil {
		t.Error("something was written")
	}
}
