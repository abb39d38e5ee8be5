// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/decision"
)

func TestAnnotatesAndTells(t *testing.T) {
	h := start(t, nil, nil)
	s := h.outage(t)
	assert.Equal(t, map[string]any{
		"breaker.name": "orders->postgresql/shop", "breaker.state": "open", "breaker.advice": "reject", "breaker.reason": "fast_failure_rate",
		"breaker.failure.origin": "self",
	}, breakerAttributes(h.last().Attributes()))
	require.NoError(t, h.push(t.Context(), s.batch(120, 50*time.Millisecond, false)))
	assert.Equal(t, map[string]any{
		"breaker.name": "orders->postgresql/shop", "breaker.state": "open", "breaker.advice": "reject", "breaker.reason": "fast_failure_rate",
	}, breakerAttributes(h.last().Attributes()), "verified, as calls go on all the same")
	require.NoError(t, h.push(t.Context(), s.batch(240, 50*time.Millisecond, false)))
	assert.Empty(t, breakerAttributes(h.last().Attributes()))
	first := h.traces.AllTraces()[0]
	for _, span := range first.ResourceSpans().At(0).ScopeSpans().At(0).Spans().All() {
		require.Empty(t, breakerAttributes(span.Attributes()), "nothing is written in healthy minutes")
	}

	h.stop()
	got, _ := changes(h.pipelines.logs)
	var states []string
	for _, c := range got {
		states = append(states, c.state)
	}
	require.Equal(t, []string{"open", "closed"}, states, "each once")
	record := h.pipelines.logs.AllLogs()[0].ResourceLogs().At(0)
	assert.Equal(t, map[string]any{"service.name": "otelcol"}, record.Resource().Attributes().AsRaw())
	lr := record.ScopeLogs().At(0).LogRecords().At(0)
	assert.Equal(t, "breaker.state_changed", lr.EventName())
	assert.Equal(t, plog.SeverityNumberWarn, lr.SeverityNumber())
	assert.Equal(t, epoch.Add(62*time.Second+250*time.Millisecond), lr.Timestamp().AsTime())
	assert.NotEqual(t, pcommon.NewSpanIDEmpty(), lr.SpanID(), "with a failed call as an example")
	assert.Equal(t, "Breaker orders->postgresql/shop is open: 100 % of 25 calls failed within 2s.", lr.Body().Str())
	attrs := lr.Attributes().AsRaw()
	assert.InDelta(t, 5, attrs["breaker.open.duration"], 1.01)
	delete(attrs, "breaker.open.duration")
	assert.InDelta(t, 0.04, attrs["breaker.in_flight.mean"], 0.001, "2 ms, 20 times a second")
	delete(attrs, "breaker.in_flight.mean")
	assert.Equal(t, map[string]any{
		"breaker.name": "orders->postgresql/shop", "breaker.state": "open", "breaker.previous_state": "closed",
		"breaker.advice": "reject", "breaker.reason": "fast_failure_rate", "breaker.caller.name": "orders",
		"breaker.callee.name": "postgresql/shop", "breaker.callee.kind": "database",
		"breaker.failure.ratio": 1.0, "breaker.window.requests": int64(25), "breaker.attempt": int64(0),
		"breaker.admit.ratio": 0.0, "breaker.enforced": false, "breaker.in_flight.max": int64(1),
	}, attrs)
}

// Nothing but our attributes differs between what goes in and what comes out.
func TestSpansComeOutAsTheyWentIn(t *testing.T) {
	h := start(t, nil, nil)
	s := h.outage(t)
	in := s.batch(40, 50*time.Millisecond, true)
	want := ptrace.NewTraces()
	in.CopyTo(want)
	require.NoError(t, h.push(t.Context(), in))
	all := h.traces.AllTraces()
	got := all[len(all)-1]
	for _, span := range got.ResourceSpans().At(0).ScopeSpans().At(0).Spans().All() {
		require.Len(t, breakerAttributes(span.Attributes()), 5)
		span.Attributes().RemoveIf(func(k string, _ pcommon.Value) bool { return strings.HasPrefix(k, "breaker.") })
	}
	requireSame(t, want, got)
}

