// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/contrast"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/metadatatest"
)

func point(n int64, keys ...attribute.KeyValue) []metricdata.DataPoint[int64] {
	return []metricdata.DataPoint[int64]{{Value: n, Attributes: attribute.NewSet(append(keys, attribute.String("processor", "rca"))...)}}
}

func eventNames(sinks ...*consumertest.LogsSink) (names []string) {
	for _, sink := range sinks {
		all, _ := events(sink)
		for _, e := range all {
			names = append(names, e.name)
		}
	}
	return names
}

// One component ID is one engine, however many pipelines name it; another ID is another.
func TestOneEngineForAllSignals(t *testing.T) {
	f := &factory{}
	cfg := createDefaultConfig().(*Config)
	r := newRig(t, 0)
	set := metadatatest.NewSettings(r.telemetry)
	a, err := f.engine(set, cfg)
	require.NoError(t, err)
	b, err := f.engine(set, cfg)
	require.NoError(t, err)
	c, err := f.engine(set, createDefaultConfig())
	require.NoError(t, err)
	assert.Same(t, a.Value(), b.Value())
	assert.NotSame(t, a.Value(), c.Value())
	for _, ref := range []interface{ Shutdown(context.Context) error }{a, b, c, a} {
		require.NoError(t, ref.Shutdown(t.Context()))
	}
	r.stop()
}

// Shutdown is safe without Start, and twice.
func TestShutdown(t *testing.T) {
	newRig(t, 2).stop()
	r := newRig(t, 2).start()
	r.stop()
	r.stop()
}

// Event records leave once each, whichever of several logs pipelines carries them.
func TestEventsAreDeliveredOnce(t *testing.T) {
	r := newRig(t, 3).start()
	now := r.incident()
	r.traffic(now, now+60, false)
	r.stop()
	assert.Equal(t, []string{eventOpened, eventResolved}, eventNames(r.records...))
	metadatatest.AssertEqualProcessorRcaIncidentsOpened(t, r.telemetry, point(1), metricdatatest.IgnoreTimestamp())
	r.lost(0, 0)
}

// An incident that only the very last spans show is told as well, when the traces pipeline ends first.
func TestTracesEndBeforeLogs(t *testing.T) {
	for _, pipelines := range []int{1, 2} {
		r := newRig(t, pipelines).start()
		r.traffic(0, 120, false)
		r.traffic(120, 123, true)
		require.Empty(t, r.engine.core.Open(), "it is still waited for late spans")
		require.NoError(t, r.traces.Shutdown(t.Context()))
		require.NoError(t, r.logs[0].ConsumeLogs(t.Context(), logOf("orders", pcommon.TraceID{1}, plog.SeverityNumberError)), "logs still flow")
		for _, l := range r.logs {
			require.NoError(t, l.Shutdown(t.Context()))
		}
		assert.Equal(t, []string{eventOpened}, eventNames(r.records...))
	}
}

// When the logs pipeline ends first, events have no way out: counted. Spans still flow.
func TestLogsEndBeforeTraces(t *testing.T) {
	r := newRig(t, 1).start()
	r.traffic(0, 120, false)
	require.NoError(t, r.logs[0].Shutdown(t.Context()))
	r.traffic(120, 145, true)
	assert.Equal(t, 145*20*3, r.spans.SpanCount())
	assert.Empty(t, eventNames(r.records...))
	r.lost(1, 0)
	require.NoError(t, r.traces.Shutdown(t.Context()))
}

func TestWithoutALogsPipeline(t *testing.T) {
	r := newRig(t, 0).start()
	r.incident()
	r.lost(1, 0)
	r.stop()
}

func TestSelfTelemetry(t *testing.T) {
	r := newRig(t, 1).start()
	ignore := metricdatatest.IgnoreTimestamp()
	r.traffic(0, 20, false)
	metadatatest.AssertEqualProcessorRcaReady(t, r.telemetry, point(0), ignore)
	r.traffic(20, 120, false)
	metadatatest.AssertEqualProcessorRcaReady(t, r.telemetry, point(1), ignore)
	metadatatest.AssertEqualProcessorRcaGraphNodes(t, r.telemetry, point(2), ignore)
	metadatatest.AssertEqualProcessorRcaGraphEdges(t, r.telemetry, point(1), ignore)
	metadatatest.AssertEqualProcessorRcaIncidentsActive(t, r.telemetry, point(0), ignore)
	r.traffic(120, 145, true)
	metadatatest.AssertEqualProcessorRcaIncidentsActive(t, r.telemetry, point(1), ignore)
	late := ptrace.NewTraces()
	r.request(late, dawn+60*second, false)
	require.NoError(t, r.traces.ConsumeTraces(t.Context(), late))
	metadatatest.AssertEqualProcessorRcaLateSpans(t, r.telemetry, point(3), ignore)
	m, err := r.telemetry.GetMetric("otelcol_processor_rca_detection_delay")
	require.NoError(t, err)
	delay := m.Data.(metricdata.Histogram[float64]).DataPoints[0]
	assert.Equal(t, uint64(1), delay.Count)
	assert.Positive(t, delay.Sum)
	assert.Less(t, delay.Sum, 15.0)
	for _, name := range []string{"analysis_lag", "spans_paired", "state_bytes"} {
		_, err := r.telemetry.GetMetric("otelcol_processor_rca_" + name)
		assert.NoError(t, err)
	}
	r.stop()
}

