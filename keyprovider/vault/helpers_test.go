package vault

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
)

// serve serves a handler over a network and returns its address.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// dumps are what printers make of v, one that looks into unexported fields
// included.
func dumps(v any) []string {
	out := []string{fmt.Sprint(v), fmt.Sprintf("%+v", v), fmt.Sprintf("%#v", v), fmt.Sprintf("%x", v)}
	if b, err := json.Marshal(v); err == nil {
		out = append(out, string(b))
	}
	var deep string
	walk(reflect.ValueOf(v), 0, map[uintptr]bool{}, &deep)
	return append(out, deep)
}

func walk(v reflect.Value, depth int, seen map[uintptr]bool, out *string) {
	if depth > 20 {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() || seen[v.Pointer()] {
			return
		}
		seen[v.Pointer()] = true
		walk(v.Elem(), depth+1, seen, out)
	case reflect.Interface:
		walk(v.Elem(), depth+1, seen, out)
	case reflect.Struct:
		for i := range v.NumField() {
			walk(v.Field(i), depth+1, seen, out)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			walk(v.Index(i), depth+1, seen, out)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			walk(k, depth+1, seen, out)
			walk(v.MapIndex(k), depth+1, seen, out)
		}
	case reflect.String:
		*out += v.String() + "\n"
	}
}
