package vaultstore

import (
	"net"
	"net/url"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/keybearer/keybearer/keyprovider"
)

// name is what the Store is called: where the server is, the path with its
// mount, and, where they are set, the namespace and the field. No other place
// has the same name, as long as the address is the server's own.
func (o *Options) name(client *api.Client, path string) string {
	server := o.Server
	if server == "" {
		server = address(client)
	}
	name := "vault:" + server + "/" + path
	separator := "?"
	for _, part := range []struct{ name, value string }{
		{"namespace", strings.Trim(client.Namespace(), "/")},
		{"field", o.Field},
	} {
		if part.value == "" || part.name == "field" && part.value == keyprovider.DefaultField {
			continue
		}
		name += separator + part.name + "=" + url.QueryEscape(part.value)
		separator = "&"
	}
	return name
}

// address is the client's, in one spelling, and without what a user may have
// put into it that is no address.
func address(client *api.Client) string {
	configured := client.CloneConfig().Address
	if strings.HasPrefix(configured, "unix://") {
		return configured
	}
	u, err := url.Parse(client.Address())
	if err != nil {
		return "unknown"
	}
	scheme, host, port := strings.ToLower(u.Scheme), strings.ToLower(u.Hostname()), u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[scheme]
	}
	return scheme + "://" + net.JoinHostPort(host, port) + strings.TrimRight(u.Path, "/")
}
