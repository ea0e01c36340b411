package transport

// Conventions name the version of OpenTelemetry's conventions for generative AI
// whose names spans and metrics have. They are in development, and backends
// follow at their own pace.
type Conventions int

const (
	// GenAILatest is the newest published version: v0.1.0 of the repository
	// semantic-conventions-genai.
	GenAILatest Conventions = iota

	// GenAI141 is v1.41, the last one in the core conventions, with one
	// histogram gen_ai.client.token.usage and gen_ai.client.operation.duration.
	GenAI141

	// GenAIBoth is both, for a time of migration: metrics under either name and
	// attributes under either key.
	GenAIBoth
)

func (c Conventions) latest() bool { return c != GenAI141 }
func (c Conventions) old() bool    { return c != GenAILatest }
