package dumpers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"testing"

	"github.com/davecgh/go-spew/spew"
	goccy "github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/kr/pretty"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	yaml "gopkg.in/yaml.v3"

	"github.com/keybearer/keybearer/internal/leak"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/transport"
)

// A dumper writes a value somewhere.
type dumper struct {
	name string
	// raw: it looks at the fields of an error or at what it wraps, so that it
	// finds what an SDK's error quotes.
	raw  bool
	dump func(w io.Writer, v any)
}

var dumpers = []dumper{
	{"spew", false, func(w io.Writer, v any) {
		spew.Fdump(w, v)
		for _, format := range []string{"%v", "%+v", "%#v", "%#+v", "%s", "%d", "%q", "%x"} {
			spew.Fprintf(w, format, v)
		}
	}},
	{"spew without methods", true, func(w io.Writer, v any) {
		config := spew.ConfigState{Indent: " ", DisableMethods: true, DisablePointerMethods: true, SortKeys: true}
		config.Fdump(w, v)
		config.Fprintf(w, "%+v %#v", v, v)
	}},
	{"kr/pretty", true, func(w io.Writer, v any) {
		pretty.Fprintf(w, "%# v %v %+v", pretty.Formatter(v), pretty.Formatter(v), pretty.Formatter(v))
		fmt.Fprint(w, pretty.Diff(v, other(v)), pretty.Diff(other(v), v))
	}},
	{"cmp, every field", true, func(w io.Writer, v any) {
		all := cmp.Exporter(func(reflect.Type) bool { return true })
		fmt.Fprint(w, cmp.Diff(v, other(v), all), cmp.Diff(other(v), v, all), cmp.Diff(v, nil, all), cmp.Equal(v, v, all))
	}},
	{"cmp, our fields", true, func(w io.Writer, v any) {
		ours := cmp.AllowUnexported(keyprovider.Key{}, keyprovider.Error{}, transport.Transport{}, transport.Scheme{})
		fmt.Fprint(w, cmp.Diff(v, other(v), ours, cmpopts.IgnoreUnexported(rotation.Source{})))
	}},
	{"cmp", true, func(w io.Writer, v any) { fmt.Fprint(w, cmp.Diff(v, other(v)), cmp.Equal(v, v)) }},
	{"cmp, errors and any", false, func(w io.Writer, v any) {
		fmt.Fprint(w, cmp.Diff([]any{v}, []any{1}, cmpopts.EquateErrors(), cmpopts.EquateComparable()), cmp.Diff(map[string]any{"v": v}, nil))
	}},
	{"testify", true, func(w io.Writer, v any) {
		t := recorder{w}
		assert.Equal(t, other(v), v)
		assert.EqualValues(t, v, other(v))
		assert.Nil(t, v)
		assert.Contains(t, []any{1}, v)
		assert.ElementsMatch(t, []any{v}, []any{1})
		assert.IsType(t, 1, v)
		assert.NotEqual(t, v, v)
		assert.Fail(t, "x", "%+v", v)
		if err, ok := v.(error); ok {
			assert.NoError(t, err)
			assert.ErrorIs(t, err, io.EOF)
		}
	}},
	{"yaml.v3", false, func(w io.Writer, v any) {
		b, err := yaml.Marshal(v)
		fmt.Fprint(w, string(b), err)
	}},
	{"goccy/go-yaml", false, func(w io.Writer, v any) {
		b, err := goccy.Marshal(v)
		fmt.Fprint(w, string(b), err)
	}},
	{"zap", false, func(w io.Writer, v any) {
		config := zap.NewDevelopmentEncoderConfig()
		for _, encoder := range []zapcore.Encoder{zapcore.NewJSONEncoder(config), zapcore.NewConsoleEncoder(config)} {
			l := zap.New(zapcore.NewCore(encoder, zapcore.AddSync(w), zap.DebugLevel), zap.AddCaller(), zap.AddStacktrace(zap.ErrorLevel))
			l.With(zap.Any("v", v)).Error("x", zap.Any("v", v), zap.Reflect("r", v), zap.Any("p", &v), zap.Any("list", []any{v}))
			if err, ok := v.(error); ok {
				l.Error("x", zap.Error(err), zap.NamedError("e", err), zap.Errors("list", []error{err}))
			}
			if s, ok := v.(fmt.Stringer); ok {
				l.Info("x", zap.Stringer("s", s))
			}
			l.Sugar().Infow("x", "v", v)
			l.Sugar().Infof("%v %+v %#v", v, v, v)
			l.Sugar().Info(v)
		}
	}},
	{"zerolog", false, func(w io.Writer, v any) {
		for _, out := range []io.Writer{w, zerolog.ConsoleWriter{Out: w, NoColor: true}} {
			l := zerolog.New(out).With().Interface("with", v).Stack().Logger()
			l.Error().Any("v", v).Interface("i", v).Fields(map[string]any{"f": v}).Fields([]any{"g", v}).Msgf("%v %+v %#v", v, v, v)
			if err, ok := v.(error); ok {
				l.Error().Err(err).AnErr("e", err).Errs("list", []error{err}).Send()
			}
			if s, ok := v.(fmt.Stringer); ok {
				l.Info().Stringer("s", s).Send()
			}
			l.Print(v)
		}
	}},
	{"encoding/json of a dump", false, func(w io.Writer, v any) {
		b, err := json.Marshal(spew.Sdump(v))
		fmt.Fprint(w, string(b), err)
	}},
}

