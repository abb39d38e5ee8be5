// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/metadatatest"
)

// valueOf returns the count of the series of a metric whose key has a value; 0 when there is none.
func valueOf(t testing.TB, tel *componenttest.Telemetry, metric, key, value string) (n int64) {
	t.Helper()
	m, err := tel.GetMetric("otelcol_processor_breaker_" + metric)
	if err != nil {
		return 0
	}
	for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
		if v, ok := p.Attributes.Value(attribute.Key(key)); ok && v.AsString() == value {
			n += p.Value
		}
	}
	return n
}

func (h *harness) panics(t testing.TB, want int64) {
	t.Helper()
	m, err := h.tel.GetMetric("otelcol_processor_breaker_panics")
	require.NoError(t, err)
	assert.Equal(t, want, m.Data.(metricdata.Sum[int64]).DataPoints[0].Value, "panics")
}

// one is the only series of a metric.
func (h *harness) one(n int64, more ...attribute.KeyValue) metricdata.DataPoint[int64] {
	return metricdata.DataPoint[int64]{Value: n, Attributes: attribute.NewSet(append(more, attribute.String("processor", h.engine.id.String()))...)}
}

var ignoreTime = metricdatatest.IgnoreTimestamp()

// What happens seldom has a series before it happens.
func TestRareCountersBeginAtZero(t *testing.T) {
	h := start(t, nil, nil)
	h.panics(t, 0)
	var lost, changes []metricdata.DataPoint[int64]
	for _, reason := range []string{"queue_full", "no_logs_pipeline", "delivery"} {
		lost = append(lost, h.one(0, attribute.String("reason", reason)))
	}
	for _, c := range [][2]string{{"closed", "open"}, {"open", "half_open"}, {"half_open", "open"}, {"half_open", "closed"}} {
		changes = append(changes, h.one(0, attribute.String("from", c[0]), attribute.String("to", c[1])))
	}
	metadatatest.AssertEqualProcessorBreakerEventsLost(t, h.tel, lost, ignoreTime)
	metadatatest.AssertEqualProcessorBreakerTransitions(t, h.tel, changes, ignoreTime)
}

func TestReadyAndCost(t *testing.T) {
	h := start(t, nil, nil)
	ready := func(want int64) {
		t.Helper()
		metadatatest.AssertEqualProcessorBreakerReady(t, h.tel, []metricdata.DataPoint[int64]{h.one(want)}, ignoreTime)
	}
	ready(0)
	s := &stream{}
	require.NoError(t, h.push(t.Context(), s.batch(10, 50*time.Millisecond, false)))
	ready(0)
	require.NoError(t, h.push(t.Context(), s.batch(1200, 50*time.Millisecond, false)))
	ready(1)
	m, err := h.tel.GetMetric("otelcol_processor_breaker_analysis_time")
	require.NoError(t, err)
	assert.Positive(t, m.Data.(metricdata.Sum[float64]).DataPoints[0].Value)
	metadatatest.AssertEqualProcessorBreakerStateBytes(t, h.tel, []metricdata.DataPoint[int64]{h.one(h.engine.core.Bytes())}, ignoreTime)
	metadatatest.AssertEqualProcessorBreakerEventQueue(t, h.tel, []metricdata.DataPoint[int64]{h.one(0)}, ignoreTime)
}

// Of more breakers than have series it is said how many.
func TestStatesThatAreOmitted(t *testing.T) {
	h := start(t, nil, func(c *Config) {
		c.Edges = []EdgeConfig{{Callee: "*", State: stateForceOpen, BreakerConfig: c.BreakerConfig}}
	})
	omitted := func(want int64) {
		t.Helper()
		metadatatest.AssertEqualProcessorBreakerStateOmitted(t, h.tel, []metricdata.DataPoint[int64]{h.one(want)}, ignoreTime)
	}
	s := &stream{}
	send := func(from, to int) {
		td := s.batch(to-from, 50*time.Millisecond, false)
		for i, span := range td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().All() {
			span.Attributes().PutStr("db.namespace", fmt.Sprint("db-", from+i))
		}
		require.NoError(t, h.push(t.Context(), td))
		require.NoError(t, h.push(t.Context(), s.batch(1, time.Second, false)))
	}
	send(0, 99)
	assert.EqualValues(t, 100, h.engine.core.States()[circuit.ForcedOpen])
	omitted(0)
	send(99, 104)
	omitted(5)
}

func TestForgottenEdgesAreCounted(t *testing.T) {
	h := start(t, nil, func(c *Config) { c.IdleTimeout = time.Minute })
	forgotten := func(want int64) {
		t.Helper()
		metadatatest.AssertEqualProcessorBreakerForgotten(t, h.tel, []metricdata.DataPoint[int64]{h.one(want)}, ignoreTime)
	}
	s := &stream{}
	td := s.batch(5, 50*time.Millisecond, false)
	for i, span := range td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().All() {
		span.Attributes().PutStr("db.namespace", fmt.Sprint("db-", i))
	}
	require.NoError(t, h.push(t.Context(), td))
	forgotten(0)
	require.NoError(t, h.push(t.Context(), s.batch(200, time.Second, false)))
	forgotten(5)
}

// What was learned is not for spans of another time.
func TestReloadIntoAnotherTime(t *testing.T) {
	id := freshID()
	first := build(t, id, nil)
	s := first.outage(t)
	first.stop()
	second := build(t, id, nil)
	s.at += time.Hour
	second.one(t, s)
	assert.EqualValues(t, 1, valueOf(t, second.tel, "reloads", metricOutcome, reloadTime))
	assert.Zero(t, valueOf(t, second.tel, "reloads", metricOutcome, reloadKept))
}
