package openapi

import (
	"bytes"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

type object = map[string]any

// A description is OpenAI's, read to be checked against.
type description struct {
	doc      object
	compiler *jsonschema.Compiler
}

const resource = "https://openai.invalid/openai.json"

// load reads the description that the environment names, or skips the test.
func load(tb testing.TB) *description {
	tb.Helper()
	path := os.Getenv("KEYBEARER_OPENAPI")
	if path == "" {
		tb.Skip("KEYBEARER_OPENAPI does not name OpenAI's API description (openai.json): see the package's documentation")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		tb.Fatal(err)
	}
	doc, ok := parsed.(object)
	if !ok || doc["openapi"] == nil {
		tb.Fatalf("%s is no OpenAPI description", path)
	}
	d := &description{doc: doc, compiler: jsonschema.NewCompiler()}
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.addNewer(tb)
	closeObjects(d.at("components", "schemas"), false)
	closeObjects(d.at("paths"), false)
	if err := d.compiler.AddResource(resource, doc); err != nil {
		tb.Fatal(err)
	}
	return d
}

// closeObjects makes a member that a schema does not name an error. Parts of an
// allOf each see the members of the others, and stay open.
func closeObjects(v any, open bool) {
	switch v := v.(type) {
	case object:
		// Some validators check nothing where these stand.
		delete(v, "nullable")
		delete(v, "discriminator")
		if _, isSchema := v["properties"].(object); isSchema && v["type"] == "object" && v["additionalProperties"] == nil && !open {
			v["additionalProperties"] = false
		}
		for name, member := range v {
			closeObjects(member, name == "allOf")
		}
	case []any:
		for _, item := range v {
			closeObjects(item, open)
		}
	}
}

// at returns the object at a path of names. It panics where there is none.
func (d *description) at(path ...string) object {
	at := d.doc
	for _, name := range path {
		at = at[name].(object)
	}
	return at
}

// An operation is a method of a path.
type operation struct {
	name    string // "GET /organization/projects/{project_id}/api_keys"
	pointer string // to it, as JSON pointers are written
	spec    object
}

// find returns the operation of a request.
func (d *description) find(method, path string) (operation, error) {
	segments := strings.Split(strings.TrimPrefix(path, "/v1"), "/")
	for _, template := range slices.Sorted(maps.Keys(d.at("paths"))) {
		if !fits(strings.Split(template, "/"), segments) {
			continue
		}
		spec, ok := d.at("paths", template)[strings.ToLower(method)].(object)
		if !ok {
			return operation{}, fmt.Errorf("%s has no %s", template, method)
		}
		pointer := "#/paths/" + strings.ReplaceAll(strings.ReplaceAll(template, "~", "~0"), "/", "~1") + "/" + strings.ToLower(method)
		return operation{method + " " + template, pointer, spec}, nil
	}
	return operation{}, fmt.Errorf("there is no path %s", path)
}

func fits(template, segments []string) bool {
	return slices.EqualFunc(template, segments, func(t, s string) bool { return t == s || strings.HasPrefix(t, "{") && s != "" })
}

// checkQuery holds a query to the operation's parameters.
func (d *description) checkQuery(op operation, query url.Values) error {
	known := map[string]string{}
	parameters, _ := op.spec["parameters"].([]any)
	for i, p := range parameters {
		parameter := p.(object)
		if parameter["in"] != "query" {
			continue
		}
		name := parameter["name"].(string)
		known[name] = fmt.Sprintf("%s/parameters/%d/schema", op.pointer, i)
		if parameter["required"] == true && !query.Has(name) {
			return fmt.Errorf("the query lacks %s", name)
		}
	}
	for name, values := range query {
		schema, ok := known[strings.TrimSuffix(name, "[]")]
		if !ok {
			return fmt.Errorf("the query has an unknown %s", name)
		}
		value := scalar(values[0])
		if strings.HasSuffix(name, "[]") {
			list := make([]any, len(values))
			for i, v := range values {
				list[i] = v
			}
			value = list
		} else if len(values) > 1 {
			return fmt.Errorf("the query has %s twice", name)
		}
		if err := d.validate(schema, value); err != nil {
			return fmt.Errorf("the query's %s: %w", name, err)
		}
	}
	return nil
}

// scalar is a value of a query as JSON has it.
func scalar(s string) any {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n
	}
	return s
}

// checkRequest holds a request's body to the operation.
func (d *description) checkRequest(op operation, body []byte) error {
	spec, has := op.spec["requestBody"].(object)
	switch {
	case !has && len(body) > 0:
		return fmt.Errorf("the request has a body")
	case !has, len(body) == 0 && spec["required"] != true:
		return nil
	}
	return d.validateJSON(op.pointer+"/requestBody/content/application~1json/schema", body)
}

// checkAnswer holds an answer's body to the operation. The description lists few
// errors: all have the one form.
func (d *description) checkAnswer(op operation, status int, body []byte) error {
	if status >= 400 {
		return d.validateJSON("#/components/schemas/ErrorResponse", body)
	}
	if _, ok := op.spec["responses"].(object)[strconv.Itoa(status)]; !ok {
		return fmt.Errorf("status %d is not described", status)
	}
	return d.validateJSON(fmt.Sprintf("%s/responses/%d/content/application~1json/schema", op.pointer, status), body)
}

func (d *description) validateJSON(pointer string, body []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return d.validate(pointer, value)
}

func (d *description) validate(pointer string, value any) error {
	schema, err := d.compiler.Compile(resource + pointer)
	if err != nil {
		return err
	}
	return schema.Validate(value)
}