// recorder is a test that fails on paper.
type recorder struct{ w io.Writer }

func (r recorder) Errorf(format string, args ...any) { fmt.Fprintf(r.w, format, args...) }

// other is another value of v's type: for a difference to be printed.
func other(v any) any {
	typ := reflect.TypeOf(v)
	if typ.Kind() == reflect.Pointer {
		return reflect.New(typ.Elem()).Interface()
	}
	return reflect.Zero(typ).Interface()
}

// dump returns what a dumper writes, a panic included.
func dump(d dumper, v any) string {
	var out bytes.Buffer
	func() {
		defer func() {
			if r := recover(); r != nil {
				fmt.Fprintf(&out, "%v", r)
			}
		}()
		d.dump(&out, v)
	}()
	return out.String()
}

// TestNothingShowsAKey is the leak matrix for dumpers that look into unexported
// fields, YAML and loggers.
func TestNothingShowsAKey(t *testing.T) {
	w := leak.New(t)
	for _, s := range w.Subjects {
		t.Run(s.Name, func(t *testing.T) {
			for _, held := range s.Held() {
				for _, d := range dumpers {
					if keyprovidertest.Leaks(dump(d, held.Value), w.Secrets...) {
						t.Errorf("%s shows a key of %s", d.name, held.Name)
					}
				}
			}
		})
	}
}

// TestCauses: an error that wraps an SDK's shows none of its text to what asks
// errors for theirs. What looks at fields instead finds the cause, which has to
// stay within reach of errors.As. It is a limit that SECURITY.md states.
func TestCauses(t *testing.T) {
	w := leak.New(t)
	for _, s := range w.Causes {
		t.Run(s.Name, func(t *testing.T) {
			for _, d := range dumpers {
				if !d.raw && keyprovidertest.Leaks(dump(d, s.Value), w.Secrets...) {
					t.Errorf("%s shows what the SDK's error quotes", d.name)
				}
			}
		})
	}
}

// TestDumpersFindAKey: each dumper does show a string, in an unexported field
// if it looks there, so that a matrix without findings means something.
func TestDumpersFindAKey(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	type shown struct{ Exported string }
	type hidden struct{ unexported *shown }
	for _, d := range dumpers {
		if !keyprovidertest.Leaks(dump(d, shown{secret}), secret) {
			t.Errorf("%s does not print what it is given", d.name)
		}
	}
	for _, name := range []string{"spew", "spew without methods", "kr/pretty", "cmp, every field", "testify"} {
		for _, d := range dumpers {
			if d.name == name && !keyprovidertest.Leaks(dump(d, &hidden{&shown{secret}}), secret) {
				t.Errorf("%s does not look into unexported fields", d.name)
			}
		}
	}
}
