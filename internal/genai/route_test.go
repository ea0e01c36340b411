package genai

import "testing"

func TestFind(t *testing.T) {
	for _, tt := range []struct {
		method, path    string
		want, operation string
		deployment      string
	}{
		{"POST", "/v1/chat/completions", "/v1/chat/completions", "chat", ""},
		{"POST", "/v1/chat/completions/", "/v1/chat/completions", "chat", ""},
		{"POST", "/chat/completions", "/v1/chat/completions", "chat", ""},
		{"POST", "/v1/completions", "/v1/completions", "text_completion", ""},
		{"POST", "/completions", "/v1/completions", "text_completion", ""},
		{"POST", "/v1/responses", "/v1/responses", "chat", ""},
		{"POST", "/v1/embeddings", "/v1/embeddings", "embeddings", ""},
		{"POST", "/v1/moderations", "/v1/moderations", "moderation", ""},
		{"POST", "/v1/images/generations", "/v1/images/generations", "generate_content", ""},
		{"POST", "/v1/images/edits", "/v1/images/edits", "generate_content", ""},
		{"POST", "/v1/images/variations", "/v1/images/variations", "generate_content", ""},
		{"POST", "/v1/audio/speech", "/v1/audio/speech", "generate_content", ""},
		{"POST", "/v1/audio/transcriptions", "/v1/audio/transcriptions", "generate_content", ""},
		{"POST", "/v1/audio/translations", "/v1/audio/translations", "generate_content", ""},

		{"POST", "/openai/deployments/my-gpt/chat/completions", "/v1/chat/completions", "chat", "my-gpt"},
		{"POST", "/openai/deployments/my-gpt/embeddings", "/v1/embeddings", "embeddings", "my-gpt"},
		{"POST", "/gateway/openai/deployments/x/audio/speech", "/v1/audio/speech", "generate_content", "x"},
		{"POST", "/openai/v1/responses", "/v1/responses", "chat", ""},                   // Azure, Groq
		{"POST", "/api/v1/chat/completions", "/v1/chat/completions", "chat", ""},        // OpenRouter
		{"POST", "/v1beta/openai/chat/completions", "/v1/chat/completions", "chat", ""}, // Gemini

		{"GET", "/v1/chat/completions", "", "", ""},
		{"POST", "/v1/chat/completions/chatcmpl-1", "", "", ""},
		{"POST", "/v1/responses/resp_1/cancel", "", "", ""},
		{"POST", "/v1/responses/compact", "", "", ""},
		{"GET", "/v1/organization/usage/completions", "", "", ""},
		{"POST", "/v1/files", "", "", ""},
		{"POST", "", "", "", ""},
		{"POST", "/", "", "", ""},
	} {
		r, deployment := Find(tt.method, tt.path)
		if r == nil {
			r = &Route{}
		}
		if r.Path != tt.want || r.Operation != tt.operation || deployment != tt.deployment {
			t.Errorf("Find(%s %s) = %q, %q, %q; want %q, %q, %q", tt.method, tt.path, r.Path, r.Operation, deployment, tt.want, tt.operation, tt.deployment)
		}
	}
	if n := testing.AllocsPerRun(100, func() { Find("POST", "/openai/deployments/x/chat/completions") }); n != 0 {
		t.Errorf("Find allocates %v times, want 0", n)
	}
}

func TestProvider(t *testing.T) {
	for host, want := range map[string]string{
		"api.openai.com": "openai", "eu.api.openai.com": "openai", "mtls.api.openai.com": "openai",
		"res.openai.azure.com": "azure.ai.openai", "res.services.ai.azure.com": "azure.ai.inference",
		"api.groq.com": "groq", "api.x.ai": "x_ai", "api.mistral.ai": "mistral_ai",
		"generativelanguage.googleapis.com": "gcp.gemini", "europe-west1-aiplatform.googleapis.com": "gcp.vertex_ai",
		"bedrock-mantle.us-east-1.api.aws": "aws.bedrock",
		"127.0.0.1":                        "openai", "openrouter.ai": "openai", "notapi.x.ai": "openai", "xapi.groq.com": "openai",
	} {
		if got := Provider(host); got != want {
			t.Errorf("Provider(%s) = %s, want %s", host, got, want)
		}
	}
}