// A defect costs the analysis, not the telemetry; it is counted, and the engine begins anew.
func TestPanicsAreContained(t *testing.T) {
	r := newRig(t, 1).start()
	now := r.incident()
	broken := func() {
		r.engine.mu.Lock()
		defer r.engine.mu.Unlock()
		r.engine.core = nil // every use of it panics
	}
	broken()
	require.NoError(t, r.logs[0].ConsumeLogs(t.Context(), logOf("orders", pcommon.TraceID{1}, plog.SeverityNumberError)))
	require.NotNil(t, r.engine.core, "what was learned is given up")
	broken()
	sent := r.spans.SpanCount()
	r.traffic(now, now+1, true)
	assert.Equal(t, sent+60, r.spans.SpanCount())
	metadatatest.AssertEqualProcessorRcaPanics(t, r.telemetry, point(2), metricdatatest.IgnoreTimestamp())
	metadatatest.AssertEqualProcessorRcaReady(t, r.telemetry, point(0), metricdatatest.IgnoreTimestamp())
	metadatatest.AssertEqualProcessorRcaIncidentsActive(t, r.telemetry, point(0), metricdatatest.IgnoreTimestamp())

	_, others := events(r.records[0])
	assert.Equal(t, 1, others)
	r.traffic(now+1, now+100, false)
	r.traffic(now+100, now+125, true)
	require.NotEmpty(t, r.engine.core.Open(), "a fresh engine learns and finds")
	broken()
	r.engine.flush()
	metadatatest.AssertEqualProcessorRcaPanics(t, r.telemetry, point(3), metricdatatest.IgnoreTimestamp())
	r.stop()
	assert.Equal(t, []string{eventOpened, eventOpened}, eventNames(r.records[0]))
}

// Log lines wait for their traces; those whose trace does not come are counted.
func TestLogsAreLearned(t *testing.T) {
	r := newRig(t, 1).start()
	send := func(id pcommon.TraceID) {
		ld := logOf("orders", id, plog.SeverityNumberInfo)
		ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).SetSpanID(pcommon.SpanID{7: 3})
		require.NoError(t, r.logs[0].ConsumeLogs(t.Context(), ld))
	}
	for s := int64(0); s < 400; s++ {
		td := ptrace.NewTraces()
		for k := range int64(5) {
			send(r.request(td, dawn+s*second+k*second/5, false))
		}
		if s == 10 {
			send(pcommon.TraceID{9}) // no such trace
		}
		require.NoError(t, r.traces.ConsumeTraces(t.Context(), td))
	}
	metadatatest.AssertEqualProcessorRcaLogsUnjoined(t, r.telemetry, point(1), metricdatatest.IgnoreTimestamp())
	templates := 0
	for _, c := range r.engine.core.Suspects(dawn+380*second, dawn+400*second) {
		for _, e := range c.Evidence {
			if e.Family == contrast.Structure && e.Feature.Kind == contrast.Template {
				templates++
			}
		}
	}
	assert.Zero(t, templates, "the lines go on")
	for s := int64(400); s < 430; s++ { // and now they do not
		td := ptrace.NewTraces()
		for k := range int64(5) {
			id := r.request(td, dawn+s*second+k*second/5, false)
			if k == 0 {
				send(id)
			}
		}
		require.NoError(t, r.traces.ConsumeTraces(t.Context(), td))
	}
	found := r.engine.core.Suspects(dawn+405*second, dawn+420*second)
	require.NotEmpty(t, found)
	assert.Equal(t, contrast.Template, found[0].Evidence[0].Feature.Kind)
	r.stop()
}

// Traces, logs, flushes, self-telemetry and Shutdown at the same time: nothing is lost. Run with -race.
func TestConcurrentUse(t *testing.T) {
	r := newRig(t, 2).start()
	now := r.incident()
	r.spans.Reset()
	logs := []*consumertest.LogsSink{r.records[0], r.records[1]}
	for _, l := range logs {
		l.Reset()
	}
	const n = 50
	var all sync.WaitGroup
	for g := range 3 {
		all.Go(func() {
			for i := range int64(n) {
				td := ptrace.NewTraces()
				other := rig{serial: uint64(1_000_000 * (g + 1) * int(i+1))}
				other.request(td, dawn+(now+i/10)*second, true)
				assert.NoError(t, r.traces.ConsumeTraces(t.Context(), td))
			}
		})
		all.Go(func() {
			for range n {
				assert.NoError(t, r.logs[g%2].ConsumeLogs(t.Context(), logOf("orders", pcommon.TraceID{1}, plog.SeverityNumberError)))
			}
		})
	}
	all.Go(func() {
		for range n {
			r.engine.flush()
			_, _ = r.telemetry.GetMetric("otelcol_processor_rca_state_bytes")
		}
	})
	all.Go(func() { assert.NoError(t, r.traces.Shutdown(t.Context())) })
	all.Wait()
	for _, l := range r.logs {
		require.NoError(t, l.Shutdown(t.Context()))
	}
	assert.Equal(t, 3*n*3, r.spans.SpanCount())
	others := 0
	for _, l := range logs {
		_, n := events(l)
		others += n
	}
	assert.Equal(t, 3*n, others)
}

// When data stops the engine looks at what it waits with, after as long as spans may be late.
func TestDataThatStopsIsLookedAt(t *testing.T) {
	r := newRig(t, 1)
	r.engine.cfg.AllowedLateness = time.Second
	r.engine.reset()
	r.start()
	r.traffic(0, 120, false)
	r.traffic(120, 121, true)
	require.Empty(t, r.engine.core.Open())
	assert.Eventually(t, func() bool { return len(eventNames(r.records[0])) == 1 }, 8*time.Second, 50*time.Millisecond)
	r.stop()
}
