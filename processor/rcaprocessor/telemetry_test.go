// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/engine"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/metadatatest"
)

var ignoreTime = metricdatatest.IgnoreTimestamp()

// series is a point for each value of key.
func series(key string, values map[string]int64) (all []metricdata.DataPoint[int64]) {
	for v, n := range values {
		all = append(all, point(n, attribute.String(key, v))...)
	}
	return all
}

// lost asserts how many event records were lost.
func (r *rig) lost(noPipeline, delivery int64) {
	r.t.Helper()
	metadatatest.AssertEqualProcessorRcaEventsLost(r.t, r.telemetry, series("reason", map[string]int64{
		"no_logs_pipeline": noPipeline, "delivery": delivery, "queue_full": 0,
	}), ignoreTime)
}

// What happens seldom has a series before it happens.
func TestRareCountersBeginAtZero(t *testing.T) {
	r := newRig(t, 0)
	metadatatest.AssertEqualProcessorRcaPanics(t, r.telemetry, point(0), ignoreTime)
	metadatatest.AssertEqualProcessorRcaIncidentsOpened(t, r.telemetry, point(0), ignoreTime)
	metadatatest.AssertEqualProcessorRcaIncidentsUpdated(t, r.telemetry, point(0), ignoreTime)
	metadatatest.AssertEqualProcessorRcaIncidentsResolved(t, r.telemetry, series("reason", map[string]int64{"well": 0, "stale": 0}), ignoreTime)
	r.lost(0, 0)
}

func TestLivesOfIncidentsAreCounted(t *testing.T) {
	r := newRig(t, 0)
	for _, in := range []incident.Incident{
		{}, {State: incident.Updated}, {State: incident.Updated}, {State: incident.Resolved},
		{}, {State: incident.Resolved, Stale: true}, {}, {State: incident.Resolved},
	} {
		r.engine.telemetry.changed(&in)
	}
	metadatatest.AssertEqualProcessorRcaIncidentsOpened(t, r.telemetry, point(3), ignoreTime)
	metadatatest.AssertEqualProcessorRcaIncidentsUpdated(t, r.telemetry, point(2), ignoreTime)
	metadatatest.AssertEqualProcessorRcaIncidentsResolved(t, r.telemetry, series("reason", map[string]int64{"well": 2, "stale": 1}), ignoreTime)
}

// What the engine counts goes out under its name, with what engines before it counted.
func TestCountsOfTheEngine(t *testing.T) {
	r := newRig(t, 0)
	tel := r.engine.telemetry
	tel.past = engine.Counts{Unplaced: 1, Idle: engine.Idle{Nodes: 10}}
	tel.now.counts = engine.Counts{
		Unplaced: 1, Idle: engine.Idle{Nodes: 1, Ops: 2, Replicas: 3, Edges: 4}, LogsOfSpans: 5, LogsOfServices: 6,
		Incidents: incident.Beyond{Open: 7, Past: 8, Untold: 9},
	}
	tel.gone = 3
	metadatatest.AssertEqualProcessorRcaSpansSkipped(t, r.telemetry, series("reason", map[string]int64{"no_room": 2}), ignoreTime)
	metadatatest.AssertEqualProcessorRcaForgotten(t, r.telemetry, series("kind", map[string]int64{"node": 11, "operation": 2, "replica": 3, "edge": 4}), ignoreTime)
	metadatatest.AssertEqualProcessorRcaLogsRead(t, r.telemetry, series("ids", map[string]int64{"yes": 5, "no": 6}), ignoreTime)
	metadatatest.AssertEqualProcessorRcaLimitHits(t, r.telemetry, series("limit", map[string]int64{
		"incidents": 7, "past_incidents": 8, "incident_history": 9, "breakers": 3,
	}), ignoreTime)
}

func TestSightingsWithoutRoomAreCounted(t *testing.T) {
	r := newRig(t, 0).start()
	r.engine.seen.gone = 2
	r.engine.flush()
	metadatatest.AssertEqualProcessorRcaLimitHits(t, r.telemetry, series("limit", map[string]int64{"breakers": 2}), ignoreTime)
	r.stop()
}

func TestSymptomsShow(t *testing.T) {
	r := newRig(t, 0).start()
	assertSymptoms := func(open int64) {
		t.Helper()
		metadatatest.AssertEqualProcessorRcaSymptoms(t, r.telemetry, series("state", map[string]int64{"suspected": 0, "open": open}), ignoreTime)
	}
	r.traffic(0, 120, false)
	assertSymptoms(0)
	r.traffic(120, 145, true)
	assertSymptoms(1) // the failures of the gateway
	r.traffic(145, 400, false)
	assertSymptoms(0)
	r.stop()
}

