// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// Every metric and label that the dashboard and the alert rules read is in the output of a collector with
// grafana.yaml in the middle of an incident; every field of its logs is in the event records.
func TestDashboardNames(t *testing.T) {
	queries, err := dashboard(filepath.Join("..", dashboardFile))
	require.NoError(t, err)
	require.NotEmpty(t, queries)
	queries = append(queries, rules(t)...)
	binary(t)
	until, _, _ := recording(t)

	c := collector(t, "grafana", "grafana.yaml", nil, append(toFiles,
		`service::pipelines::traces::exporters: [file/traces, service_graph]`,
		`connectors::service_graph::metrics_flush_interval: 1s`,
		`connectors::service_graph::store::ttl: 1s`)...)
	require.NoError(t, send(t.Context(), c.otlp, until))
	shown := exposition{}
	// Databases, brokers, caches and third parties have no spans of their own, and are nodes all the same.
	nodes := []string{
		`connection_type="database"`, `server="shop"`, `server="kafka"`, `server="redis"`, `server="api.payments.example"`,
	}
	require.NoError(t, eventually(t.Context(), 30*time.Second, func() error {
		for _, address := range []string{c.metrics, c.graph} {
			text, err := scrape(address)
			if err != nil {
				return err
			}
			shown.read(text)
			for line := range strings.Lines(text) {
				nodes = slices.DeleteFunc(nodes, func(n string) bool {
					return strings.HasPrefix(line, "traces_service_graph_request_total{") && strings.Contains(line, n)
				})
			}
		}
		if len(nodes) > 0 {
			return fmt.Errorf("the service graph has no %s", nodes)
		}
		for _, m := range []string{"traces_service_graph_request_failed_total", "otelcol_processor_rca_incidents_opened"} {
			if shown[m] == nil {
				return fmt.Errorf("no %s yet", m)
			}
		}
		return nil
	}))
	require.NoError(t, c.stop()) // the files are whole then
	fields := map[string]bool{}
	for _, e := range c.events(t) {
		for k := range e {
			fields[k] = true
		}
	}

	documented := documentation(t)
	for _, q := range queries {
		if q.logs {
			for _, l := range q.labels() {
				assert.True(t, fields[l], "%s: no event record has %s (%s)", q.panel, l, q.expr)
			}
			continue
		}
		require.NotEmpty(t, q.metrics(), "%s reads no metric of ours: %s", q.panel, q.expr)
		metrics, labels := shown.lacks(q)
		if len(metrics) > 0 && q.rare() {
			// Not shown: the documentation that is generated with them has to have them.
			metrics, labels = documented.lacks(q)
		}
		assert.Empty(t, metrics, "%s: no such metric: %s", q.panel, q.expr)
		assert.Empty(t, labels, "%s: no such label: %s", q.panel, q.expr)
	}
}

// rules are the queries of the alert rules.
func rules(t *testing.T) (out []query) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", rulesFile))
	require.NoError(t, err)
	var file struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &file))
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			out = append(out, query{panel: r.Alert, expr: r.Expr})
		}
	}
	require.NotEmpty(t, out)
	return out
}

func scrape(address string) (string, error) {
	resp, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

// documentation is what the processors' generated documentation says that there is.
func documentation(t *testing.T) exposition {
	t.Helper()
	files, err := filepath.Glob("../processor/*/documentation.md")
	require.NoError(t, err)
	require.Len(t, files, 2)
	out := exposition{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		require.NoError(t, err)
		metric := ""
		for line := range strings.Lines(string(text)) {
			if name, ok := strings.CutPrefix(line, "### "); ok {
				metric = strings.TrimSpace(name)
				out[metric] = map[string]bool{}
			} else if cells := strings.Split(line, "|"); metric != "" && len(cells) > 2 {
				out[metric][strings.TrimSpace(cells[1])] = true
			}
		}
	}
	return out
}

func TestQueryNames(t *testing.T) {
	for _, tt := range []struct {
		q       query
		metrics string
		labels  string
	}{
		{query{expr: `max(otelcol_a)`}, "otelcol_a", ""},
		{query{expr: `sum by (client, server) (rate(traces_service_graph_request_total{failed="true"}[1m]))`}, "traces_service_graph_request_total", "client failed server"},
		{query{expr: `sum by (id) (label_replace(sum by (server) (otelcol_a), "id", "$1", "server", "(.*)"))`}, "otelcol_a", "server"},
		{query{expr: `label_join(otelcol_a, "id", "->", "client", "server")`}, "otelcol_a", "client server"},
		{query{expr: `otelcol_b{x="1"} + ignoring (state) otelcol_a{y=~"2", z!="3"}`}, "otelcol_a otelcol_b", "state x y z"},
		{query{expr: `{service_name="$collector"} | rca_incident_id != ""`, logs: true}, "", "rca_incident_id service_name"},
	} {
		assert.Equal(t, tt.metrics, strings.Join(tt.q.metrics(), " "), tt.q.expr)
		assert.Equal(t, tt.labels, strings.Join(tt.q.labels(), " "), tt.q.expr)
	}
	e := exposition{}
	e.read("# HELP a b\notelcol_a{x=\"1,y=\\\"2\\\"\",z=\"}\"} 1\notelcol_b 1e+06 1700000000000\notelcol_c{y=\"\"} 1\notelcol_d{v=\"\"} 2\n")
	assert.Equal(t, exposition{"otelcol_a": {"x": true, "z": true}, "otelcol_b": {}, "otelcol_c": {"y": true}, "otelcol_d": {"v": true}}, e)
	metrics, labels := e.lacks(query{expr: `otelcol_a{x="1", q="2"} / otelcol_e`})
	assert.Equal(t, []string{"otelcol_e"}, metrics)
	assert.Equal(t, []string{"q"}, labels)
}
