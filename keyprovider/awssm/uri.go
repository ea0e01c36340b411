package awssm

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/keybearer/keybearer/internal/sourceuri"
	"github.com/keybearer/keybearer/keyprovider"
)

func init() { keyprovider.Register("awssm", open) }

// open implements keyprovider.OpenFunc.
func open(ctx context.Context, u *url.URL) (keyprovider.KeyProvider, error) {
	for _, name := range []string{"client", "queue_client", "logger"} {
		if u.Query().Has(name) {
			return nil, invalid(reason("parameter " + name + " cannot be written in a URI: use awssm.New"))
		}
	}
	query, err := sourceuri.Query(u, "region", "stage", "version", "field", "profile", "endpoint", "timeout", "queue")
	if err != nil {
		return nil, err
	}
	place, err := placeOf(u)
	if err != nil {
		return nil, err
	}
	options := &Options{
		Region:    query.Get("region"),
		Stage:     query.Get("stage"),
		VersionID: query.Get("version"),
		Field:     query.Get("field"),
		Profile:   query.Get("profile"),
		Endpoint:  query.Get("endpoint"),
		QueueURL:  query.Get("queue"),
	}
	if text := query.Get("timeout"); text != "" {
		options.Timeout, err = time.ParseDuration(text)
		if err != nil || options.Timeout <= 0 {
			return nil, invalid(reason("parameter timeout is not a positive duration: write it like 5s"))
		}
	}
	p, err := New(ctx, place, options)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// placeOf returns the name or ARN of awssm://prod/openai, awssm:prod/openai,
// awssm:///prod/openai (whose name begins with a slash) and awssm:arn:...
func placeOf(u *url.URL) (string, error) {
	if u.Opaque == "" {
		if strings.HasPrefix(u.Host, "arn:") {
			return "", invalid(reason("write an ARN without slashes before it: awssm:arn:aws:secretsmanager:..."))
		}
		return u.Host + u.Path, nil
	}
	place, err := url.PathUnescape(u.Opaque)
	if err != nil {
		return "", invalid(reason("the secret's name is badly percent-encoded"))
	}
	return place, nil
}