func TestAnalysisTakesTime(t *testing.T) {
	r := newRig(t, 1).start()
	r.traffic(0, 2, false)
	spent := func() float64 {
		m, err := r.telemetry.GetMetric("otelcol_processor_rca_analysis_time")
		require.NoError(t, err)
		return m.Data.(metricdata.Sum[float64]).DataPoints[0].Value
	}
	before := spent()
	assert.Positive(t, before)
	r.engine.guarded(func() { time.Sleep(2 * time.Millisecond) })
	assert.GreaterOrEqual(t, spent(), before+0.002)
	metadatatest.AssertEqualProcessorRcaEventQueue(t, r.telemetry, point(0), ignoreTime)
	r.stop()
}

// The ratio looks at calls to services; those to others are not answered ever.
func TestPairingRatio(t *testing.T) {
	r := newRig(t, 0).start()
	share := func(want float64) {
		t.Helper()
		metadatatest.AssertEqualProcessorRcaPairingRatio(t, r.telemetry, []metricdata.DataPoint[float64]{
			{Value: want, Attributes: attribute.NewSet(attribute.String("processor", "rca"))},
		}, ignoreTime)
	}
	r.traffic(0, 10, false)
	r.engine.flush()
	share(1)
	td := ptrace.NewTraces()
	for k := range int64(200) {
		r.request(td, dawn+12*second+k*second/200, false)
	}
	answers := 0
	td.ResourceSpans().RemoveIf(func(rs ptrace.ResourceSpans) bool {
		name, _ := rs.Resource().Attributes().Get("service.name")
		answers++
		return name.Str() == "orders" && answers%2 == 0
	})
	require.NoError(t, r.traces.ConsumeTraces(t.Context(), td))
	r.engine.flush()
	lost := float64(600 - td.SpanCount())
	share((400 - lost) / 400)
	r.stop()
}

func TestPairingForgets(t *testing.T) {
	var p pairing
	_, ok := p.ratio()
	assert.False(t, ok, "nothing was called")
	at := time.Unix(0, dawn)
	p.note(at, 100, 100)
	assert.Equal(t, 0.5, first(p.ratio()))
	p.note(at.Add(pairingPeriod), 100, 100)
	p.note(at.Add(pairingPeriod+time.Minute), 200, 100)
	assert.Equal(t, 2.0/3, first(p.ratio()), "the period before counts")
	p.note(at.Add(2*pairingPeriod), 300, 100)
	assert.Equal(t, 1.0, first(p.ratio()))
	p.note(at.Add(3*pairingPeriod), 300, 100)
	p.note(at.Add(4*pairingPeriod), 300, 100)
	_, ok = p.ratio()
	assert.False(t, ok)
}

func first(r float64, _ bool) float64 { return r }

func TestLogsReadAreCounted(t *testing.T) {
	r := newRig(t, 1).start()
	r.traffic(0, 3, false)
	send := func(n int, change func(plog.LogRecord)) {
		for range n {
			ld := logOf("orders", pcommon.TraceID{}, plog.SeverityNumberInfo)
			change(ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0))
			require.NoError(t, r.logs[0].ConsumeLogs(t.Context(), ld))
		}
	}
	send(2, func(lr plog.LogRecord) {
		lr.SetTraceID(pcommon.TraceID{1})
		lr.SetSpanID(pcommon.SpanID{1})
	})
	send(3, func(plog.LogRecord) {})
	send(4, func(lr plog.LogRecord) { lr.Body().SetStr("") })
	metadatatest.AssertEqualProcessorRcaLogsRead(t, r.telemetry, series("ids", map[string]int64{"yes": 2, "no": 3}), ignoreTime)
	metadatatest.AssertEqualProcessorRcaLogsSkipped(t, r.telemetry, series("reason", map[string]int64{"no_text": 4}), ignoreTime)
	r.stop()
}

type statusHost struct {
	component.Host
	mu  sync.Mutex
	all []componentstatus.Status
}

func (h *statusHost) Report(ev *componentstatus.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, ev.Status())
}

// A contained defect shows in the component's status until a batch went well.
func TestPanicIsReported(t *testing.T) {
	host := &statusHost{Host: componenttest.NewNopHost()}
	r := newRig(t, 0)
	require.NoError(t, r.traces.Start(t.Context(), host))
	broken := func() {
		r.engine.mu.Lock()
		r.engine.core = nil // every use of it panics
		r.engine.mu.Unlock()
	}
	broken()
	r.traffic(0, 1, false)
	broken()
	r.traffic(1, 4, false)
	bad, ok := componentstatus.StatusRecoverableError, componentstatus.StatusOK
	host.mu.Lock()
	assert.Equal(t, []componentstatus.Status{bad, bad, ok}, slices.Clone(host.all))
	host.mu.Unlock()
	r.stop()
}
