// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// rulesFile and dashboardFile are what we ship for Prometheus and Grafana.
var (
	rulesFile     = filepath.Join("docs", "dashboards", "alerts.yaml")
	dashboardFile = filepath.Join("docs", "dashboards", "firebreak.json")
)

// startPrometheus scrapes both addresses of the collector every five seconds, and has our alert rules.
func (s *stage) startPrometheus(ctx context.Context) error {
	tests := filepath.Join("e2e", "testdata", "alerts_test.yaml")
	fmt.Printf("  ran   %s test rules %s\n", s.promtool, tests)
	if err := command(ctx, ".", s.promtool, "test", "rules", tests); err != nil {
		return err
	}
	rules, err := filepath.Abs(rulesFile)
	if err != nil {
		return err
	}
	config := filepath.Join(s.out, "prometheus.yaml")
	text := fmt.Sprintf(`global: {scrape_interval: 5s, scrape_timeout: 5s, evaluation_interval: 5s}
rule_files: [%q]
scrape_configs:
  - job_name: collector
    static_configs: [{targets: [%q, %q]}]
alerting:
  alertmanagers:
    - static_configs: [{targets: [%q]}]
`, rules, s.metrics, s.graph, s.alertmanagerAt)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	fmt.Printf("  ran   %s --config.file=%s --web.listen-address=%s (our rules: %s)\n", s.prometheus, config, s.prometheusAt, rulesFile)
	_, err = s.launch(ctx, "prometheus", func() error { return s.ask(ctx, "up", nil) }, nil, s.prometheus,
		"--config.file="+config, "--web.listen-address="+s.prometheusAt,
		"--storage.tsdb.path="+filepath.Join(s.out, "prometheus"))
	return err
}

type series struct {
	Metric map[string]string
	Value  [2]any // time, value
}

func (s series) String() string {
	var labels []string
	for k, v := range s.Metric {
		if !slices.Contains([]string{"__name__", "instance", "job"}, k) && !strings.HasPrefix(k, "otel_scope") {
			labels = append(labels, fmt.Sprintf("%s=%q", k, v))
		}
	}
	slices.Sort(labels)
	return fmt.Sprintf("{%s} %v", strings.Join(labels, ", "), s.Value[1])
}

// ask evaluates PromQL now.
func (s *stage) ask(ctx context.Context, expr string, into *[]series) error {
	return s.askAt(ctx, expr, time.Now(), into)
}

func (s *stage) askAt(ctx context.Context, expr string, at time.Time, into *[]series) error {
	var answer struct{ Data struct{ Result []series } }
	q := url.Values{"query": {expr}, "time": {at.UTC().Format(time.RFC3339Nano)}}
	if err := get(ctx, false, "http://"+s.prometheusAt+"/api/v1/query?"+q.Encode(), &answer); err != nil {
		return err
	}
	if into != nil {
		*into = answer.Data.Result
	}
	return nil
}

// expect asks until a series of the answer passes the check, and prints it.
func (s *stage) expect(ctx context.Context, expr string, check func(series) bool) error {
	fmt.Printf("  asked GET http://%s/api/v1/query?query=%s\n", s.prometheusAt, expr)
	return eventually(ctx, soon, func() error {
		var answer []series
		if err := s.ask(ctx, expr, &answer); err != nil {
			return err
		}
		i := slices.IndexFunc(answer, check)
		if i < 0 {
			return fmt.Errorf("%s: %w: %v", expr, errNone, answer)
		}
		got("%v", answer[i])
		return nil
	})
}

// expectAt asks once how it was at that time.
func (s *stage) expectAt(ctx context.Context, expr string, at time.Time, check func(series) bool) error {
	fmt.Printf("  asked GET http://%s/api/v1/query?query=%s&time=%s\n", s.prometheusAt, expr, at.UTC().Format(time.RFC3339))
	var answer []series
	if err := s.askAt(ctx, expr, at, &answer); err != nil {
		return err
	}
	i := slices.IndexFunc(answer, check)
	if i < 0 {
		return fmt.Errorf("%s: %w: %v", expr, errNone, answer)
	}
	got("%v", answer[i])
	return nil
}

func isOne(x series) bool { return x.Value[1] == "1" }

// blamed says whether the series is of a breaker of calls to the guilty one.
func (s *stage) blamed(x series) bool {
	return strings.HasSuffix(x.Metric["breaker"], "->"+s.truth.Verdict.Root)
}

