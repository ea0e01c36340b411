package workload

import (
	"context"
	"net/http"
	"net/url"
	"os"

	"github.com/keybearer/keybearer/keyprovider"
)

// Google returns the Subject that asks the metadata server of Compute Engine,
// Cloud Run, Cloud Functions or a GKE node for an identity token of the attached
// service account. aud is the audience that OpenAI's identity provider is
// configured with, "" for https://api.openai.com/v1.
//
// The server is where GCE_METADATA_HOST says, else at its link-local address.
// Elsewhere than at Google the error is keyprovider.ErrUnavailable, after a
// second at most.
func Google(aud string) Subject { return google{aud} }

type google struct{ audience string }

func (google) isIDToken() bool { return true }

// Token asks the metadata server.
func (g google) Token(ctx context.Context) (string, error) {
	host := os.Getenv("GCE_METADATA_HOST")
	if host == "" {
		host = "169.254.169.254"
	}
	query := url.Values{"audience": {orDefault(g.audience)}, "format": {"full"}}
	text, header, err := question{
		client: metadata, service: "Google's metadata server", timeout: metadataTimeout,
		url:    (&url.URL{Scheme: "http", Host: host, Path: "/computeMetadata/v1/instance/service-accounts/default/identity", RawQuery: query.Encode()}).String(),
		header: [2]string{"Metadata-Flavor", "Google"},
		denied: []int{http.StatusNotFound, http.StatusForbidden, http.StatusUnauthorized},
		setUp:  "attach a service account to the workload",
	}.ask(ctx)
	if err != nil {
		return "", err
	}
	if header.Get("Metadata-Flavor") != "Google" {
		return "", fail(keyprovider.ErrUnavailable, reason("what answers in the place of Google's metadata server is something else"))
	}
	return string(text), nil
}

func orDefault(aud string) string {
	if aud == "" {
		return audience
	}
	return aud
}
