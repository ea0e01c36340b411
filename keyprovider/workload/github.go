package workload

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// GitHub returns the Subject that asks GitHub Actions for an identity token of
// the job, which needs the permission "id-token: write". aud is the audience that
// OpenAI's identity provider is configured with, "" for https://api.openai.com/v1.
//
// GitHub says where to ask, in the variables ACTIONS_ID_TOKEN_REQUEST_URL and
// ACTIONS_ID_TOKEN_REQUEST_TOKEN; where they are not set the error is
// keyprovider.ErrUnavailable, or ErrDenied in a job without the permission. A
// proxy of the runner is used: this service is not on the machine.
func GitHub(aud string) Subject { return github{aud, remote} }

// remote asks a service on the internet, by https.
var remote = &http.Client{
	Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

const remoteTimeout = 8 * time.Second

type github struct {
	audience string
	client   *http.Client
}

// Token asks GitHub.
func (g github) Token(ctx context.Context) (string, error) {
	address, bearer := os.Getenv("ACTIONS_ID_TOKEN_REQUEST_URL"), os.Getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
	if address == "" || bearer == "" {
		if os.Getenv("GITHUB_ACTIONS") == "true" {
			return "", fail(keyprovider.ErrDenied, reason(`the job may not ask for an identity token: give it the permission "id-token: write"`))
		}
		return "", fail(keyprovider.ErrUnavailable, reason("this is no job of GitHub Actions: ACTIONS_ID_TOKEN_REQUEST_URL is not set"))
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return "", fail(keyprovider.ErrInvalid, reason("ACTIONS_ID_TOKEN_REQUEST_URL is no https URL"))
	}
	query := u.Query()
	query.Set("audience", orDefault(g.audience))
	u.RawQuery = query.Encode()
	text, _, err := question{
		client: g.client, service: "GitHub's identity service", timeout: remoteTimeout,
		url:    u.String(),
		header: [2]string{"Authorization", "Bearer " + bearer},
		denied: []int{http.StatusUnauthorized, http.StatusForbidden},
		setUp:  "the job may be over, or lack the permission",
	}.ask(ctx)
	if err != nil {
		return "", err
	}
	var answer struct {
		Value string `json:"value"`
	}
	if json.Unmarshal(text, &answer) != nil {
		return "", fail(keyprovider.ErrUnavailable, reason("GitHub's identity service answered something else than a token"))
	}
	return answer.Value, nil
}
