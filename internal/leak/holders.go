package leak

import (
	"fmt"
	"reflect"
)

// Held returns the subject itself and within whatever a program may hold it in:
// a field, exported or not, a pointer, a slice, a map, an error.
func (s Subject) Held() []Subject {
	v := reflect.ValueOf(s.Value)
	typ := v.Type()
	list := []Subject{s, {s.Name + " as any in a field", struct{ Exported, unexported any }{s.Value, s.Value}}}
	add := func(how string, held reflect.Value) {
		list = append(list, Subject{s.Name + " in " + how, held.Interface()})
	}

	// A field of the subject's own type: printers treat it otherwise than an
	// interface. reflect makes no struct with unexported fields of a type that it
	// has not seen, so the types of the matrix are listed in fields.
	field := reflect.New(reflect.StructOf([]reflect.StructField{{Name: "Exported", Type: typ}}))
	field.Elem().Field(0).Set(v)
	add("a field", field.Elem())
	add("a pointer to a field", field)
	if hidden := unexported(s.Value); hidden != nil {
		add("an unexported field", reflect.ValueOf(hidden).Elem())
		add("a pointer to an unexported field", reflect.ValueOf(hidden))
	}

	pointer := reflect.New(typ)
	pointer.Elem().Set(v)
	add("a pointer", pointer)
	slice := reflect.MakeSlice(reflect.SliceOf(typ), 1, 1)
	slice.Index(0).Set(v)
	add("a slice", slice)
	list = append(list, Subject{s.Name + " in a slice of any", []any{s.Value}})
	byName := reflect.MakeMap(reflect.MapOf(reflect.TypeFor[string](), typ))
	byName.SetMapIndex(reflect.ValueOf("name"), v)
	add("a map", byName)
	if v.Comparable() {
		key := reflect.MakeMap(reflect.MapOf(typ, reflect.TypeFor[int]()))
		key.SetMapIndex(v, reflect.ValueOf(1))
		add("the key of a map", key)
	}
	return append(list,
		Subject{s.Name + " in an error", &Failure{s.Value}},
		Subject{s.Name + " in a wrapped error", fmt.Errorf("call: %w", Failure{s.Value})})
}

// Failure is an error that holds something and prints it.
type Failure struct{ About any }

func (f Failure) Error() string { return fmt.Sprintf("about %v", f.About) }