func TestUserValuesStay(t *testing.T) {
	h := start(t, nil, nil)
	s := h.outage(t)
	in := s.batch(1, 50*time.Millisecond, true)
	attrs := in.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).Attributes()
	attrs.PutInt("breaker.state", 7)
	attrs.PutStr("breaker.reason", "mine")
	require.NoError(t, h.push(t.Context(), in))
	assert.Equal(t, map[string]any{
		"breaker.name": "orders->postgresql/shop", "breaker.state": int64(7), "breaker.advice": "reject", "breaker.reason": "mine", "breaker.failure.origin": "self",
	}, breakerAttributes(h.last().Attributes()))
}

// While nothing is open log records pass untouched; then those of the caller say so, and nobody else's.
func TestLogRecords(t *testing.T) {
	h := start(t, nil, nil)
	records := func() plog.Logs {
		ld := plog.NewLogs()
		for _, service := range []string{"orders", "stock", ""} {
			rl := ld.ResourceLogs().AppendEmpty()
			rl.Resource().Attributes().PutStr("service.name", service)
			lr := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
			lr.Body().SetStr("hello")
			lr.Attributes().PutStr("breaker.reason", "mine")
		}
		return ld
	}
	written := func() (out []map[string]any) {
		all := h.pipelines.logs.AllLogs()
		for _, rl := range all[len(all)-1].ResourceLogs().All() {
			out = append(out, rl.ScopeLogs().At(0).LogRecords().At(0).Attributes().AsRaw())
		}
		return out
	}
	own := map[string]any{"breaker.reason": "mine"}
	untouched := records()
	untouched.MarkReadOnly()
	require.NoError(t, h.logs(t.Context(), untouched))
	assert.Equal(t, []map[string]any{own, own, own}, written())
	s := h.outage(t)
	require.NoError(t, h.logs(t.Context(), records()))
	assert.Equal(t, []map[string]any{{
		"breaker.name": "orders->postgresql/shop", "breaker.state": "open", "breaker.advice": "reject", "breaker.reason": "mine",
	}, own, own}, written())
	require.NoError(t, h.push(t.Context(), s.batch(400, 50*time.Millisecond, false)))
	require.NoError(t, h.logs(t.Context(), records()))
	assert.Equal(t, []map[string]any{own, own, own}, written(), "closed again")
	m, err := h.tel.GetMetric("otelcol_processor_breaker_annotated_log_records")
	require.NoError(t, err)
	assert.Contains(t, fmt.Sprintf("%+v", m.Data), "Value:1 ")
}

func TestConcurrentUse(t *testing.T) {
	h := start(t, nil, nil)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			s := &stream{span: uint64(g) << 32}
			for i := range 40 {
				assert.NoError(t, h.push(t.Context(), s.batch(100, 10*time.Millisecond, i%4 == 3)))
				if i%10 == 0 {
					_, err := h.tel.GetMetric("otelcol_processor_breaker_tracked")
					assert.NoError(t, err)
				}
			}
		})
	}
	wg.Wait()
	assert.Equal(t, 8*40*100, h.traces.SpanCount())
	h.stop()
}

func TestMetrics(t *testing.T) {
	h := start(t, nil, nil)
	s := h.outage(t)
	in := s.batch(3, 50*time.Millisecond, true)
	spans := in.ResourceSpans().At(0).ScopeSpans().At(0).Spans()
	spans.At(1).SetSpanID(spans.At(0).SpanID())
	spans.At(1).SetTraceID(spans.At(0).TraceID())
	spans.At(2).SetEndTimestamp(pcommon.NewTimestampFromTime(epoch.Add(45 * time.Second)))
	spans.At(2).SetStartTimestamp(pcommon.NewTimestampFromTime(epoch.Add(45 * time.Second)))
	require.NoError(t, h.push(t.Context(), in))
	value := func(name string) string {
		m, err := h.tel.GetMetric("otelcol_processor_breaker_" + name)
		require.NoError(t, err, name)
		return fmt.Sprintf("%+v", m.Data)
	}
	for name, parts := range map[string][]string{
		"state":           {"orders->postgresql/shop", "half_open", "forced_open", "disabled"},
		"obedience":       {"orders->postgresql/shop"},
		"settling":        {"Value:2 "},
		"trace_looks":     {"Value:"},
		"tracked":         {"closed", "half_open", "open"},
		"transitions":     {"from", "to"},
		"late_spans":      {"Value:1 "},
		"spans_skipped":   {"duplicate"},
		"annotated_spans": {"open"},
	} {
		got := value(name)
		for _, p := range append(parts, "processor", "breaker") {
			assert.Contains(t, got, p, name)
		}
	}
}

