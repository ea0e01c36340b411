package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	runbook = "../../docs/runbook.md"
	states  = "../../docs/rotation.md"
)

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// rotationSource is the code of package rotation.
func rotationSource(t *testing.T) string {
	t.Helper()
	paths, err := filepath.Glob("../../rotation/*.go")
	if err != nil || len(paths) == 0 {
		t.Fatalf("got %d files and %v, want the code of package rotation", len(paths), err)
	}
	var b strings.Builder
	for _, path := range paths {
		if !strings.HasSuffix(path, "_test.go") {
			b.WriteString(readFile(t, path))
		}
	}
	return b.String()
}

// set are the first submatches of a pattern.
func set(pattern, text string) map[string]bool {
	found := map[string]bool{}
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		found[m[1]] = true
	}
	return found
}

var instrument = regexp.MustCompile(`meter\.\w+?(Counter|Histogram|Gauge)\("([^"]+)",\s*metric\.WithUnit\("([^"]+)"`)

// exported is what OpenTelemetry's exporter calls a metric in Prometheus.
func exported(kind, name, unit string) string {
	name = strings.ReplaceAll(name, ".", "_")
	switch {
	case unit == "s":
		name += "_seconds"
	case unit == "1" && kind == "Gauge":
		name += "_ratio"
	}
	if kind == "Counter" {
		name += "_total"
	}
	return name
}

// TestRunbookMetrics: every metric and label that the documents name exists, and
// every metric of a rotation is in the runbook.
func TestRunbookMetrics(t *testing.T) {
	t.Parallel()
	code := rotationSource(t)
	known, prometheus := map[string]bool{}, map[string]bool{}
	text := readFile(t, runbook)
	for _, m := range instrument.FindAllStringSubmatch(code, -1) {
		known[m[2]], prometheus[exported(m[1], m[2], m[3])] = true, true
		if strings.HasPrefix(m[2], "keybearer.rotation.") && !strings.Contains(text, "| `"+m[2]+"` | "+m[3]+" |") {
			t.Errorf("the runbook's table lacks %s, of unit %s", m[2], m[3])
		}
	}
	attributes := set(`attribute\.Key\("([^"]+)"\)`, code)
	spans := set(`tracer\.Start\([^"]*"([^"]+)"`, code)
	for _, path := range []string{runbook, states} {
		for name := range set("`(keybearer\\.[a-z_.]+)`", readFile(t, path)) {
			if !known[name] && !attributes[name] && !spans[name] {
				t.Errorf("%s names %s, which does not exist", path, name)
			}
		}
	}
	for name := range set(`\b(keybearer_[a-z_]+)\b`, text) {
		if !prometheus[name] && !attributes[strings.ReplaceAll(name, "_", ".")] {
			t.Errorf("the runbook's rules name %s, which does not exist", name)
		}
	}
	for value := range set(`="([^"~]+)"}`, text) {
		if !strings.Contains(code, `"`+value+`"`) {
			t.Errorf("the runbook's rules ask for the value %q, which does not exist", value)
		}
	}
}

// TestRunbookAlerts: every alert leads somewhere.
func TestRunbookAlerts(t *testing.T) {
	t.Parallel()
	text := readFile(t, runbook)
	alerts := set(`alert: (\w+)`, text)
	if len(alerts) < 5 {
		t.Fatalf("got %d alerts, want the rules", len(alerts))
	}
	for alert := range alerts {
		if strings.Count(text, "`"+alert+"`") == 0 {
			t.Errorf("nothing says what to do about %s", alert)
		}
	}
	anchors := map[string]bool{}
	for _, path := range []string{runbook, states} {
		for heading := range set(`(?m)^#+ (.+)$`, readFile(t, path)) {
			anchor := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(heading), "")
			anchors[filepath.Base(path)+"#"+strings.ReplaceAll(anchor, " ", "-")] = true
		}
	}
	for _, path := range []string{runbook, states} {
		for link := range set(`\]\(((?:\w+\.md)?#[^)]+)\)`, readFile(t, path)) {
			if strings.HasPrefix(link, "#") {
				link = filepath.Base(path) + link
			}
			if !anchors[link] {
				t.Errorf("%s links to %s, which is not there", path, link)
			}
		}
		for link := range set(`\]\(([^)#]+)`, readFile(t, path)) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), filepath.FromSlash(link))); err != nil && !strings.Contains(link, "://") {
				t.Errorf("%s links to %s: %v", path, link, err)
			}
		}
	}
}

// TestRunbookWords: events, phases and reasons are those of the code.
func TestRunbookWords(t *testing.T) {
	t.Parallel()
	code := rotationSource(t)
	text := readFile(t, runbook)
	kinds := set(`RotatorEventKind = "([^"]+)"`, code)
	rows := set("(?m)^\\| `([a-z ]+)` \\| (?:info|warn|error) \\|", text)
	if !maps.Equal(kinds, rows) {
		t.Errorf("events: got %q in the runbook, want %q", slices.Sorted(maps.Keys(rows)), slices.Sorted(maps.Keys(kinds)))
	}
	for phase := range set(`Phase = "([^"]+)"`, code) {
		if !strings.Contains(readFile(t, states), "`"+phase+"`") {
			t.Errorf("docs/rotation.md lacks the phase %s", phase)
		}
	}
	// What the code says, with its verbs as the runbook has them.
	said := regexp.MustCompile(`%[a-z]`).ReplaceAllString(code, "...")
	for _, section := range []string{"Health", "Stopped", "Failed", "Reported"} {
		_, body, ok := strings.Cut(text, "# "+section+"\n")
		if !ok {
			t.Fatalf("the runbook lacks the section %s", section)
		}
		body, _, _ = strings.Cut(body, "\n#")
		for cell := range set(`(?m)^\| ([^|]+) \|`, body) {
			for _, piece := range regexp.MustCompile("\\.\\.\\.|^`N |`|, or |: access denied|: invalid|^anything else.*").Split(cell, -1) {
				if piece = strings.Trim(piece, " :,"); len(piece) > 14 && !strings.Contains(said, piece) {
					t.Errorf("%s: the code does not say %q", section, piece)
				}
			}
		}
	}
}
