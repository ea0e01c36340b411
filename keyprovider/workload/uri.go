package workload

import (
	"context"
	"net/url"
	"time"

	"github.com/keybearer/keybearer/internal/sourceuri"
	"github.com/keybearer/keybearer/keyprovider"
)

func init() { keyprovider.Register("workload", open) }

// open implements keyprovider.OpenFunc. All of a workload is in the parameters;
// there is no place to name.
func open(ctx context.Context, u *url.URL) (keyprovider.KeyProvider, error) {
	if u.User != nil || u.Host != "" || u.Path != "" || u.Opaque != "" {
		return nil, invalidURI("a workload's URI has parameters alone: workload:?identity_provider_id=...&service_account_id=...&token_file=...")
	}
	query, err := sourceuri.Query(u, "identity_provider_id", "service_account_id", "token_file", "source", "audience",
		"client_id", "certificate_file", "private_key_file", "timeout")
	if err != nil {
		return nil, err
	}
	opts := &Options{IdentityProviderID: query.Get("identity_provider_id"), ServiceAccountID: query.Get("service_account_id")}
	if s := query.Get("timeout"); s != "" {
		if opts.Timeout, err = time.ParseDuration(s); err != nil || opts.Timeout <= 0 {
			return nil, invalidURI("parameter timeout is no positive duration such as 10s")
		}
	}
	var why string
	if opts.Subject, why = subjectOf(query); why != "" {
		return nil, invalidURI(why)
	}
	switch chain, key := query.Get("certificate_file"), query.Get("private_key_file"); {
	case (chain == "") != (key == ""):
		return nil, invalidURI("parameters certificate_file and private_key_file go together")
	case chain != "":
		opts.Certificate = CertificateFiles(chain, key)
	}
	p, err := New(ctx, opts)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// subjectOf reads where the identity token comes from, nil for the default.
func subjectOf(query url.Values) (s Subject, why string) {
	file, source, aud, client := query.Get("token_file"), query.Get("source"), query.Get("audience"), query.Get("client_id")
	switch {
	case file != "" && source != "":
		return nil, "parameters token_file and source exclude each other"
	case aud != "" && source == "":
		return nil, "parameter audience needs source: the audience of a token in a file is fixed"
	case client != "" && source != "azure":
		return nil, "parameter client_id needs source=azure"
	case file != "":
		return File(file), ""
	}
	switch source {
	case "":
		return nil, ""
	case "google":
		return Google(aud), ""
	case "github":
		return GitHub(aud), ""
	case "azure":
		return Azure(aud, AzureIdentity{ClientID: client}), ""
	}
	return nil, "parameter source is none of google, azure and github; AWS's is in package awstoken and needs code"
}

func invalidURI(text string) error {
	return &keyprovider.Error{Provider: "workload", Class: keyprovider.ErrInvalid, Err: reason(text)}
}
