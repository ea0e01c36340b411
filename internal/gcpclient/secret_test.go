package gcpclient

import (
	"strings"
	"testing"
)

func TestParseVersion(t *testing.T) {
	for _, tt := range []struct {
		name     string
		secret   Secret
		version  string
		endpoint string
	}{
		{"projects/p/secrets/s", Secret{"p", "", "s"}, "", ""},
		{"projects/42/secrets/S_1-x/versions/9223372036854775807", Secret{"42", "", "S_1-x"}, "9223372036854775807", ""},
		{"projects/p/secrets/s/versions/latest", Secret{"p", "", "s"}, "latest", ""},
		{"projects/p/locations/europe-west4/secrets/s/versions/a", Secret{"p", "europe-west4", "s"}, "a", "secretmanager.europe-west4.rep.googleapis.com:443"},
		{"projects/secrets/secrets/versions/versions/latest", Secret{"secrets", "", "versions"}, "latest", ""},
	} {
		secret, version, ok := ParseVersion(tt.name)
		if !ok || secret != tt.secret || version != tt.version {
			t.Errorf("ParseVersion(%q) = %+v, %q, %t", tt.name, secret, version, ok)
		}
		if got := secret.Endpoint(); got != tt.endpoint {
			t.Errorf("%q: endpoint %q, want %q", tt.name, got, tt.endpoint)
		}
		again := secret.Name()
		if version != "" {
			again = secret.Version(version)
		}
		if again != tt.name {
			t.Errorf("%q becomes %q", tt.name, again)
		}
	}
	for _, name := range []string{"", "/", "projects", "projects/p", "projects/p/secrets", "projects//secrets/s", "/projects/p/secrets/s",
		"projects/p/secrets/s/versions", "projects/p/secrets/s/versions/", "projects/p/secrets/s/versions/0", "projects/p/secrets/s/versions/-1",
		"projects/p/secrets/s/versions/9223372036854775808", "projects/p/secrets/s/versions/1a", "projects/p/secrets/s/versions/1/2",
		"projects/p/locations/secrets/s", "projects/p/locations/a.b/secrets/s", "projects/p/locations/-a/secrets/s", "projects/P/secrets/s",
		"projects/p/secrets/ü", "projects/p/secrets/a b", "projects/../secrets/s", "projects/p/secrets/" + strings.Repeat("s", 256)} {
		if secret, version, ok := ParseVersion(name); ok {
			t.Errorf("ParseVersion(%q) = %+v, %q", name, secret, version)
		}
	}
}

func TestParent(t *testing.T) {
	for s, want := range map[Secret]string{{"p", "", "s"}: "projects/p", {"42", "r1", "s"}: "projects/42/locations/r1"} {
		if got := s.Parent(); got != want || s.Name() != want+"/secrets/s" {
			t.Errorf("%+v: parent %q, name %q, want %q", s, got, s.Name(), want)
		}
	}
}

func TestEndpointUniverse(t *testing.T) {
	if got, want := Service(), "secretmanager.googleapis.com"; got != want {
		t.Errorf("service %q, want %q", got, want)
	}
	t.Setenv("GOOGLE_CLOUD_UNIVERSE_DOMAIN", "example.goog")
	if got, want := (Secret{"p", "r1", "s"}).Endpoint(), "secretmanager.r1.rep.example.goog:443"; got != want {
		t.Errorf("endpoint %q, want %q", got, want)
	}
	if got, want := Service(), "secretmanager.example.goog"; got != want {
		t.Errorf("service %q, want %q", got, want)
	}
}

func TestNumber(t *testing.T) {
	for s, want := range map[string]int64{"": 0, "1": 1, "01": 0, "latest": 0, "9223372036854775807": 1<<63 - 1, "9223372036854775808": 0, "+1": 0} {
		if got := Number(s); got != want {
			t.Errorf("Number(%q) = %d, want %d", s, got, want)
		}
	}
}

func FuzzParseVersion(f *testing.F) {
	f.Add("projects/p/locations/l/secrets/s/versions/7")
	f.Fuzz(func(t *testing.T, name string) {
		secret, version, ok := ParseVersion(name)
		if !ok {
			return
		}
		again := secret.Name()
		if version != "" {
			again = secret.Version(version)
		}
		if again != name {
			t.Errorf("%q becomes %q", name, again)
		}
		if host := secret.Endpoint(); strings.ContainsAny(host, "/@?#%") || secret.Location != "" && !strings.HasSuffix(host, ".rep.googleapis.com:443") {
			t.Errorf("%q: endpoint %q", name, host)
		}
	})
}