// The reason is that of breaker.suppressed alone; what is over is no finding.
func TestFindings(t *testing.T) {
	h := start(t, nil, nil)
	for _, ev := range []decision.Event{
		{Name: decision.Suppressed}, {Name: decision.RetryStorm}, {Name: decision.RetryStorm, Over: true}, {Name: decision.Suppressed},
	} {
		ev.Withheld = "deeper_open"
		h.engine.telemetry.event(&ev)
	}
	m, err := h.tel.GetMetric("otelcol_processor_breaker_findings")
	require.NoError(t, err)
	got := map[string]int64{}
	for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
		event, _ := p.Attributes.Value(metricEvent)
		reason, _ := p.Attributes.Value(metricReason)
		got[event.AsString()+" "+reason.AsString()] = p.Value
	}
	assert.Equal(t, map[string]int64{"breaker.suppressed deeper_open": 2, "breaker.retry_storm ": 1}, got)
}

func TestOneEngineForBothSignals(t *testing.T) {
	f := &factory{}
	cfg := createDefaultConfig()
	set := nopSettings()
	a, err := f.engine(set, cfg)
	require.NoError(t, err)
	b, err := f.engine(set, cfg)
	require.NoError(t, err)
	other, err := f.engine(set, createDefaultConfig())
	require.NoError(t, err)
	assert.Same(t, a.Value(), b.Value())
	assert.NotSame(t, a.Value(), other.Value())
	for _, r := range []component.Component{a, b, other} {
		require.NoError(t, r.Shutdown(t.Context()), "without Start")
		require.NoError(t, r.Shutdown(t.Context()), "twice")
	}
}

// In several logs pipelines each event goes out once, and goes on going out when the one that carried it ends.
func TestSeveralLogsPipelines(t *testing.T) {
	f := NewFactory()
	cfg := f.CreateDefaultConfig()
	set := nopSettings()
	traces, err := f.CreateTraces(t.Context(), set, cfg, consumertest.NewNop())
	require.NoError(t, err)
	require.NoError(t, traces.Start(t.Context(), componenttest.NewNopHost()))
	var sinks [3]*consumertest.LogsSink
	var logs [3]component.Component
	for i := range sinks {
		sinks[i] = new(consumertest.LogsSink)
		logs[i], err = f.CreateLogs(t.Context(), set, cfg, sinks[i])
		require.NoError(t, err)
		require.NoError(t, logs[i].Start(t.Context(), componenttest.NewNopHost()))
	}
	h := &harness{push: traces.ConsumeTraces}
	s := h.outage(t)
	require.Eventually(t, func() bool { return sinks[0].LogRecordCount() == 1 }, 10*time.Second, time.Millisecond)
	require.NoError(t, logs[0].Shutdown(t.Context()))
	require.NoError(t, h.push(t.Context(), s.batch(400, 50*time.Millisecond, false)))
	require.NoError(t, logs[1].Shutdown(t.Context()))
	require.NoError(t, logs[2].Shutdown(t.Context()), "the last to go delivers what is queued")
	require.NoError(t, traces.Shutdown(t.Context()))
	assert.Equal(t, 1, sinks[0].LogRecordCount())
	assert.Equal(t, 1, sinks[1].LogRecordCount()+sinks[2].LogRecordCount())
}

