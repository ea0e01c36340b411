package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A dashboard is what of dashboard.json matters here.
type dashboard struct {
	Panels []struct {
		Title   string
		Targets []struct{ Expr, LegendFormat string }
	}
	Templating struct {
		List []struct{ Name, Definition string }
	}
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	text, err := os.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// scrape plays a round, and returns the labels of each metric as Prometheus is
// told them.
func scrape(t *testing.T) map[string][]string {
	t.Helper()
	ctx := t.Context()
	tel, err := newTelemetry(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tel.shutdown(ctx)
	p, err := newPlay(ctx, tel)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if err := p.round(ctx); err != nil {
		t.Fatal(err)
	}
	p.store.setDown(true) // the reason why a source is degraded is there while it is
	if err := p.source.Refresh(ctx); err == nil {
		t.Fatal("the store is not away")
	}
	resp, err := http.Get("http://" + tel.address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return labelsOf(string(text))
}

var (
	sample = regexp.MustCompile(`(?m)^([a-z_]+)\{(.*)\} [^}]*$`)
	label  = regexp.MustCompile(`([a-z_]+)="`)
)

func labelsOf(exposition string) map[string][]string {
	all := map[string][]string{}
	for _, m := range sample.FindAllStringSubmatch(exposition, -1) {
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(all[m[1]], l[1]) {
				all[m[1]] = append(all[m[1]], l[1])
			}
		}
	}
	return all
}

var (
	selector = regexp.MustCompile(`([a-z_]+)\{([^}]*)\}`)
	matcher  = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)`)
	grouping = regexp.MustCompile(`by \(([^)]*)\)`)
	legend   = regexp.MustCompile(`\{\{([a-z_]+)\}\}`)
)

// TestDashboard: each query asks for metrics and labels that the code emits, and
// each legend for a label by which its query groups.
func TestDashboard(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	emitted := scrape(t)
	d := readDashboard(t)
	queries := 0
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			queries++
			var groups []string
			for _, g := range grouping.FindAllStringSubmatch(target.Expr, -1) {
				groups = append(groups, strings.Split(g[1], ", ")...)
			}
			selectors := selector.FindAllStringSubmatch(target.Expr, -1)
			if len(selectors) == 0 {
				t.Errorf("%s: no metric in %s", p.Title, target.Expr)
			}
			for _, s := range selectors {
				labels, ok := emitted[s[1]]
				if !ok {
					t.Errorf("%s: %s is not emitted", p.Title, s[1])
				}
				asked := slices.Clone(groups)
				for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
					asked = append(asked, m[1])
				}
				for _, l := range asked {
					if l != "job" && !slices.Contains(labels, l) { // job is Prometheus's own
						t.Errorf("%s: %s has no label %s, but %v", p.Title, s[1], l, labels)
					}
				}
			}
			for _, l := range legend.FindAllStringSubmatch(target.LegendFormat, -1) {
				if !slices.Contains(groups, l[1]) {
					t.Errorf("%s: the legend names %s, by which %s does not group", p.Title, l[1], target.Expr)
				}
			}
		}
	}
	if queries < 12 {
		t.Errorf("%d queries were checked, want at least 12", queries)
	}
	for _, v := range d.Templating.List {
		if name, ok := strings.CutPrefix(v.Definition, "label_values("); ok {
			if name, _, _ = strings.Cut(name, ","); emitted[name] == nil {
				t.Errorf("the variable %s asks for %s, which is not emitted", v.Name, name)
			}
		}
	}
}
