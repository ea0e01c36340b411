package leak

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"log"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// formats are every verb of fmt, a few that it does not know, and each flag.
var formats = func() (all []string) {
	for _, flags := range []string{"", "+", "#", "-", " ", "0", "+#", "# ", "3", ".3", "200.100"} {
		for _, verb := range "vTtbcdoOqxXUeEfFgGspwyZ" {
			all = append(all, "%"+flags+string(verb))
		}
	}
	return append(all, "%", "%!", "%[1]v", "%[2]v", "%*d", "%v %v")
}()

// A printer writes a value somewhere.
type printer struct {
	name  string
	print func(w io.Writer, v any)
}

var printers = []printer{
	{"fmt's verbs", func(w io.Writer, v any) {
		for _, format := range formats {
			fmt.Fprintf(w, format+"\n", v)
		}
	}},
	{"fmt.Println", func(w io.Writer, v any) { fmt.Fprintln(w, v, &v); fmt.Fprint(w, v, v) }},
	{"fmt.Errorf", func(w io.Writer, v any) { fmt.Fprint(w, fmt.Errorf("%v %+v %w", v, v, io.EOF)) }},
	{"log", func(w io.Writer, v any) {
		l := log.New(w, "", log.LstdFlags|log.Llongfile)
		l.Print(v)
		l.Printf("%+v %#v", v, v)
		l.Println(v)
	}},
	{"log's panic", func(w io.Writer, v any) {
		defer func() { fmt.Fprint(w, recover()) }()
		log.New(w, "", 0).Panicln(v)
	}},
	{"panic", func(w io.Writer, v any) {
		defer func() {
			r := recover()
			fmt.Fprintf(w, "%v %+v %#v", r, r, r)
		}()
		panic(v)
	}},
	{"slog text", func(w io.Writer, v any) { logTo(slog.NewTextHandler(w, nil), v) }},
	{"slog JSON", func(w io.Writer, v any) { logTo(slog.NewJSONHandler(w, nil), v) }},
	{"encoding/json", func(w io.Writer, v any) {
		json.NewEncoder(w).Encode(v)
		b, err := json.MarshalIndent(map[string]any{"v": v}, "", " ")
		fmt.Fprint(w, string(b), err)
	}},
	{"encoding/xml", func(w io.Writer, v any) { fmt.Fprint(w, xml.NewEncoder(w).Encode(v)) }},
	{"encoding/gob", func(w io.Writer, v any) { fmt.Fprint(w, gob.NewEncoder(w).Encode(v)) }},
	{"text/template", func(w io.Writer, v any) {
		t := template.Must(template.New("").Parse("{{.}} {{printf `%v %+v %#v` . . .}} {{js .}} {{html .}} {{urlquery .}} {{print .}}"))
		fmt.Fprint(w, t.Execute(w, v))
	}},
	{"html/template", func(w io.Writer, v any) {
		t := htmltemplate.Must(htmltemplate.New("").Parse("<p title='{{.}}'>{{.}}<script>x = {{.}}</script>"))
		fmt.Fprint(w, t.Execute(w, v))
	}},
}

func logTo(h slog.Handler, v any) {
	l := slog.New(h)
	l.Info("x", "v", v, slog.Any("any", v), slog.Group("g", "v", v))
	l.With("v", v).WithGroup("g").Error("x", "v", &v)
	if err, ok := v.(error); ok {
		l.Error("x", "err", errors.Join(io.EOF, err))
	}
}

// TestNothingShowsAKey is the leak matrix for the printers of the standard library.
func TestNothingShowsAKey(t *testing.T) {
	w := New(t)
	for _, s := range w.Subjects {
		t.Run(s.Name, func(t *testing.T) {
			for _, held := range s.Held() {
				for _, p := range printers {
					check(t, w, held, p)
				}
				// What no method stands before: all that a dumper could reach.
				if places := Reach(held.Value, w.Secrets...); len(places) > 0 {
					t.Errorf("%s: the key can be reached at %v", held.Name, places)
				}
			}
		})
	}
}

// TestCausesShowNoKey: an error whose cause quotes the key keeps it to itself
// where it is asked for its text, as every error is that is printed or encoded.
// That of a Reason cannot even be reached without asking for it.
func TestCausesShowNoKey(t *testing.T) {
	w := New(t)
	for _, s := range w.Causes {
		t.Run(s.Name, func(t *testing.T) {
			for _, p := range printers {
				check(t, w, s, p)
				check(t, w, Subject{s.Name + " in a slice", []any{s.Value}}, p)
				check(t, w, Subject{s.Name + " in a field", struct{ Err any }{s.Value}}, p)
				check(t, w, Subject{s.Name + " in an unexported field", struct{ err any }{s.Value}}, p)
			}
			if places := Reach(s.Value, w.Secrets...); s.Name == "Error with a Reason" && len(places) > 0 {
				t.Errorf("the key can be reached at %v", places)
			}
		})
	}
}

func check(t *testing.T, w *World, s Subject, p printer) {
	t.Helper()
	var out bytes.Buffer
	func() {
		// gob and xml panic on some types; that is no leak, unless it says too much.
		defer func() {
			if r := recover(); r != nil {
				fmt.Fprintf(&out, "%v", r)
			}
		}()
		p.print(&out, s.Value)
	}()
	if keyprovidertest.Leaks(out.String(), w.Secrets...) {
		t.Errorf("%s shows a key of %s", p.name, s.Name)
	}
}

// TestPrintersFindAKey: each printer and Reach do show a string, so that a
// matrix without findings means something.
func TestPrintersFindAKey(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	w := &World{Secrets: []string{secret}}
	type named struct{ Exported string }
	for _, p := range printers {
		var out bytes.Buffer
		p.print(&out, named{secret})
		if !keyprovidertest.Leaks(out.String(), secret) {
			t.Errorf("%s does not print what it is given: %s", p.name, out.String())
		}
	}
	type inner struct {
		text  string
		bytes []byte
		array [64]byte
		deep  *[]any
	}
	var array [64]byte
	copy(array[:], secret)
	for name, v := range map[string]any{
		"inner.text":  &inner{text: secret},
		"inner.bytes": inner{bytes: []byte("x" + secret)},
		"inner.array": inner{array: array},
		"inner.deep":  []inner{{deep: &[]any{map[string]int{secret: 1}}}},
	} {
		if got := Reach(v, w.Secrets...); !slices.Equal(got, []string{"leak." + name}) {
			t.Errorf("Reach finds %q, want %s", got, name)
		}
	}
	if got := Reach(func() string { return secret }, secret); len(got) > 0 {
		t.Errorf("Reach looks into a function: %v", got)
	}
	self := &inner{}
	self.deep = &[]any{self}
	if got := Reach(self, secret); len(got) > 0 {
		t.Errorf("Reach finds %v in nothing", got)
	}
}

// TestSubjectsArePrinted: the keys are told by what names them.
func TestSubjectsArePrinted(t *testing.T) {
	w := New(t)
	for _, s := range w.Subjects {
		var out strings.Builder
		fmt.Fprintf(&out, "%+v", s.Value)
		if out.Len() == 0 {
			t.Errorf("%s prints as nothing", s.Name)
		}
		if strings.HasPrefix(s.Name, "Key") && !strings.Contains(out.String(), "fingerprint") && s.Name != "Key value" {
			t.Errorf("%s prints as %s, without its fingerprint", s.Name, out.String())
		}
	}
}
