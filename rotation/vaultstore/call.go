package vaultstore

import (
	"context"
	"errors"
	"net/url"
	"strconv"

	"github.com/hashicorp/vault/api"

	"github.com/keybearer/keybearer/internal/vaultlogin"
	"github.com/keybearer/keybearer/keyprovider"
)

// A session with the engine, for one call of the Store.
type engine struct {
	client *api.Client
	mount  vaultlogin.Mount
}

// do runs op against the engine, with one more attempt if the server refuses
// the token and there is another one. What was refused did not happen, so that
// repeating it is safe.
func (s *Store) do(ctx context.Context, op func(context.Context, engine) error) error {
	if err := ctx.Err(); err != nil {
		return &keyprovider.Error{Class: keyprovider.ErrUnavailable, Err: err}
	}
	if s.closed.Load() {
		return unavailable("the store is closed", nil)
	}
	grant, err := s.session.Grant(ctx)
	if err != nil {
		return err
	}
	err = s.with(ctx, grant, op)
	if errors.Is(err, keyprovider.ErrDenied) {
		if other, ok := s.session.Refused(ctx, grant); ok {
			err = s.with(ctx, other, op)
		}
	}
	if err == nil {
		s.session.Proved()
	}
	return err
}

func (s *Store) with(ctx context.Context, grant *vaultlogin.Grant, op func(context.Context, engine) error) error {
	mount := s.mount.Load()
	if mount == nil {
		found, err := s.locate(ctx, grant.Client)
		if err != nil {
			return err
		}
		s.mount.Store(&found)
		mount = &found
	}
	return op(ctx, engine{grant.Client, *mount})
}

// locate finds the engine and refuses one that is not KV version 2.
func (s *Store) locate(ctx context.Context, client *api.Client) (vaultlogin.Mount, error) {
	ctx, cancel := vaultlogin.WithTimeout(ctx, client)
	defer cancel()
	m, err := vaultlogin.Locate(ctx, client, s.path)
	switch {
	case err == nil && m.KV != 2:
		return m, invalid("the engine is not KV version 2. Version 1 cannot compare before it writes, so that two rotators would overwrite each other's keys, and keeps no former key: upgrade it (vault kv enable-versioning <mount>), or choose another engine")
	case err == nil:
	case !errors.Is(err, keyprovider.ErrDenied) && !errors.Is(err, keyprovider.ErrNotFound):
		return m, err
	case s.opts.Mount != "": // an old server, or a proxy that lets only some paths pass
		m = vaultlogin.Mount{KV: 2}
	case errors.Is(err, keyprovider.ErrDenied):
		return m, &keyprovider.Error{Class: keyprovider.ErrDenied, Err: keyprovider.Reason("the server does not tell which engine serves the path: is the token valid, does the policy grant the path, and is there such an engine? Where a proxy keeps the server from telling, set Options.Mount", err)}
	default:
		// Not ErrNotFound, which would say that there is no key yet.
		return m, &keyprovider.Error{Class: keyprovider.ErrInvalid, Err: keyprovider.Reason("the server does not tell which engine serves the path: if it is KV version 2, set Options.Mount", cause(err))}
	}
	if s.opts.Mount != "" {
		m.Path = s.opts.Mount
	}
	for _, path := range []string{s.path, s.opts.PendingPath, s.opts.StatePath} {
		if !m.Below(path) {
			return m, invalid("Options.PendingPath and Options.StatePath are not in the engine of the path")
		}
	}
	return m, nil
}

// read reads a version of a secret, 0 for the latest. Its error is of class
// keyprovider.ErrNotFound only if Vault itself says that there is no such
// secret; one that was deleted is no error here.
func (e engine) read(ctx context.Context, path string, version int) (*vaultlogin.Stored, error) {
	ctx, cancel := vaultlogin.WithTimeout(ctx, e.client)
	defer cancel()
	var query url.Values
	if version > 0 {
		query = url.Values{"version": {strconv.Itoa(version)}}
	}
	at := e.mount.Data(path)
	answer, err := vaultlogin.Read(ctx, e.client, at, query)
	switch {
	case errors.Is(err, keyprovider.ErrNotFound) && vaultlogin.Foreign(err):
		return nil, unavailable("reading "+at+": the answer (HTTP 404) is not one of Vault's; is something else at this address?", cause(err))
	case err != nil:
		return nil, err
	}
	return answer.Stored()
}

// errMismatch tells write's caller that the version to replace is not the
// current one.
var errMismatch = errors.New("check-and-set")

// write replaces the version cas of a secret, 0 for a secret that does not
// exist, or returns errMismatch.
func (e engine) write(ctx context.Context, path string, cas int, data any) (*vaultlogin.VersionMetadata, error) {
	answer, err := e.put(ctx, e.mount.Data(path), map[string]any{"options": map[string]any{"cas": cas}, "data": data})
	switch {
	case vaultlogin.Mismatch(err):
		return nil, errMismatch
	case err != nil:
		return nil, err
	}
	return answer.Written()
}

// destroy wipes versions of a secret. Others, written meanwhile, stay.
func (e engine) destroy(ctx context.Context, path string, versions []int) error {
	_, err := e.put(ctx, e.mount.Path+"/destroy/"+e.mount.Rest(path), map[string]any{"versions": versions})
	return err
}

func (e engine) put(ctx context.Context, at string, body any) (*vaultlogin.Answer, error) {
	ctx, cancel := vaultlogin.WithTimeout(ctx, e.client)
	defer cancel()
	answer, err := vaultlogin.Write(ctx, e.client, at, body)
	switch {
	case !errors.Is(err, keyprovider.ErrNotFound):
		return answer, err
	case vaultlogin.Foreign(err):
		return nil, unavailable("writing "+at+": the answer (HTTP 404) is not one of Vault's; is something else at this address?", cause(err))
	}
	return nil, &keyprovider.Error{Class: keyprovider.ErrInvalid, Err: keyprovider.Reason("writing "+at+": there is no engine at this mount any more (HTTP 404)", cause(err))}
}

// cause is what lies below an error whose class is not to be passed on.
func cause(err error) error {
	if e, ok := errors.AsType[*api.ResponseError](err); ok {
		return e
	}
	return nil
}
