package clients

import (
	"net/http"
	"testing"

	"github.com/openai/openai-go/v3/option"

	"github.com/keybearer/keybearer/internal/openaitest"
)

const chatPath = "/v1/chat/completions"

// TestOpenAIGoRedirect: within the origin the key goes along. Off it, openai-go
// itself refuses to go, so the stranger is asked nothing.
func TestOpenAIGoRedirect(t *testing.T) {
	s, stranger := newService(t, config{}), newService(t, config{})
	leftover(t)
	client := s.openai(option.WithHeader("Cookie", "session=1"))

	s.Inject(openaitest.Redirect(http.StatusTemporaryRedirect, s.Origin()+chatPath))
	if _, err := client.Chat.Completions.New(t.Context(), chatParams); err != nil {
		t.Fatalf("a redirect within the origin: %v", err)
	}
	s.wantBore("Authorization: Bearer key1", "Authorization: Bearer key1")

	s.Inject(openaitest.Redirect(http.StatusTemporaryRedirect, stranger.Origin()+chatPath))
	if _, err := client.Chat.Completions.New(t.Context(), chatParams); err == nil {
		t.Error("a redirect to a stranger succeeded, want the library's refusal")
	}
	stranger.wantBore()
}

// TestGoOpenAIRedirect: go-openai leaves redirects to http.Client, which follows
// to anywhere. The Transport lets no credential go along, its own or the
// client's.
func TestGoOpenAIRedirect(t *testing.T) {
	for _, status := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			s, stranger := newService(t, config{}), newService(t, config{})
			s.Inject(openaitest.Redirect(status, stranger.Origin()+chatPath))
			if _, err := s.goOpenAI().CreateChatCompletion(t.Context(), goChat); err == nil {
				t.Error("the stranger answered a call without a key, want its refusal")
			}
			s.wantBore("Authorization: Bearer key1")
			stranger.wantBore("")
		})
	}
}
