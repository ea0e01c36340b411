package workload

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"

	"github.com/keybearer/keybearer/keyprovider"
)

// AzureIdentity chooses one of several managed identities. The zero value is the
// only one, or the one that the system assigned.
type AzureIdentity struct {
	// ClientID, ObjectID or ResourceID of a user-assigned identity; one at most.
	ClientID, ObjectID, ResourceID string
}

// Azure returns the Subject that asks for a token of a managed identity: the
// Instance Metadata Service of a virtual machine or, where IDENTITY_ENDPOINT and
// IDENTITY_HEADER are set, that of App Service, Functions and Container Apps.
//
// resource is the Application ID URI of the app registration that stands for
// OpenAI ("api://..."), the audience that OpenAI's identity provider is configured
// with. It has no default: a token for one of Azure's own APIs must not leave it.
// On AKS, use [File] with the projected token instead.
func Azure(resource string, identity AzureIdentity) Subject {
	return azure{resource, identity, "169.254.169.254"}
}

type azure struct {
	resource string
	identity AzureIdentity
	host     string // of the Instance Metadata Service
}

func (a azure) check() string {
	given := 0
	for _, id := range []string{a.identity.ClientID, a.identity.ObjectID, a.identity.ResourceID} {
		if id != "" {
			given++
		}
	}
	switch {
	case a.resource == "":
		return "the resource of the Azure identity is empty: give the Application ID URI that stands for OpenAI"
	case given > 1:
		return "an AzureIdentity names more than one identity"
	}
	return ""
}

// Token asks the metadata service.
func (a azure) Token(ctx context.Context) (string, error) {
	text, _, err := a.question().ask(ctx)
	if err != nil {
		return "", err
	}
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if json.Unmarshal(text, &answer) != nil {
		return "", fail(keyprovider.ErrUnavailable, reason("what answers in the place of Azure's metadata service is something else"))
	}
	return answer.AccessToken, nil
}

func (a azure) question() question {
	q := question{
		client: metadata, service: "Azure's metadata service", timeout: metadataTimeout,
		header: [2]string{"Metadata", "true"},
		denied: []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden},
		setUp:  "assign a managed identity to the resource, and check which one is asked for and for what resource",
	}
	query := url.Values{"resource": {a.resource}}
	set := func(name, id string) {
		if id != "" {
			query.Set(name, id)
		}
	}
	set("client_id", a.identity.ClientID)
	set("object_id", a.identity.ObjectID)
	endpoint, secret := os.Getenv("IDENTITY_ENDPOINT"), os.Getenv("IDENTITY_HEADER")
	// Service Fabric has both variables, too, and another protocol.
	if endpoint != "" && secret != "" && os.Getenv("IDENTITY_SERVER_THUMBPRINT") == "" {
		query.Set("api-version", "2019-08-01")
		set("mi_res_id", a.identity.ResourceID)
		q.url, q.header = endpoint+"?"+query.Encode(), [2]string{"X-IDENTITY-HEADER", secret}
		return q
	}
	query.Set("api-version", "2018-02-01")
	set("msi_res_id", a.identity.ResourceID)
	q.url = (&url.URL{Scheme: "http", Host: a.host, Path: "/metadata/identity/oauth2/token", RawQuery: query.Encode()}).String()
	return q
}
