package genai

import "strings"

// hosts are those of services whose gen_ai.provider.name the conventions know.
// A name that begins with a dot or a dash stands for all that end in it.
var hosts = []struct{ host, provider string }{
	{"api.openai.com", "openai"},
	{".api.openai.com", "openai"},
	{".openai.azure.com", "azure.ai.openai"},
	{".cognitiveservices.azure.com", "azure.ai.openai"},
	{".openai.azure.us", "azure.ai.openai"},
	{".services.ai.azure.com", "azure.ai.inference"},
	{".inference.ai.azure.com", "azure.ai.inference"},
	{".models.ai.azure.com", "azure.ai.inference"},
	{"api.anthropic.com", "anthropic"},
	{"generativelanguage.googleapis.com", "gcp.gemini"},
	{"aiplatform.googleapis.com", "gcp.vertex_ai"},
	{"-aiplatform.googleapis.com", "gcp.vertex_ai"},
	{".amazonaws.com", "aws.bedrock"},
	{".api.aws", "aws.bedrock"},
	{"api.cohere.ai", "cohere"},
	{"api.cohere.com", "cohere"},
	{"api.deepseek.com", "deepseek"},
	{"api.groq.com", "groq"},
	{".ml.cloud.ibm.com", "ibm.watsonx.ai"},
	{"api.mistral.ai", "mistral_ai"},
	{"api.moonshot.ai", "moonshot_ai"},
	{"api.moonshot.cn", "moonshot_ai"},
	{"api.perplexity.ai", "perplexity"},
	{"api.x.ai", "x_ai"},
}

// Provider returns the gen_ai.provider.name for a host in lower case. For one
// that is not known it is "openai", because the attribute names the flavour of
// the telemetry, and that is OpenAI's.
func Provider(host string) string {
	for _, h := range hosts {
		below := h.host[0] == '.' || h.host[0] == '-'
		if host == h.host || below && strings.HasSuffix(host, h.host) {
			return h.provider
		}
	}
	return "openai"
}
