package gcpsm

import (
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"github.com/keybearer/keybearer/internal/gcpclient"
)

// The kinds of messages after which a Fetch may bring something else. The
// others (SECRET_ROTATE, which asks for a rotation, and TOPIC_CONFIGURED, a
// trial of the topic) change nothing.
var changes = map[string]bool{
	"SECRET_CREATE":                    true,
	"SECRET_UPDATE":                    true, // an alias may have moved
	"SECRET_DELETE":                    true,
	"SECRET_VERSION_ADD":               true,
	"SECRET_VERSION_ENABLE":            true,
	"SECRET_VERSION_DISABLE":           true,
	"SECRET_VERSION_DESTROY":           true,
	"SECRET_VERSION_DESTROY_SCHEDULED": true, // disables at once
}

// heed reports whether a message says that the secret has changed.
func (p *Provider) heed(messages []*pubsubpb.ReceivedMessage) bool {
	changed := false
	for _, m := range messages {
		attributes := m.GetMessage().GetAttributes()
		if !changes[attributes["eventType"]] || !p.concerned(attributes["secretId"]) {
			continue
		}
		changed = true
		if attributes["eventType"] == "SECRET_VERSION_ADD" {
			p.announce(attributes["versionId"])
		}
	}
	return changed
}

// concerned reports whether a secret's resource name is that of this secret.
// The service writes the project's number there, where the place may have its
// id; which number that is the first answer tells.
func (p *Provider) concerned(name string) bool {
	secret, version, ok := gcpclient.ParseVersion(name)
	if !ok || version != "" {
		return false
	}
	for _, own := range []*gcpclient.Secret{&p.secret, p.known.Load()} {
		if own != nil && own.Comparable(secret) {
			return *own == secret
		}
	}
	return p.secret.Location == secret.Location && p.secret.ID == secret.ID
}

// announce remembers a version that was added, so that a Fetch which comes
// before the service's own latest has caught up can ask for it by number. The
// attribute holds the version's resource name.
func (p *Provider) announce(name string) {
	_, version, ok := gcpclient.ParseVersion(name)
	number := gcpclient.Number(version)
	if !ok || number == 0 {
		return
	}
	for {
		old := p.announced.Load()
		if old >= number || p.announced.CompareAndSwap(old, number) {
			return
		}
	}
}
