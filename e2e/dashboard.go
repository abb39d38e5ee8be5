// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// query is one that the dashboard or a rule asks.
type query struct {
	panel string // its title
	expr  string
	logs  bool // LogQL, not PromQL
}

// dashboard reads the queries of a Grafana dashboard, those of its annotations too.
func dashboard(path string) ([]query, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	type source struct{ Type string }
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct {
				Datasource source
				Expr       string
			}
		}
		Annotations struct {
			List []struct{ Name, Expr string }
		}
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var out []query
	for _, p := range d.Panels {
		for _, t := range p.Targets {
			out = append(out, query{p.Title, t.Expr, t.Datasource.Type == "loki"})
		}
	}
	for _, a := range d.Annotations.List {
		out = append(out, query{a.Name, a.Expr, false})
	}
	return out, nil
}

var (
	metricName = regexp.MustCompile(`\b(otelcol|traces_service_graph)_[a-z0-9_]+`)
	selector   = regexp.MustCompile(`\{([^}]*)\}`)
	matcher    = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)\s*(=|!=|=~|!~)\s*"`)
	grouping   = regexp.MustCompile(`\b(by|ignoring|on)\s*\(([^)]*)\)`)
	relabel    = regexp.MustCompile(`,\s*"([a-z_]+)",\s*"[^"]*",\s*"([a-z_]+)"(,\s*"\(\.\*\)"|,\s*"([a-z_]+)")\)`)
	logLabel   = regexp.MustCompile(`([a-z_]+)\s*(=|!=|=~|!~)\s*"`)
)

// metrics are the names that a PromQL expression reads.
func (q query) metrics() []string {
	names := metricName.FindAllString(q.expr, -1)
	slices.Sort(names)
	return slices.Compact(names)
}

// labels are the names that the expression reads; those that it makes itself are not among them.
func (q query) labels() []string {
	var read, made []string
	if q.logs {
		for _, m := range logLabel.FindAllStringSubmatch(q.expr, -1) {
			read = append(read, m[1])
		}
	} else {
		for _, s := range selector.FindAllStringSubmatch(q.expr, -1) {
			for _, m := range matcher.FindAllStringSubmatch(s[1], -1) {
				read = append(read, m[1])
			}
		}
		for _, g := range grouping.FindAllStringSubmatch(q.expr, -1) {
			for l := range strings.SplitSeq(g[2], ",") {
				read = append(read, strings.TrimSpace(l))
			}
		}
		for _, r := range relabel.FindAllStringSubmatch(q.expr, -1) {
			made = append(made, r[1])
			read = append(read, r[2])
			if r[4] != "" {
				read = append(read, r[4])
			}
		}
	}
	read = slices.DeleteFunc(read, func(l string) bool { return l == "" || slices.Contains(made, l) })
	slices.Sort(read)
	return slices.Compact(read)
}

// promQL is the expression as Prometheus takes it: with Grafana's variables set.
func (q query) promQL() string { return strings.ReplaceAll(q.expr, "$__rate_interval", "1m") }

// exposition is which label names each metric has in a text that Prometheus would scrape.
type exposition map[string]map[string]bool

var (
	sampleLine  = regexp.MustCompile(`(?m)^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(.*)\})? [^ \n]+( \d+)?$`)
	sampleLabel = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)="(?:[^"\\]|\\.)*"`)
)

func (e exposition) read(text string) {
	for _, s := range sampleLine.FindAllStringSubmatch(text, -1) {
		if e[s[1]] == nil {
			e[s[1]] = map[string]bool{}
		}
		for _, l := range sampleLabel.FindAllStringSubmatch(s[3], -1) {
			e[s[1]][l[1]] = true
		}
	}
}

// lacks says which metrics of the query are not there, and which labels no metric of it has.
func (e exposition) lacks(q query) (metrics, labels []string) {
	known := map[string]bool{}
	for _, m := range q.metrics() {
		if e[m] == nil {
			metrics = append(metrics, m)
		}
		for l := range e[m] {
			known[l] = true
		}
	}
	for _, l := range q.labels() {
		if !known[l] {
			labels = append(labels, l)
		}
	}
	return metrics, labels
}

// rare says whether the query reads only metrics that a collector without limits reached, losses and defects does not
// show.
func (q query) rare() bool {
	return !slices.ContainsFunc(q.metrics(), func(m string) bool {
		return !slices.ContainsFunc([]string{"_panics", "_limit_hits", "_events_lost", "_late_spans", "_spans_skipped"},
			func(s string) bool { return strings.HasSuffix(m, s) })
	})
}
