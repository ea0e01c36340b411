package awsstore

import (
	"encoding/json"
	"errors"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/internal/awsclient/awsfake"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation/rotationtest"
)

// policy is what of an IAM policy is looked at here.
type policy struct {
	Version   string
	Statement []struct {
		Sid, Effect      string
		Action, Resource list
		Condition        map[string]map[string]string
	}
}

// list is a string or an array of strings.
type list []string

func (l *list) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*l = list{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(l))
}

// documented returns a policy of docs/aws.md.
func documented(t *testing.T, name string) policy {
	t.Helper()
	page, err := os.ReadFile("../../docs/aws.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)<!-- tested: " + name + " -->\n```json\n(.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatalf("docs/aws.md has no policy for the %s", name)
	}
	var p policy
	if err := json.Unmarshal(block[1], &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// allows judges as IAM does, as far as these policies go.
func (p policy) allows(operation, arn string) bool {
	for _, s := range p.Statement {
		if s.Effect == "Allow" && slices.Contains(s.Action, "secretsmanager:"+operation) && slices.ContainsFunc(s.Resource, func(pattern string) bool {
			// In a pattern of path.Match nothing but these stands for anything.
			ok, err := path.Match(strings.ReplaceAll(pattern, "/", "|"), strings.ReplaceAll(arn, "/", "|"))
			return err == nil && ok
		}) {
			return true
		}
	}
	return false
}

// enforce makes the service refuse what the policy does not allow.
func (p policy) enforce(server *awsfake.Server, arns map[string]string) {
	server.Intercept(func(operation, secret string) *awsfake.Refusal {
		for name, arn := range arns {
			if (secret == name || secret == arn || secret == arn[:len(arn)-7]) && p.allows(operation, arn) {
				return nil
			}
		}
		return &awsfake.Refusal{Status: 400, Code: "AccessDeniedException", Message: "no"}
	})
}

// The policy in the documentation is what a rotator needs, and no more.
func TestDocumentedPolicy(t *testing.T) {
	whole := documented(t, "rotator")
	if err := rotateUnder(t, whole); err != nil {
		t.Fatalf("under the documented policy: %v", err)
	}
	for i := range whole.Statement {
		for n, action := range whole.Statement[i].Action {
			less := documented(t, "rotator")
			less.Statement[i].Action = slices.Delete(less.Statement[i].Action, n, n+1)
			if err := rotateUnder(t, less); !errors.Is(err, keyprovider.ErrDenied) || !strings.Contains(err.Error(), action) {
				t.Errorf("without %s: %v, want ErrDenied that names it", action, err)
			}
		}
		for n, resource := range whole.Statement[i].Resource {
			less := documented(t, "rotator")
			less.Statement[i].Resource = slices.Delete(less.Statement[i].Resource, n, n+1)
			if err := rotateUnder(t, less); !errors.Is(err, keyprovider.ErrDenied) {
				t.Errorf("without %s: %v, want ErrDenied", resource, err)
			}
		}
	}
	// Services see neither the state nor, but for the condition, what is staged.
	reader := documented(t, "reader")
	if reader.allows("PutSecretValue", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/openai-AbCdEf") ||
		reader.allows("GetSecretValue", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/openai.rotation-AbCdEf") ||
		reader.Statement[0].Condition["StringEquals"]["secretsmanager:VersionStage"] != "AWSCURRENT" {
		t.Error("the policy for readers allows too much")
	}
}

// rotateUnder does what rotations do, with a role of this policy.
func rotateUnder(t *testing.T, p policy) error {
	server := &awsfake.Server{}
	p.enforce(server, map[string]string{secretName: server.Make(secretName), secretName + stateSuffix: server.Make(secretName + stateSuffix)})
	s, err := New(t.Context(), secretName, &Options{Client: newClient(server)})
	if err != nil {
		return err
	}
	issuer := rotationtest.NewService().Issuer("svc_1")
	for _, name := range []string{"one", "two"} {
		_, from, err := s.State(t.Context())
		if err == nil || errors.Is(err, keyprovider.ErrNotFound) {
			_, err = s.SetState(t.Context(), []byte(name), from)
		}
		if err != nil {
			return err
		}
		k, err := issuer.Issue(t.Context(), name, 1e12)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Stage(t.Context(), k); err != nil {
			return err
		}
		if k, err = s.Staged(t.Context()); err != nil {
			return err
		}
		_, revision, err := s.Current(t.Context())
		if err != nil && !errors.Is(err, keyprovider.ErrNotFound) {
			return err
		}
		if err := errors.Join(s.Promote(t.Context(), k, revision), s.Unstage(t.Context(), k.Fingerprint())); err != nil {
			return err
		}
		if _, err := s.Former(t.Context(), k.Fingerprint()); err != nil {
			return err
		}
	}
	return nil
}
