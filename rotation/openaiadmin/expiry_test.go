package openaiadmin

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func TestCredentialExpiry(t *testing.T) {
	end := time.Now().Add(30 * 24 * time.Hour).Truncate(time.Second)
	stated := end.Add(-time.Hour)
	keysOnly := []string{openaitest.ScopeKeysRead, openaitest.ScopeKeysWrite}
	for _, tc := range []struct {
		name   string
		mint   openaitest.AdminMintOptions
		others int
		id     string // "own": the key's
		info   keyprovider.Info
		want   time.Time
	}{
		{name: "by its redacted value", mint: openaitest.AdminMintOptions{ExpiresAt: end}, others: 3, want: end},
		{name: "on a later page", mint: openaitest.AdminMintOptions{ExpiresAt: end}, others: pageSize + 5, want: end},
		{name: "by its id", mint: openaitest.AdminMintOptions{ExpiresAt: end}, id: "own", info: keyprovider.Info{StatedExpiry: stated}, want: end},
		{name: "it does not end", info: keyprovider.Info{StatedExpiry: stated}},
		{name: "not allowed to ask, known to the store", mint: openaitest.AdminMintOptions{ExpiresAt: end, Scopes: keysOnly}, info: keyprovider.Info{StatedExpiry: stated}, want: stated},
		{name: "not allowed to ask, first-hand", mint: openaitest.AdminMintOptions{Scopes: keysOnly}, info: keyprovider.Info{StatedExpiry: stated, ExpiresAt: end}, want: end},
		{name: "not allowed to ask", mint: openaitest.AdminMintOptions{ExpiresAt: end, Scopes: keysOnly}},
		{name: "an id that is not there", mint: openaitest.AdminMintOptions{ExpiresAt: end}, id: "key_none", info: keyprovider.Info{StatedExpiry: stated}, want: stated},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, openaitest.AdminBehaviour{}, nil)
			admin := w.MintAdmin(tc.mint)
			for n := 0; n < tc.others; n++ {
				other := w.MintAdmin(openaitest.AdminMintOptions{ExpiresAt: end.Add(time.Hour)})
				if tail := admin[len(admin)-3:]; strings.HasSuffix(other, tail) { // which is all that is shown of a key
					w.Revoke(other)
					n--
				}
			}
			tc.info.ID = tc.id
			if tc.id == "own" {
				own, _ := w.Key(admin)
				tc.info.ID = own.ID
			}
			i, err := New(source(t, admin, tc.info), &Options{Project: project, ServiceAccount: w.account, Scopes: []string{"api.model.read"},
				Origin: w.Origin(), Base: w.Transport()})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := i.CredentialExpiry(t.Context()); err != nil || !got.Equal(tc.want) {
				t.Errorf("got %v, %v; want %v", got, err, tc.want)
			}
		})
	}
}

func TestCredentialExpiryFails(t *testing.T) {
	inBubble(t, openaitest.AdminBehaviour{}, nil, func(t *testing.T, w *world) {
		w.Inject(openaitest.Fault{Times: -1, Status: 503})
		_, err := w.issuer.CredentialExpiry(t.Context())
		mustBe(t, err, keyprovider.ErrUnavailable, "read the admin key's expiry", w.admin)
		w.ClearFaults()
		w.Inject(openaitest.Fault{Times: -1, Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"data":[],"has_more":null}`})
		_, err = w.issuer.CredentialExpiry(t.Context())
		mustBe(t, err, keyprovider.ErrUnavailable, "cannot be read", w.admin)
		w.ClearFaults()
		w.Revoke(w.admin) // a dead admin key is known by what else it does
		if at, err := w.issuer.CredentialExpiry(t.Context()); err != nil || !at.IsZero() {
			t.Errorf("dead: got %v, %v", at, err)
		}
	})
}

func TestFits(t *testing.T) {
	secret := "sk-" + "admin-" + "0123456789abcdef"
	for redacted, want := range map[string]bool{
		"sk-admin...def": true, "sk-admin*********def": true, "sk-...cdef": true, "sk-admin...abc": false, "sk-proj...def": false,
		"...": false, "sk-admin...": false, "": false, secret: false, "sk-admin...ef": false, secret + "...def": false,
	} {
		if got := fits(redacted, secret); got != want {
			t.Errorf("%q: got %t, want %t", redacted, got, want)
		}
	}
	if fits("...", keyprovidertest.NewSecret()) {
		t.Error("three dots fit")
	}
}
