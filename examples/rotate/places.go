package main

import (
	"context"
	"io"
	"net/url"
	"path/filepath"
	"slices"

	"github.com/keybearer/keybearer/keyprovider/vault"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/awsstore"
	"github.com/keybearer/keybearer/rotation/filestore"
	"github.com/keybearer/keybearer/rotation/gcpstore"
	"github.com/keybearer/keybearer/rotation/vaultstore"
)

// openStore opens the place of a key for rotation. The URIs are those by which
// keyprovider.Open opens it for reading. Errors do not repeat them.
func openStore(ctx context.Context, uri, host string) (rotation.Store, io.Closer, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return nil, nil, wrongUsage("-store is not a URI, such as file:///etc/app/openai")
	}
	switch u.Scheme {
	case "file":
		return openFile(u, host)
	case "vault":
		return openVault(ctx, u)
	case "awssm":
		return openAWS(ctx, u)
	case "gcpsm":
		return openGCP(ctx, u)
	case "":
		return nil, nil, wrongUsage("-store has no scheme: for a file write file:// and its absolute path, such as file:///etc/openai; the others are vault, awssm and gcpsm")
	}
	return nil, nil, wrongUsage("-store has a scheme that is none of file, vault, awssm and gcpsm")
}

func openFile(u *url.URL, host string) (rotation.Store, io.Closer, error) {
	q, err := parameters(u, "field")
	if err != nil {
		return nil, nil, err
	}
	if u.Host != "" || u.Path == "" {
		return nil, nil, wrongUsage("-store names a file by an absolute path: file:///etc/app/openai")
	}
	store, err := filestore.New(filepath.FromSlash(u.Path), &filestore.Options{Field: q.Get("field"), Host: host})
	if err != nil {
		return nil, nil, err
	}
	return store, nil, nil
}

// openVault logs in by the VAULT_* environment, a token file, or as a Kubernetes
// service account.
func openVault(ctx context.Context, u *url.URL) (rotation.Store, io.Closer, error) {
	q, err := parameters(u, "field", "address", "namespace", "mount", "server", "token_file", "auth", "role", "auth_mount")
	if err != nil {
		return nil, nil, err
	}
	opts := &vaultstore.Options{
		Field: q.Get("field"), Address: q.Get("address"), Namespace: q.Get("namespace"), Mount: q.Get("mount"),
		Server: q.Get("server"), TokenFile: q.Get("token_file"),
	}
	switch q.Get("auth") {
	case "":
	case "kubernetes":
		opts.Auth = &vault.Kubernetes{Role: q.Get("role"), Mount: q.Get("auth_mount")}
	default:
		return nil, nil, wrongUsage("-store: auth takes kubernetes here; other ways to log in need vaultstore.New")
	}
	store, err := vaultstore.New(ctx, u.Host+u.Path, opts)
	return opened(store, err)
}

// openAWS takes the name or the ARN of a secret: awssm://prod/openai,
// awssm:arn:aws:secretsmanager:...
func openAWS(ctx context.Context, u *url.URL) (rotation.Store, io.Closer, error) {
	q, err := parameters(u, "field", "region", "profile", "endpoint")
	if err != nil {
		return nil, nil, err
	}
	name := u.Opaque
	if name == "" {
		name = u.Host + u.Path
	}
	store, err := awsstore.New(ctx, name, &awsstore.Options{
		Field: q.Get("field"), Region: q.Get("region"), Profile: q.Get("profile"), Endpoint: q.Get("endpoint"),
	})
	return opened(store, err)
}

func openGCP(ctx context.Context, u *url.URL) (rotation.Store, io.Closer, error) {
	q, err := parameters(u, "field", "alias", "pending", "endpoint")
	if err != nil {
		return nil, nil, err
	}
	store, err := gcpstore.New(ctx, u.Host+u.Path, &gcpstore.Options{
		Field: q.Get("field"), Alias: q.Get("alias"), Pending: q.Get("pending"), Endpoint: q.Get("endpoint"),
	})
	return opened(store, err)
}

// opened keeps a nil pointer from becoming an interface that is not nil.
func opened[S rotation.Store](store S, err error) (rotation.Store, io.Closer, error) {
	if err != nil {
		return nil, nil, err
	}
	closer, _ := any(store).(io.Closer)
	return store, closer, nil
}

// parameters are those of a URI, each of which must be known.
func parameters(u *url.URL, known ...string) (url.Values, error) {
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, wrongUsage("-store: the URI's parameters are malformed")
	}
	for name, values := range q {
		if !slices.Contains(known, name) || len(values) != 1 {
			return nil, wrongUsage("-store: the URI takes each of %q at most once, and no other parameter", known)
		}
	}
	return q, nil
}
