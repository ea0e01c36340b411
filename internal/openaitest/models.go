package openaitest

import (
	"encoding/json"
	"slices"
)

var defaultModels = []string{
	"gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-5", "gpt-5-mini",
	"text-embedding-3-large", "text-embedding-3-small", "text-embedding-ada-002",
}

type model struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

func newModel(id string) model {
	return model{ID: id, Object: "model", Created: 1715367049, OwnedBy: "system"}
}

type modelList struct {
	ids  []string
	list json.RawMessage // rendered once: a probe asks for it often
}

func (m *modelList) init(ids []string) {
	if ids == nil {
		ids = defaultModels
	}
	m.ids = slices.Clone(ids)
	data := make([]model, 0, len(ids))
	for _, id := range m.ids {
		data = append(data, newModel(id))
	}
	m.list, _ = json.Marshal(map[string]any{"object": "list", "data": data})
}

func (m *modelList) has(id string) bool { return slices.Contains(m.ids, id) }

func (c *call) listModels() { c.raw(c.s.models.list) }

func (c *call) getModel() {
	id := c.r.PathValue("model")
	if !c.s.models.has(id) {
		c.fail(modelNotFound(id))
		return
	}
	c.json(newModel(id))
}

// checkModel answers a request whose model is missing or unknown, and reports
// whether the call goes on. Azure names a deployment in the path instead.
func (c *call) checkModel(id string) bool {
	switch {
	case c.r.PathValue("deployment") != "":
		return true
	case id == "":
		c.fail(missingModel())
		return false
	case !c.s.models.has(id):
		c.fail(modelNotFound(id))
		return false
	}
	return true
}
