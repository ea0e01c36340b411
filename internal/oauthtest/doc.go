// Package oauthtest fakes what workload identity federation needs: an identity
// provider that signs tokens ([Issuer]), OpenAI's token endpoint that exchanges
// them ([Server]), and the metadata services from which workloads get them
// ([Google], [Azure], [GitHub]).
//
// The endpoint checks what the real one is documented to check: the grant, the
// token's type, its signature by the provider's published keys, its issuer,
// audience, expiry and required claims, and the mapping of its claims to a
// service account; for X.509, the certificate of the connection. It is reached
// by its real name, through a transport whose dialer leads to it and which
// trusts its certificate, because the provider under test talks to no other.
//
//	idp := oauthtest.NewIssuer("https://idp.example")
//	srv := oauthtest.New(nil)
//	defer srv.Close()
//	srv.Trust(oauthtest.Provider{ID: "wip_1", Issuer: idp.URL, Audience: "https://api.openai.com/v1", JWKS: idp.JWKS})
//	srv.Map("wip_1", oauthtest.Mapping{ServiceAccountID: "svc_1", Match: map[string]string{"sub": "system:serviceaccount:prod:bot"}})
//	provider, err := workload.New(ctx, &workload.Options{..., Transport: srv.Transport()})
package oauthtest
