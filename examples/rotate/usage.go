package main

import (
	"errors"
	"flag"
	"fmt"
	"regexp"
	"strings"

	"github.com/keybearer/keybearer/keyprovider"
)

// A usageError is the command line's fault.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func wrongUsage(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// flagOf are the flags by the names that the library's errors give to what they
// set.
var flagOf = map[string]string{
	"Project": "-project", "ServiceAccount": "-account", "Scopes": "-scopes", "AllPermissions": "-all-permissions", "Origin": "-origin", "Origins[0]": "-origin",
	"Domain": "-domain", "Every": "-every", "Lifetime": "-lifetime", "Overlap": "-overlap", "Lease": "-lease", "TestFor": "-test-for",
}

var optionName = regexp.MustCompile(`\b(?:Options\.)?([A-Z][A-Za-z]+\b(?:\[0\])?)`)

// ofFlags is for an error of a constructor whose options are the flags: options
// that cannot work are the command line's fault, and are called by their flags.
func ofFlags(err error) error {
	e, ok := errors.AsType[*keyprovider.Error](err)
	if !ok || !errors.Is(e.Class, keyprovider.ErrInvalid) || e.Err == nil {
		return err
	}
	return &usageError{optionName.ReplaceAllStringFunc(e.Err.Error(), func(name string) string {
		if flag, ok := flagOf[strings.TrimPrefix(name, "Options.")]; ok {
			return flag
		}
		return name
	})}
}

// noKey is the name of a flag that can be repeated: too short and too plain for
// a key.
var noKey = regexp.MustCompile(`^[a-z-]{1,20}$`)

// flagError is a message of package flag without the value that it quotes.
func flagError(err error, flags *flag.FlagSet) string {
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "flag needs an argument: -"); ok && flags.Lookup(name) != nil {
		return "-" + name + " needs a value"
	}
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: -"); ok && noKey.MatchString(name) {
		return "there is no flag -" + name
	}
	// A value is quoted before the name of its flag, and may hold what looks
	// like one.
	if i := strings.LastIndex(text, " -"); i >= 0 && strings.HasPrefix(text, "invalid ") {
		if name, _, _ := strings.Cut(text[i+2:], ":"); flags.Lookup(name) != nil {
			return "the value of -" + name + " is not understood"
		}
	}
	return "there is a flag that does not exist"
}
