// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// check is what a component must show after a run, or else it did not do its work and its cost says
// nothing. It is a bound on the sum of a metric over its series.
type check struct {
	metric      string
	least, most float64
	perTrace    bool // the bounds are for each trace fed
}

var breakerChecks = []check{
	{metric: "otelcol_processor_breaker_tracked", least: 6, most: 100},
	{metric: "otelcol_processor_breaker_trace_looks", least: 0.07, most: 0.2, perTrace: true}, // one in twenty failed
	{metric: "otelcol_processor_breaker_late_spans", most: 0.01, perTrace: true},
	{metric: "otelcol_processor_breaker_limit_hits", most: 0},
	{metric: "otelcol_processor_breaker_panics", most: 0},
}

var rcaChecks = []check{
	{metric: "otelcol_processor_rca_graph_nodes", least: 9, most: 100},
	{metric: "otelcol_processor_rca_spans_paired", least: 2, most: 10, perTrace: true},
	{metric: "otelcol_processor_rca_late_spans", most: 0.01, perTrace: true},
	{metric: "otelcol_processor_rca_limit_hits", most: 0},
	{metric: "otelcol_processor_rca_panics", most: 0},
}

var serviceGraphChecks = []check{
	{metric: "traces_service_graph_request_total", least: 3, most: 10, perTrace: true},
	{metric: "otelcol_connector_servicegraph_dropped_spans", most: 0},
}

// patience is how long a component has to publish what it did.
const patience = 2 * time.Second

// verify compares what the components measured of themselves with what is asked of them.
func (b *build) verify(checks []check, traces int) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(patience / 50) {
		if err := b.meets(checks, traces); err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

func (b *build) meets(checks []check, traces int) error {
	sums, err := b.sums()
	if err != nil {
		return err
	}
	for _, c := range checks {
		least, most := c.least, c.most
		if c.perTrace {
			least, most = least*float64(traces), most*float64(traces)
		}
		if got := sums[c.metric]; !(got >= least && got <= most) {
			return fmt.Errorf("%s is %v after %d traces, should be %v to %v: what was measured is not the component at work",
				c.metric, got, traces, math.Ceil(least), math.Floor(most))
		}
	}
	return nil
}

// sums returns, by name, the sum over all series of each metric: of the components' own telemetry, and
// of the last metrics that the peer handed on.
func (b *build) sums() (map[string]float64, error) {
	var own metricdata.ResourceMetrics
	if err := b.telemetry.Reader.Collect(context.Background(), &own); err != nil {
		return nil, fmt.Errorf("reading the components' own metrics: %w", err)
	}
	sums := map[string]float64{}
	for _, scope := range own.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				sums[m.Name] += total(data.DataPoints)
			case metricdata.Gauge[int64]:
				sums[m.Name] += total(data.DataPoints)
			}
		}
	}
	if all := b.metrics.AllMetrics(); len(all) > 0 {
		addSums(sums, all[len(all)-1])
	}
	return sums, nil
}

func total(points []metricdata.DataPoint[int64]) (sum float64) {
	for _, p := range points {
		sum += float64(p.Value)
	}
	return sum
}

func addSums(sums map[string]float64, md pmetric.Metrics) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if m.Type() != pmetric.MetricTypeSum {
					continue
				}
				for _, p := range m.Sum().DataPoints().All() {
					sums[m.Name()] += float64(p.IntValue())
				}
			}
		}
	}
}
