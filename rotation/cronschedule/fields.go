package cronschedule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/cronexpr"
)

// The places of the fields.
const (
	minute = iota
	hour
	dayOfMonth
	month
	dayOfWeek
	fieldCount
)

var limits = [fieldCount]struct {
	name     string
	min, max int
	names    []string // of min and what follows
}{
	minute:     {"minute", 0, 59, nil},
	hour:       {"hour", 0, 23, nil},
	dayOfMonth: {"day-of-month", 1, 31, nil},
	month:      {"month", 1, 12, monthNames},
	dayOfWeek:  {"day-of-week", 0, 7, dayNames},
}

var (
	monthNames = []string{"january", "february", "march", "april", "may", "june",
		"july", "august", "september", "october", "november", "december"}
	dayNames = []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}
)

var words = map[string]string{
	"@hourly":   "0 * * * *",
	"@daily":    "0 0 * * *",
	"@midnight": "0 0 * * *",
	"@weekly":   "0 0 * * 0",
	"@monthly":  "0 0 1 * *",
	"@yearly":   "0 0 1 1 *",
	"@annually": "0 0 1 1 *",
}

// fields are those of an expression, as they were written and in the form that
// cronexpr takes without surprise.
type fields struct {
	written   []string
	canonical [fieldCount]string
}

// String returns the expression as it was written, but for its spaces.
func (f *fields) String() string { return strings.Join(f.written, " ") }

// maxExpression is far more than any expression needs.
const maxExpression = 1024

// split takes an expression apart.
func split(expression string) (*fields, error) {
	if len(expression) > maxExpression {
		return nil, invalid(fmt.Sprintf("the expression has more than %d bytes", maxExpression))
	}
	written := strings.Fields(expression)
	if len(written) == 0 {
		return nil, invalid(`the expression is empty; "0 3 * * 1" is Mondays at 03:00`)
	}
	meant := written
	if len(written) == 1 && strings.HasPrefix(written[0], "@") {
		text, ok := words[strings.ToLower(written[0])]
		if !ok {
			return nil, invalid("there is no such word; @hourly, @daily, @weekly, @monthly and @yearly are known")
		}
		meant = strings.Fields(text)
	}
	switch prefix := strings.ToUpper(written[0]); {
	case strings.HasPrefix(prefix, "TZ="), strings.HasPrefix(prefix, "CRON_TZ="):
		return nil, invalid("the time zone belongs in Options.Location")
	case len(meant) > fieldCount:
		return nil, invalid("the expression has more than five fields; seconds and years are not understood")
	case len(meant) < fieldCount:
		return nil, invalid("the expression has fewer than five fields: minute, hour, day of the month, month, day of the week")
	}
	f := &fields{written: written}
	copy(f.canonical[:], meant)
	return f, nil
}

// check refuses fields that cronexpr would misunderstand silently, rewrites
// others, and returns the expression to parse.
func (f *fields) check() (string, error) {
	for i, field := range f.canonical {
		items := strings.Split(strings.ToLower(field), ",")
		for j, item := range items {
			rewritten, err := rewrite(i, item)
			if err != nil {
				return "", err
			}
			items[j] = rewritten
		}
		f.canonical[i] = strings.Join(items, ",")
		alone := slices.Repeat([]string{"*"}, fieldCount)
		alone[i] = f.canonical[i]
		if strings.HasPrefix(field, "@") {
			return "", wrong(i, "is not understood") // cronexpr replaces words anywhere
		}
		if _, err := cronexpr.Parse(strings.Join(alone, " ")); err != nil {
			return "", wrong(i, "is not understood") // its own text quotes the field
		}
	}
	return strings.Join(f.canonical[:], " "), nil
}

// rewrite checks one item of a field's list. A range comes back as the list of
// its values: cronexpr takes a reversed one for no value at all, and leaves
// the Sunday at the end of "5-7" out.
func rewrite(field int, item string) (string, error) {
	span, step, stepped := strings.Cut(item, "/")
	every := 1
	if stepped {
		n, ok := digits(step)
		if !ok || n < 1 || n > limits[field].max {
			return "", wrong(field, "has a step that is not understood")
		}
		every = n
	}
	from, to, ranged := strings.Cut(span, "-")
	low, ok := number(field, from)
	switch {
	case item == "":
		return "", wrong(field, "has an empty item in its list")
	case !ranged && !ok: // *, L, 15W, 5#2, or nonsense
		return item, nil
	case !ranged && !stepped:
		return written(field, low), nil
	case !ranged:
		return written(field, low) + "/" + strconv.Itoa(every), nil
	case !ok:
		return "", wrong(field, "has a range of something other than values")
	}
	high, ok := number(field, to)
	if !ok {
		return "", wrong(field, "has a range of something other than values")
	}
	if field == dayOfWeek && high == 0 && low > 0 {
		high = len(dayNames) // a range ends with Sunday, as in sat-sun
	}
	if low > high {
		return "", wrong(field, "has a range that ends before it begins; write it as two")
	}
	var values []string
	for n := low; n <= high; n += every {
		values = append(values, written(field, n))
	}
	return strings.Join(values, ","), nil
}

// written returns a value as cronexpr takes it: it does not know every way to
// write a day of the week that it lets pass.
func written(field, value int) string {
	if field == dayOfWeek {
		value %= len(dayNames)
	}
	return strconv.Itoa(value)
}

// number returns the value of a token.
func number(field int, token string) (int, bool) {
	if n, ok := digits(token); ok {
		return n, n >= limits[field].min && n <= limits[field].max
	}
	for i, name := range limits[field].names {
		if token == name || token == name[:3] {
			return limits[field].min + i, true
		}
	}
	return 0, false
}

func digits(token string) (int, bool) {
	if len(token) < 1 || len(token) > 2 || strings.Trim(token, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(token)
	return n, err == nil
}

func wrong(field int, why string) error {
	return invalid("the " + limits[field].name + " field " + why)
}
