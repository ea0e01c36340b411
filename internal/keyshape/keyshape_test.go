package keyshape

import (
	"crypto/rand"
	"strings"
	"testing"
)

func TestLooks(t *testing.T) {
	random := rand.Text()
	for _, test := range []struct {
		text            string
		looks, prefixed bool
	}{
		{"", false, false},
		{"OPENAI_API_KEY", false, false},
		{"prod/openai", false, false},
		{"secret/data/openai", false, false},
		{"/run/secrets/sk-openai-prod", false, false},
		{"sk-openai-production", false, false},
		{"arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/openai-AbCdEf", false, false},
		{"projects/my-project-123456/secrets/openai/versions/latest", false, false},
		{"sk-" + random, true, true},
		{"sk-proj-" + random, true, true},
		{"Bearer " + "sk-" + random, true, true},
		{"/run/secrets/sk-" + random, true, true},
		{`C:\secrets\sk-` + random, true, true},
		{"env://sk-" + random, true, true},
		{"vault://x?field=" + "eyJ" + random, true, true},
		{"sk-" + strings.Repeat("ab-", 13), true, true},
		{strings.Repeat("0123456789abcdef", 2), true, false},
		{"/tmp/" + strings.Repeat("a1", 20), true, false},
		{strings.Repeat("abcdefgh", 5), false, false},
		{strings.Repeat("12345678", 5), false, false},
	} {
		if got := Looks(test.text); got != test.looks {
			t.Errorf("Looks(%d bytes, %.8q...) = %v, want %v", len(test.text), test.text, got, test.looks)
		}
		if got := Prefixed(test.text); got != test.prefixed {
			t.Errorf("Prefixed(%d bytes, %.8q...) = %v, want %v", len(test.text), test.text, got, test.prefixed)
		}
	}
}
