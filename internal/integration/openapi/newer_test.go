package openapi

import "testing"

// addNewer adds what OpenAI's SDK has and the description (of 2026-08-21) has
// not yet: keys that expire (openai-go 3.57.0) and the update of a key (3.78.0,
// 3.79.0). What the description has by now is a finding: it is to be removed
// here.
func (d *description) addNewer(tb testing.TB) {
	tb.Helper()
	expires := object{"anyOf": []any{object{"type": "integer"}, object{"type": "null"}}}
	lifetime := object{"anyOf": []any{object{"type": "integer", "minimum": 1, "maximum": 31536000}, object{"type": "null"}}}
	for schema, property := range map[string]struct {
		name string
		spec object
	}{
		"ProjectApiKey":                         {"expires_at", expires},
		"ServiceAccountApiKeyBody":              {"expires_at", expires},
		"ProjectServiceAccountApiKey":           {"expires_at", expires},
		"ProjectServiceAccountCreateRequest":    {"expires_in_seconds", lifetime},
		"CreateProjectServiceAccountApiKeyBody": {"expires_in_seconds", lifetime},
	} {
		properties := d.at("components", "schemas", schema, "properties")
		if properties[property.name] != nil {
			tb.Errorf("the description has %s of %s by now", property.name, schema)
		}
		properties[property.name] = property.spec
	}
	key := d.at("paths", "/organization/projects/{project_id}/api_keys/{api_key_id}")
	if key["post"] != nil {
		tb.Error("the description has the update of a key by now")
	}
	jsonOf := func(schema object) object {
		return object{"content": object{"application/json": object{"schema": schema}}}
	}
	update := jsonOf(object{"type": "object", "minProperties": 1, "properties": object{
		"scopes":             object{"type": "array", "items": object{"type": "string"}},
		"expires_in_seconds": object{"type": "integer", "minimum": 1, "maximum": 31536000},
	}})
	update["required"] = true
	key["post"] = object{
		"parameters": key["get"].(object)["parameters"], "requestBody": update,
		"responses": object{"200": jsonOf(object{"$ref": "#/components/schemas/ProjectApiKey"})},
	}
}
