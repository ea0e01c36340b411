package leak

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider/file"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/filestore"
	"github.com/keybearer/keybearer/rotation/openaiadmin"
)

// addRotator adds a Rotator that has just put a key that it minted itself into a
// file, and what it works with.
func (w *World) addRotator(tb testing.TB) {
	srv := openaitest.New(nil)
	tb.Cleanup(srv.Close)
	quiet := slog.New(slog.DiscardHandler)

	secret, dir := srv.MintAdmin(openaitest.AdminMintOptions{}), tb.TempDir()
	store(tb, filepath.Join(dir, "admin"), secret)
	provider, err := file.New(filepath.Join(dir, "admin"), nil)
	must(tb, err)
	admin, err := rotation.NewSource(tb.Context(), provider, &rotation.SourceOptions{Logger: quiet})
	must(tb, err)
	tb.Cleanup(func() { must(tb, admin.Close()) })
	issuer, err := openaiadmin.New(admin, &openaiadmin.Options{Project: "proj_keybearer", ServiceAccount: srv.AddAccount("bot"),
		Scopes: []string{openaitest.ScopeModelRequest}, Origin: srv.Origin(), Base: srv.Transport(), Logger: quiet})
	must(tb, err)
	place, err := filestore.New(filepath.Join(dir, "key"), nil)
	must(tb, err)
	options := &rotation.RotatorOptions{Logger: quiet}
	rotator, err := rotation.NewRotator(issuer, place, options)
	must(tb, err)

	var progress rotation.Progress
	for progress.Phase != rotation.PhaseIdle || progress.Rotation == "" {
		progress, err = rotator.Step(tb.Context())
		must(tb, err)
	}
	key, _, err := place.Current(tb.Context())
	must(tb, err)
	status, err := rotator.Status(tb.Context())
	must(tb, err)
	plan, err := rotator.Plan(tb.Context())
	must(tb, err)
	w.Secrets = append(w.Secrets, secret, key.Reveal())
	w.add("Rotator", rotator)
	w.add("RotatorOptions", options)
	w.add("RotatorStatus", status)
	w.add("Plan", plan)
	w.add("Issuer", issuer)
	w.add("filestore.Store", place)
	w.add("minted Key", key)
}
