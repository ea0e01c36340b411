package leak

import (
	"maps"
	"reflect"
	"slices"

	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// Reach goes wherever a reflective dumper could go from v, through pointers and
// unexported fields, and returns the places that hold a secret: the type of the
// struct and the field, such as "bufio.Writer.buf". Like every dumper it looks
// into no function, channel or unsafe.Pointer.
func Reach(v any, secrets ...string) []string {
	w := walker{secrets: secrets, seen: map[visit]bool{}, found: map[string]bool{}}
	w.walk(reflect.ValueOf(v), "the value")
	return slices.Sorted(maps.Keys(w.found))
}

type walker struct {
	secrets []string
	seen    map[visit]bool
	found   map[string]bool
}

type visit struct {
	at  uintptr
	len int
	typ reflect.Type
}

// first reports whether this is the first visit to what v points to.
func (w *walker) first(v reflect.Value) bool {
	at := visit{at: v.Pointer(), typ: v.Type()}
	if v.Kind() == reflect.Slice {
		at.len = v.Len()
	}
	if w.seen[at] {
		return false
	}
	w.seen[at] = true
	return true
}

// walk looks into v, which was found at the place.
func (w *walker) walk(v reflect.Value, place string) {
	switch v.Kind() {
	case reflect.String:
		w.look(v.String(), place)
	case reflect.Interface:
		w.walk(v.Elem(), place)
	case reflect.Pointer:
		if !v.IsNil() && w.first(v) {
			w.walk(v.Elem(), place)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			w.walk(v.Field(i), v.Type().String()+"."+v.Type().Field(i).Name)
		}
	case reflect.Map:
		if !v.IsNil() && w.first(v) {
			for it := v.MapRange(); it.Next(); {
				w.walk(it.Key(), place)
				w.walk(it.Value(), place)
			}
		}
	case reflect.Slice:
		if v.IsNil() || !w.first(v) {
			return
		}
		if v.Type().Elem().Kind() == reflect.Uint8 {
			w.look(string(v.Bytes()), place)
			return
		}
		w.elements(v, place)
	case reflect.Array:
		w.elements(v, place)
	}
}

func (w *walker) elements(v reflect.Value, place string) {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		b := make([]byte, v.Len())
		for i := range b {
			b[i] = byte(v.Index(i).Uint())
		}
		w.look(string(b), place)
		return
	}
	for i := range v.Len() {
		w.walk(v.Index(i), place)
	}
}

func (w *walker) look(text, place string) {
	if keyprovidertest.Leaks(text, w.secrets...) {
		w.found[place] = true
	}
}
