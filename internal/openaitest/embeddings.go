package openaitest

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"strings"
)

type embeddingsRequest struct {
	Model          string          `json:"model"`
	Input          json.RawMessage `json:"input"`
	EncodingFormat string          `json:"encoding_format"`
	Dimensions     *int            `json:"dimensions"`
}

type embeddingList struct {
	Object string         `json:"object"`
	Data   []embedding    `json:"data"`
	Model  string         `json:"model"`
	Usage  embeddingUsage `json:"usage"`
}

type embedding struct {
	Object    string `json:"object"`
	Index     int    `json:"index"`
	Embedding any    `json:"embedding"` // []float32, or a string of base64
}

type embeddingUsage struct {
	PromptTokens int `json:"prompt_tokens"`
	TotalTokens  int `json:"total_tokens"`
}

func (c *call) embeddings() {
	var req embeddingsRequest
	if !c.decode(&req) || !c.checkModel(req.Model) {
		return
	}
	inputs, count, ok := embeddingInputs(req.Input)
	if !ok {
		c.fail(invalidParameter("input", "invalid_type", "expected a string, a list of strings, a list of tokens, or a list of lists of tokens."))
		return
	}
	if len(inputs) == 0 || len(inputs) > 2048 {
		c.fail(invalidParameter("input", "invalid_value", "expected from 1 to 2048 inputs."))
		return
	}
	size := 1536
	if strings.HasSuffix(req.Model, "-large") {
		size = 3072
	}
	if req.Dimensions != nil {
		if *req.Dimensions < 1 || *req.Dimensions > size {
			c.fail(invalidParameter("dimensions", "invalid_value", fmt.Sprintf("expected an integer from 1 to %d.", size)))
			return
		}
		size = *req.Dimensions
	}
	list := embeddingList{Object: "list", Model: req.Model, Usage: embeddingUsage{PromptTokens: count, TotalTokens: count}}
	for i, input := range inputs {
		item := embedding{Object: "embedding", Index: i}
		switch vec := vector(input, size); req.EncodingFormat {
		case "", "float":
			item.Embedding = vec
		case "base64":
			item.Embedding = encodeVector(vec)
		default:
			c.fail(invalidParameter("encoding_format", "invalid_value", "supported values are 'float' and 'base64'."))
			return
		}
		list.Data = append(list.Data, item)
	}
	c.spend(count, 0)
	c.json(list)
}

// embeddingInputs returns the inputs, each as something to hash, and their
// tokens.
func embeddingInputs(raw json.RawMessage) (inputs []string, count int, ok bool) {
	var one string
	var texts []string
	var toks []int
	var lists [][]int
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return nil, 0, false
	case json.Unmarshal(raw, &one) == nil:
		texts = []string{one}
	case json.Unmarshal(raw, &texts) == nil:
	case json.Unmarshal(raw, &toks) == nil:
		lists, texts = [][]int{toks}, nil
	case json.Unmarshal(raw, &lists) == nil:
		texts = nil
	default:
		return nil, 0, false
	}
	for _, text := range texts {
		inputs = append(inputs, text)
		count += countTokens(text)
	}
	for _, list := range lists {
		inputs = append(inputs, fmt.Sprint(list))
		count += len(list)
	}
	return inputs, count, true
}

// vector returns a unit vector that depends on the input alone.
func vector(input string, size int) []float32 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(input))
	state, sum := h.Sum64(), 0.0
	vec := make([]float32, size)
	for i := range vec {
		state += 0x9e3779b97f4a7c15 // splitmix64
		z := state
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		v := float64(int64(z^z>>31)) / math.MaxInt64
		vec[i], sum = float32(v), sum+v*v
	}
	norm := float32(math.Sqrt(sum))
	for i := range vec {
		vec[i] /= norm
	}
	return vec
}

// encodeVector writes the floats little-endian, in base64.
func encodeVector(vec []float32) string {
	buf := make([]byte, 0, 4*len(vec))
	for _, v := range vec {
		buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
	}
	return base64.StdEncoding.EncodeToString(buf)
}
