package gcpsm

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// replies is a service by version: a secret, or an error.
type replies map[string]any

func (r replies) access(name string) (*secretmanagerpb.AccessSecretVersionResponse, error) {
	version := name[strings.LastIndex(name, "/")+1:]
	switch reply := r[version].(type) {
	case error:
		return nil, reply
	case *secretmanagerpb.AccessSecretVersionResponse:
		return reply, nil
	case string:
		return payload(version, reply), nil
	}
	return nil, status.Errorf(codes.NotFound, "no %s", version)
}

var disabled = status.Error(codes.FailedPrecondition, "Secret Version [x] is in DISABLED state.")

// latest may answer with a version that is older than one known to exist.
func TestFetchLagging(t *testing.T) {
	six, seven := keyprovidertest.NewSecret(), keyprovidertest.NewSecret()
	lagging := payload("6", six)
	for _, tt := range []struct {
		name      string
		held      keyprovider.Version
		announced int64
		replies   replies
		want      string // a version, or an error's text
		calls     int
	}{
		{"in step", "6", 0, replies{"latest": lagging}, "6", 1},
		{"ahead", "5", 0, replies{"latest": lagging}, "6", 1},
		{"an unknown version held", "fp-0123456789ab", 0, replies{"latest": lagging}, "6", 1},
		{"behind what is held", "7", 0, replies{"latest": lagging, "7": seven}, "7", 2},
		{"behind what was announced", "6", 7, replies{"latest": lagging, "7": seven}, "7", 2},
		{"refused, and behind", "", 7, replies{"latest": lagging, "7": seven}, "7", 2},
		{"made anew", "7", 0, replies{"latest": lagging}, "6", 2},
		{"announced falsely", "6", 99, replies{"latest": lagging}, "6", 2},
		{"disabled meanwhile", "7", 0, replies{"latest": lagging, "7": disabled}, "not found: FAILED_PRECONDITION", 2},
		{"denied meanwhile", "7", 0, replies{"latest": lagging, "7": status.Error(codes.PermissionDenied, "")}, "access denied", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &service{access: tt.replies.access}
			p := provide(t, s, place, Options{})
			p.announced.Store(tt.announced)
			key, err := p.Fetch(t.Context(), tt.held)
			if strings.Contains(tt.want, " ") {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("Fetch: %v, want %q", err, tt.want)
				}
			} else {
				wantKey(t, key, err, keyprovider.Version(tt.want), map[string]string{"6": six, "7": seven}[tt.want])
			}
			if got := s.take(); len(got) != tt.calls {
				t.Errorf("calls %q, want %d", got, tt.calls)
			}
			if tt.announced == 99 && p.announced.Load() != 0 {
				t.Error("a false announcement is remembered")
			}
		})
	}
	t.Run("held for long", func(t *testing.T) {
		answers := replies{"latest": payload("7", seven), "7": seven}
		p := provide(t, &service{access: func(name string) (*secretmanagerpb.AccessSecretVersionResponse, error) { return answers.access(name) }}, place, Options{})
		key, err := p.Fetch(t.Context(), "")
		wantKey(t, key, err, "7", seven)
		answers["latest"] = lagging
		if _, err := p.Fetch(t.Context(), "7"); !errors.Is(err, keyprovider.ErrNotModified) {
			t.Errorf("Fetch while latest lags behind: %v, want ErrNotModified", err)
		}
	})
	t.Run("an alias may go back", func(t *testing.T) {
		s := &service{access: replies{"prod": lagging, "7": seven}.access}
		p := provide(t, s, place+"/versions/prod", Options{})
		p.announced.Store(7)
		key, err := p.Fetch(t.Context(), "7")
		wantKey(t, key, err, "6", six)
	})
}

func TestFetchNewestEnabled(t *testing.T) {
	nine, eleven := keyprovidertest.NewSecret(), keyprovidertest.NewSecret()
	versions := func(numbers ...int) []*secretmanagerpb.SecretVersion {
		var list []*secretmanagerpb.SecretVersion
		for _, n := range numbers {
			list = append(list, &secretmanagerpb.SecretVersion{Name: fmt.Sprintf("%s/versions/%d", answered, n)})
		}
		return list
	}
	pages := func(req *secretmanagerpb.ListSecretVersionsRequest) (*secretmanagerpb.ListSecretVersionsResponse, error) {
		if req.GetPageToken() == "" {
			return &secretmanagerpb.ListSecretVersionsResponse{Versions: versions(9, 2), NextPageToken: "more"}, nil
		}
		return &secretmanagerpb.ListSecretVersionsResponse{Versions: versions(11, 10)}, nil
	}
	one := func(*secretmanagerpb.ListSecretVersionsRequest) (*secretmanagerpb.ListSecretVersionsResponse, error) {
		return &secretmanagerpb.ListSecretVersionsResponse{Versions: versions(9)}, nil
	}
	list := "list " + place + " state:ENABLED"
	latest := "access " + place + "/versions/latest"
	for _, tt := range []struct {
		name    string
		held    keyprovider.Version
		replies replies
		list    func(*secretmanagerpb.ListSecretVersionsRequest) (*secretmanagerpb.ListSecretVersionsResponse, error)
		want    string
		calls   []string
	}{
		{"latest is enabled", "", replies{"latest": payload("9", nine)}, nil, "9", []string{latest}},
		{"latest is disabled", "", replies{"latest": disabled, "9": nine}, one, "9", []string{latest, list, "access " + place + "/versions/9"}},
		{"over pages, in any order", "", replies{"latest": disabled, "11": eleven}, pages, "11",
			[]string{latest, list, list, "access " + place + "/versions/11"}},
		{"latest lags behind a disabled one", "10", replies{"latest": payload("9", nine), "10": disabled, "9": nine}, one, "9",
			[]string{latest, "access " + place + "/versions/10", list, "access " + place + "/versions/9"}},
		{"none is enabled", "", replies{"latest": disabled}, func(*secretmanagerpb.ListSecretVersionsRequest) (*secretmanagerpb.ListSecretVersionsResponse, error) {
			return &secretmanagerpb.ListSecretVersionsResponse{}, nil
		}, "not found: no version of the secret is enabled", []string{latest, list}},
		{"may not list", "", replies{"latest": disabled}, func(*secretmanagerpb.ListSecretVersionsRequest) (*secretmanagerpb.ListSecretVersionsResponse, error) {
			return nil, status.Error(codes.PermissionDenied, "")
		}, "access denied: PERMISSION_DENIED: the latest version is disabled or destroyed, and finding", []string{latest, list}},
		{"disabled meanwhile", "", replies{"latest": disabled, "9": disabled}, one, "not found: FAILED_PRECONDITION",
			[]string{latest, list, "access " + place + "/versions/9"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &service{access: tt.replies.access, list: tt.list}
			key, err := provide(t, s, place, Options{NewestEnabled: true}).Fetch(t.Context(), tt.held)
			if strings.Contains(tt.want, " ") {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("Fetch: %v, want %q", err, tt.want)
				}
			} else {
				wantKey(t, key, err, keyprovider.Version(tt.want), map[string]string{"9": nine, "11": eleven}[tt.want])
			}
			if got := s.take(); !slices.Equal(got, tt.calls) {
				t.Errorf("calls %q\nwant  %q", got, tt.calls)
			}
		})
	}
}