// Without a logs pipeline spans are annotated all the same, and the lost events are counted.
func TestTracesOnly(t *testing.T) {
	tel := componenttest.NewTelemetry()
	defer func() { require.NoError(t, tel.Shutdown(context.Background())) }()
	set := nopSettings()
	set.TelemetrySettings = tel.NewTelemetrySettings()
	sink := new(consumertest.TracesSink)
	p, err := NewFactory().CreateTraces(t.Context(), set, createDefaultConfig(), sink)
	require.NoError(t, err)
	require.NoError(t, p.Start(t.Context(), componenttest.NewNopHost()))
	only := &harness{pipelines: pipelines{traces: sink}, push: p.ConsumeTraces}
	only.outage(t)
	assert.Equal(t, "open", breakerAttributes(only.last().Attributes())[keyState])
	assert.Positive(t, valueOf(t, tel, "events_lost", metricReason, "no_logs_pipeline"))
	require.NoError(t, p.Shutdown(context.Background()))
}

// stuck is a logs pipeline that takes nothing before its gate opens.
type stuck struct {
	consumer.Logs
	gate chan struct{}
}

func (s stuck) ConsumeLogs(ctx context.Context, ld plog.Logs) error {
	<-s.gate
	return s.Logs.ConsumeLogs(ctx, ld)
}

// When the logs pipeline is stuck, spans pass all the same; the events that are lost are counted, and said once.
func TestEventQueueFull(t *testing.T) {
	tel := componenttest.NewTelemetry()
	defer func() { require.NoError(t, tel.Shutdown(context.Background())) }()
	set := nopSettings()
	set.TelemetrySettings = tel.NewTelemetrySettings()
	core, logged := observer.New(zap.WarnLevel)
	set.Logger = zap.New(core)
	cfg := createDefaultConfig().(*Config)
	cfg.EventQueueSize = 1
	e, err := newEngine(set, cfg)
	require.NoError(t, err)
	sink := stuck{new(consumertest.LogsSink), make(chan struct{})}
	outlet := e.emitter.Attach(sink)
	require.NoError(t, e.Start(t.Context(), componenttest.NewNopHost()))
	h := &harness{push: func(ctx context.Context, td ptrace.Traces) error {
		_, err := e.processTraces(ctx, td)
		return err
	}}
	s := h.outage(t)
	require.NoError(t, h.push(t.Context(), s.batch(600, 100*time.Millisecond, false)))
	require.NoError(t, h.push(t.Context(), s.batch(100, 50*time.Millisecond, true)))
	close(sink.gate)
	require.NoError(t, outlet.Detach(t.Context()))
	assert.Positive(t, valueOf(t, tel, "events_lost", metricReason, "queue_full"))
	require.Equal(t, 1, logged.Len())
	assert.Contains(t, logged.All()[0].Message, "raise event_queue_size")
	require.NoError(t, e.Shutdown(t.Context()))
}

// What comes again and again in healthy minutes costs no allocation a span.
func TestHotPathAllocatesNothing(t *testing.T) {
	h := start(t, nil, nil)
	s := &stream{}
	h.engine.processTraces(t.Context(), s.batch(2000, time.Millisecond, false))
	td := s.batch(1000, time.Millisecond, false)
	spans := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans()
	b := new(batch) // not from the pool, which may let go of its scratch memory
	assert.Zero(t, testing.AllocsPerRun(50, func() {
		for _, span := range spans.All() { // new ids, or they are duplicates
			id := span.SpanID()
			id[0]++
			span.SetSpanID(id)
		}
		h.engine.analyse(td, b)
	}), "a batch of 1,000 spans")
}

func BenchmarkProcessTraces(b *testing.B) {
	h := start(b, nil, nil)
	s := &stream{}
	td := s.batch(1000, time.Millisecond, false)
	spans := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans()
	b.ReportAllocs()
	for i := range b.N {
		b.StopTimer()
		for _, span := range spans.All() {
			id := span.SpanID()
			binary.BigEndian.PutUint32(id[:4], uint32(i+1))
			span.SetSpanID(id)
		}
		b.StartTimer()
		h.engine.processTraces(b.Context(), td)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/span")
}
