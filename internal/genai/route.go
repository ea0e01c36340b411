package genai

import (
	"net/http"
	"strings"
)

// A Route is an operation of OpenAI's API.
type Route struct {
	// Path is OpenAI's own path, whatever prefix a host puts in its place.
	Path string

	// Operation is the value of gen_ai.operation.name. The conventions have no
	// word for moderations, which is called "moderation" here.
	Operation string

	// API is the value of openai.api.type, "" for what the conventions do not
	// name.
	API string

	// Output is the value of gen_ai.output.type that follows from the route
	// alone, or "".
	Output string

	// Inference is false for embeddings and moderations, for which the
	// conventions have other metrics.
	Inference bool
}

// routes by the end of the path, since compatible hosts have all kinds of
// prefixes: /v1, /openai/v1, /api/v1, /v1beta/openai.
var routes = map[string]*Route{
	"chat/completions":     {Path: "/v1/chat/completions", Operation: "chat", API: "chat_completions", Inference: true},
	"completions":          {Path: "/v1/completions", Operation: "text_completion", Inference: true},
	"responses":            {Path: "/v1/responses", Operation: "chat", API: "responses", Inference: true},
	"embeddings":           {Path: "/v1/embeddings", Operation: "embeddings"},
	"moderations":          {Path: "/v1/moderations", Operation: "moderation"},
	"images/generations":   {Path: "/v1/images/generations", Operation: "generate_content", Output: "image", Inference: true},
	"images/edits":         {Path: "/v1/images/edits", Operation: "generate_content", Output: "image", Inference: true},
	"images/variations":    {Path: "/v1/images/variations", Operation: "generate_content", Output: "image", Inference: true},
	"audio/speech":         {Path: "/v1/audio/speech", Operation: "generate_content", Output: "speech", Inference: true},
	"audio/transcriptions": {Path: "/v1/audio/transcriptions", Operation: "generate_content", Output: "text", Inference: true},
	"audio/translations":   {Path: "/v1/audio/translations", Operation: "generate_content", Output: "text", Inference: true},
}

// Find returns the operation of a request, or nil if it is none. deployment is
// the one that a path of Azure's names, else "".
func Find(method, path string) (r *Route, deployment string) {
	if method != http.MethodPost {
		return nil, ""
	}
	path = strings.TrimSuffix(path, "/")
	slash := strings.LastIndexByte(path, '/')
	if slash < 0 {
		return nil, ""
	}
	last, group := path[slash+1:], ""
	if before := strings.LastIndexByte(path[:slash], '/'); before >= 0 {
		group = path[before+1:]
	}
	if r = routes[group]; r == nil {
		if r = routes[last]; r == nil {
			return nil, ""
		}
		group = last
	}
	return r, azureDeployment(strings.TrimSuffix(path, group))
}

const deployments = "/openai/deployments/"

// azureDeployment returns the name in "/openai/deployments/{name}/".
func azureDeployment(prefix string) string {
	_, rest, ok := strings.Cut(prefix, deployments)
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}