// queryIncident waits until an incident is open, and asks for what there is about it.
func (s *stage) queryIncident(ctx context.Context) error {
	fmt.Println("  waits until an incident opens ...")
	if err := eventually(ctx, s.untilOpen(), func() error {
		var answer []series
		if err := s.ask(ctx, "otelcol_processor_rca_incidents_active > 0", &answer); err != nil {
			return err
		}
		if len(answer) == 0 {
			return errNone
		}
		return nil
	}); err != nil {
		return fmt.Errorf("no incident opened: %w", err)
	}
	s.opened = time.Now()
	for _, e := range []struct {
		expr  string
		check func(series) bool
	}{
		{`otelcol_processor_rca_incidents_active`, isOne},
		{`otelcol_processor_rca_incidents_opened`, isOne},
		{`otelcol_processor_breaker_state{state="open"} == 1`, s.blamed}, // it closes before the incident ends
	} {
		if err := s.expectAt(ctx, e.expr, s.opened, e.check); err != nil {
			return err
		}
	}
	return s.expect(ctx, `traces_service_graph_request_total{connection_type="database",failed="true"}`, func(x series) bool {
		return strings.HasSuffix(s.truth.Verdict.Root, "/"+x.Metric["server"])
	})
}

// queryDashboard has Prometheus evaluate each query of the dashboard until each has had data. Rates of calls that failed
// come with the second time that the service graph is flushed: a counter's first value is no increase.
func (s *stage) queryDashboard(ctx context.Context) error {
	queries, err := dashboard(dashboardFile)
	if err != nil {
		return err
	}
	queries = slices.DeleteFunc(queries, func(q query) bool { return q.logs })
	all := len(queries)
	at := s.opened // what has no data then has to have some now
	fmt.Printf("  asked the %d PromQL queries of %s\n", all, dashboardFile)
	if err := eventually(ctx, untilFlushed, func() (err error) {
		queries, err = s.withoutData(ctx, queries, at)
		at = time.Now()
		if i := slices.IndexFunc(queries, func(q query) bool { return !q.rare() }); err == nil && i >= 0 {
			err = fmt.Errorf("%s: no data: %s", queries[i].panel, queries[i].promQL())
		}
		return err
	}); err != nil {
		return err
	}
	var empty []string
	for _, q := range queries {
		empty = append(empty, q.metrics()...)
	}
	got("data for %d; nothing was counted yet for %s", all-len(queries), strings.Join(empty, ", "))
	return nil
}

// untilFlushed is how long two flushes of the service graph take, and a scrape.
const untilFlushed = 40 * time.Second

// withoutData returns those that have no data at that time.
func (s *stage) withoutData(ctx context.Context, queries []query, at time.Time) (empty []query, err error) {
	for _, q := range queries {
		var answer []series
		if err := s.askAt(ctx, q.promQL(), at, &answer); err != nil {
			return queries, fmt.Errorf("%s: %w", q.panel, err)
		}
		if len(answer) == 0 {
			empty = append(empty, q)
		}
	}
	return empty, nil
}

// queryHistory asks for what happened once it is over.
func (s *stage) queryHistory(ctx context.Context) error {
	for _, expr := range []string{
		`max_over_time(otelcol_processor_breaker_state{state="open"}[10m])`,
		`sum by (from, to) (otelcol_processor_breaker_transitions)`,
		`otelcol_processor_rca_incidents_active`,
	} {
		check := func(series) bool { return true }
		switch {
		case strings.HasPrefix(expr, "max_over_time"):
			check = func(x series) bool { return s.blamed(x) && isOne(x) }
		case strings.HasPrefix(expr, "sum by (from, to)"):
			check = func(x series) bool { return x.Metric["from"] == "open" && x.Metric["to"] == "closed" }
		case strings.HasSuffix(expr, "active"):
			if err := eventually(ctx, untilResolved, func() error {
				var answer []series
				if err := s.ask(ctx, expr+" == 0", &answer); err != nil || len(answer) > 0 {
					return err
				}
				return errNone
			}); err != nil {
				return fmt.Errorf("the incident is not resolved: %w", err)
			}
		}
		if err := s.expect(ctx, expr, check); err != nil {
			return err
		}
	}
	return nil
}
