// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor/processortest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/metadata"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)

// stream writes spans of orders that call postgresql/shop.
type stream struct {
	at   time.Duration // since epoch
	span uint64
}

// batch makes n calls, gap apart; bad ones fail.
func (s *stream) batch(n int, gap time.Duration, bad bool) ptrace.Traces {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "orders")
	rs.Resource().Attributes().PutStr("host.name", "h1")
	ss := rs.ScopeSpans().AppendEmpty()
	for range n {
		s.at += gap
		s.call(ss.Spans().AppendEmpty(), bad)
	}
	return td
}

func (s *stream) call(span ptrace.Span, bad bool) {
	s.span++
	var id [8]byte
	binary.BigEndian.PutUint64(id[:], s.span)
	span.SetSpanID(id)
	span.SetTraceID([16]byte{1, 15: byte(s.span)})
	span.SetKind(ptrace.SpanKindClient)
	span.SetName("SELECT stock")
	end := epoch.Add(s.at)
	span.SetStartTimestamp(pcommon.NewTimestampFromTime(end.Add(-2 * time.Millisecond)))
	span.SetEndTimestamp(pcommon.NewTimestampFromTime(end))
	span.Attributes().PutStr("db.system.name", "postgresql")
	span.Attributes().PutStr("db.namespace", "shop")
	if bad {
		span.Status().SetCode(ptrace.StatusCodeError)
		span.Attributes().PutStr("error.type", "timeout")
	}
}

// harness is a breaker in a traces and a logs pipeline.
type harness struct {
	pipelines
	engine *breakerEngine
	in     component.Component
	push   func(context.Context, ptrace.Traces) error
	logs   func(context.Context, plog.Logs) error
	tel    *componenttest.Telemetry
	stop   func()
}

type statusHost struct {
	component.Host
	mu     sync.Mutex
	events []componentstatus.Status
}

func (h *statusHost) Report(ev *componentstatus.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, ev.Status())
}

func start(t testing.TB, host component.Host, change func(*Config)) *harness {
	t.Helper()
	h := &harness{pipelines: pipelines{new(consumertest.TracesSink), new(consumertest.LogsSink)}, tel: componenttest.NewTelemetry()}
	f := &factory{}
	cfg := createDefaultConfig().(*Config)
	if change != nil {
		change(cfg)
	}
	require.NoError(t, cfg.Validate())
	set := processortest.NewNopSettings(metadata.Type)
	set.TelemetrySettings = h.tel.NewTelemetrySettings()
	set.Resource.Attributes().PutStr("service.name", "otelcol")
	traces, err := f.createTraces(t.Context(), set, cfg, h.traces)
	require.NoError(t, err)
	logs, err := f.createLogs(t.Context(), set, cfg, h.pipelines.logs)
	require.NoError(t, err)
	ref, err := f.engine(set, cfg)
	require.NoError(t, err)
	h.engine = ref.Value()
	require.NoError(t, ref.Shutdown(t.Context()))
	if host == nil {
		host = componenttest.NewNopHost()
	}
	for _, c := range []component.Component{traces, logs} {
		require.NoError(t, c.Start(t.Context(), host))
	}
	h.push, h.logs = traces.ConsumeTraces, logs.ConsumeLogs
	h.stop = sync.OnceFunc(func() {
		require.NoError(t, traces.Shutdown(context.Background()))
		require.NoError(t, logs.Shutdown(context.Background()))
		require.NoError(t, h.tel.Shutdown(context.Background()))
	})
	t.Cleanup(h.stop)
	return h
}

// outage sends a healthy minute, then failures until the breaker is open.
func (h *harness) outage(t testing.TB) *stream {
	s := &stream{}
	require.NoError(t, h.push(t.Context(), s.batch(1200, 50*time.Millisecond, false)))
	require.NoError(t, h.push(t.Context(), s.batch(60, 50*time.Millisecond, true)))
	return s
}

func (h *harness) last() ptrace.Span {
	all := h.traces.AllTraces()
	spans := all[len(all)-1].ResourceSpans().At(0).ScopeSpans().At(0).Spans()
	return spans.At(spans.Len() - 1)
}

// requireSame compares the bytes on the wire: NaN equals itself there, and order counts.
func requireSame(t *testing.T, want, got ptrace.Traces) {
	t.Helper()
	var m ptrace.ProtoMarshaler
	a, err := m.MarshalTraces(want)
	require.NoError(t, err)
	b, err := m.MarshalTraces(got)
	require.NoError(t, err)
	require.True(t, bytes.Equal(a, b), "what came out differs from what went in")
}

func breakerAttributes(m pcommon.Map) map[string]any {
	out := map[string]any{}
	for k, v := range m.All() {
		if strings.HasPrefix(k, "breaker.") {
			out[k] = v.AsRaw()
		}
	}
	return out
}

func TestAnnotatesAndTells(t *testing.T) {
	h := start(t, nil, nil)
	s := h.outage(t)
	assert.Equal(t, map[string]any{
		"breaker.name": "orders->postgresql/shop", "breaker.state": "open", "breaker.advice": "reject", "breaker.reason": "fast_failure_rate",
	}, breakerAttributes(h.last().Attributes()))
	require.NoError(t, h.push(t.Context(), s.batch(60, 100*time.Millisecond, false)))
	assert.Equal(t, map[string]any{
		"breaker.name": "orders->postgresql/shop", "breaker.state": "half_open", "breaker.advice": "probe", "breaker.reason": "fast_failure_rate",
	}, breakerAttributes(h.last().Attributes()))
	require.NoError(t, h.push(t.Context(), s.batch(120, 100*time.Millisecond, false)))
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
	require.Equal(t, []string{"open", "half_open", "closed"}, states, "each once")
	record := h.pipelines.logs.AllLogs()[0].ResourceLogs().At(0)
	assert.Equal(t, map[string]any{"service.name": "otelcol"}, record.Resource().Attributes().AsRaw())
	lr := record.ScopeLogs().At(0).LogRecords().At(0)
	assert.Equal(t, "breaker.state_changed", lr.EventName())
	assert.Equal(t, plog.SeverityNumberWarn, lr.SeverityNumber())
	assert.Equal(t, epoch.Add(62*time.Second), lr.Timestamp().AsTime())
	assert.NotEqual(t, pcommon.NewSpanIDEmpty(), lr.SpanID(), "with a failed call as an example")
	assert.Equal(t, "Breaker orders->postgresql/shop is open: 98 % of 40 calls failed within 2s.", lr.Body().Str())
	attrs := lr.Attributes().AsRaw()
	assert.InDelta(t, 5, attrs["breaker.open.duration"], 1.01)
	delete(attrs, "breaker.open.duration")
	assert.Equal(t, map[string]any{
		"breaker.name": "orders->postgresql/shop", "breaker.state": "open", "breaker.previous_state": "closed",
		"breaker.advice": "reject", "breaker.reason": "fast_failure_rate", "breaker.caller.name": "orders",
		"breaker.callee.name": "postgresql/shop", "breaker.callee.kind": "database",
		"breaker.failure.ratio": 0.975, "breaker.window.requests": int64(40), "breaker.attempt": int64(0),
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
		require.Len(t, breakerAttributes(span.Attributes()), 4)
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
		"breaker.name": "orders->postgresql/shop", "breaker.state": int64(7), "breaker.advice": "reject", "breaker.reason": "mine",
	}, breakerAttributes(h.last().Attributes()))
}

func TestLogsPassUntouched(t *testing.T) {
	h := start(t, nil, nil)
	ld := plog.NewLogs()
	ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty().Body().SetStr("hello")
	ld.MarkReadOnly()
	require.NoError(t, h.logs(t.Context(), ld))
	assert.Equal(t, 1, h.pipelines.logs.LogRecordCount())
}

// Whatever is wrong with a span: it is forwarded once, unchanged, and what follows is analysed as if nothing was.
func TestBadInput(t *testing.T) {
	huge := strings.Repeat("x", 1<<20)
	tests := map[string]func(ptrace.ResourceSpans, ptrace.Span){
		"no ids": func(_ ptrace.ResourceSpans, s ptrace.Span) {
			s.SetTraceID([16]byte{})
			s.SetSpanID([8]byte{})
		},
		"no service name": func(rs ptrace.ResourceSpans, _ ptrace.Span) { rs.Resource().Attributes().Clear() },
		"service name of a wrong type": func(rs ptrace.ResourceSpans, _ ptrace.Span) {
			rs.Resource().Attributes().PutEmptyMap("service.name").PutStr("a", "b")
		},
		"end before start": func(_ ptrace.ResourceSpans, s ptrace.Span) { s.SetEndTimestamp(s.StartTimestamp() - 1) },
		"no time": func(_ ptrace.ResourceSpans, s ptrace.Span) {
			s.SetStartTimestamp(0)
			s.SetEndTimestamp(0)
		},
		"far future":     func(_ ptrace.ResourceSpans, s ptrace.Span) { s.SetEndTimestamp(math.MaxInt64) },
		"beyond time":    func(_ ptrace.ResourceSpans, s ptrace.Span) { s.SetEndTimestamp(math.MaxUint64) },
		"far past":       func(_ ptrace.ResourceSpans, s ptrace.Span) { s.SetStartTimestamp(1); s.SetEndTimestamp(2) },
		"its own parent": func(_ ptrace.ResourceSpans, s ptrace.Span) { s.SetParentSpanID(s.SpanID()) },
		"10,000 links":   func(_ ptrace.ResourceSpans, s ptrace.Span) { s.Links().EnsureCapacity(10_000); links(s, 10_000) },
		"attribute of 1 MB": func(_ ptrace.ResourceSpans, s ptrace.Span) {
			s.Attributes().PutStr("db.namespace", huge)
			s.Attributes().PutStr("error.type", huge)
		},
		"wrong types": func(_ ptrace.ResourceSpans, s ptrace.Span) {
			s.Attributes().PutEmptySlice("db.namespace").AppendEmpty().SetInt(1)
			s.Attributes().PutDouble("db.system.name", math.NaN())
			s.Attributes().PutEmptyBytes("error.type").Append(0xff)
			s.Attributes().PutBool("server.address", true)
		},
		"broken tracestate": func(_ ptrace.ResourceSpans, s ptrace.Span) { s.TraceState().FromRaw("ot=th:zz;p:-5,,=,=") },
		"kind out of range": func(_ ptrace.ResourceSpans, s ptrace.Span) { s.SetKind(99) },
		"says nothing":      func(_ ptrace.ResourceSpans, s ptrace.Span) { s.Attributes().Clear() },
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			h := start(t, nil, nil)
			s := &stream{}
			require.NoError(t, h.push(t.Context(), s.batch(1200, 50*time.Millisecond, false)))
			bad := s.batch(20, 0, false)
			for _, span := range bad.ResourceSpans().At(0).ScopeSpans().At(0).Spans().All() {
				spoil(bad.ResourceSpans().At(0), span)
			}
			want := ptrace.NewTraces()
			bad.CopyTo(want)
			require.NoError(t, h.push(t.Context(), bad))
			assert.Equal(t, 1220, h.traces.SpanCount())
			got := h.traces.AllTraces()[1]
			requireSame(t, want, got)
			require.NoError(t, h.push(t.Context(), s.batch(60, 50*time.Millisecond, true)))
			assert.Equal(t, "open", breakerAttributes(h.last().Attributes())[keyState])
			metric, err := h.tel.GetMetric("otelcol_processor_breaker_panics")
			assert.Error(t, err, "no panic: %v", metric)
		})
	}
}

func links(s ptrace.Span, n int) {
	for i := range n {
		l := s.Links().AppendEmpty()
		l.SetTraceID([16]byte{byte(i), 1})
		l.SetSpanID([8]byte{byte(i), 1})
	}
}

// Spans that are each other's parents.
func TestCycle(t *testing.T) {
	h := start(t, nil, nil)
	s := &stream{}
	td := s.batch(100, time.Millisecond, true)
	spans := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans()
	for i, span := range spans.All() {
		span.SetTraceID([16]byte{7})
		span.SetParentSpanID(spans.At((i + 1) % spans.Len()).SpanID())
		if i%2 == 0 {
			span.SetKind(ptrace.SpanKindServer)
		}
	}
	require.NoError(t, h.push(t.Context(), td))
	assert.Equal(t, 100, h.traces.SpanCount())
}

// A million distinct callees: the table is bounded, what falls beyond is counted, and all of it passes.
func TestEdgeStorm(t *testing.T) {
	if testing.Short() {
		t.Skip("a million spans")
	}
	h := start(t, nil, func(c *Config) { c.MaxEdges = 1000 })
	s := &stream{}
	for i := range 200 {
		td := s.batch(5000, 10*time.Microsecond, true)
		for k, span := range td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().All() {
			span.Attributes().PutStr("db.namespace", fmt.Sprint("db-", i, "-", k))
		}
		require.NoError(t, h.push(t.Context(), td))
		assert.Equal(t, 5000, h.traces.SpanCount())
		h.traces.Reset()
	}
	assert.Equal(t, 1000, int(h.engine.core.States()[0]))
	hits, err := h.tel.GetMetric("otelcol_processor_breaker_limit_hits")
	require.NoError(t, err)
	assert.Contains(t, fmt.Sprint(hits.Data), "999000")
}

// A defect of ours costs the analysis, not the telemetry: counted, logged once, reported, and over when it is over.
func TestPanicIsContained(t *testing.T) {
	host := &statusHost{Host: componenttest.NewNopHost()}
	h := start(t, host, nil)
	core, logged := observer.New(zap.ErrorLevel)
	h.engine.logger = zap.New(core)
	s := h.outage(t)
	read := h.engine.read
	h.engine.read = func(b *call.Batch, td ptrace.Traces) {
		read(b, td)
		b.Calls[3].Resource = 99 // out of range, under the lock
	}
	for range 3 {
		require.NoError(t, h.push(t.Context(), s.batch(10, 50*time.Millisecond, true)))
		assert.Empty(t, breakerAttributes(h.last().Attributes()))
	}
	assert.Equal(t, 1290, h.traces.SpanCount())
	assert.Equal(t, 1, logged.Len())
	panics, err := h.tel.GetMetric("otelcol_processor_breaker_panics")
	require.NoError(t, err)
	assert.Contains(t, fmt.Sprint(panics.Data), " 3 ")

	h.engine.read = read
	require.NoError(t, h.push(t.Context(), s.batch(1200, 50*time.Millisecond, false)))
	require.NoError(t, h.push(t.Context(), s.batch(60, 50*time.Millisecond, true)))
	assert.Equal(t, "open", breakerAttributes(h.last().Attributes())[keyState], "it works again")
	bad, ok := componentstatus.StatusRecoverableError, componentstatus.StatusOK
	assert.Equal(t, []componentstatus.Status{bad, bad, bad, ok}, host.events)
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
		"state":           {"orders->postgresql/shop", "half_open"},
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

func TestOneEngineForBothSignals(t *testing.T) {
	f := &factory{}
	cfg := createDefaultConfig()
	set := processortest.NewNopSettings(metadata.Type)
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

// Without a logs pipeline spans are annotated all the same, and the lost events are counted.
func TestTracesOnly(t *testing.T) {
	tel := componenttest.NewTelemetry()
	defer func() { require.NoError(t, tel.Shutdown(context.Background())) }()
	set := processortest.NewNopSettings(metadata.Type)
	set.TelemetrySettings = tel.NewTelemetrySettings()
	sink := new(consumertest.TracesSink)
	p, err := NewFactory().CreateTraces(t.Context(), set, createDefaultConfig(), sink)
	require.NoError(t, err)
	require.NoError(t, p.Start(t.Context(), componenttest.NewNopHost()))
	only := &harness{pipelines: pipelines{traces: sink}, push: p.ConsumeTraces}
	only.outage(t)
	assert.Equal(t, "open", breakerAttributes(only.last().Attributes())[keyState])
	lost, err := tel.GetMetric("otelcol_processor_breaker_events_lost")
	require.NoError(t, err)
	assert.Contains(t, fmt.Sprintf("%+v", lost.Data), "no_logs_pipeline")
	require.NoError(t, p.Shutdown(context.Background()))
}

// What comes again and again in healthy minutes costs no allocation a span.
func TestHotPathAllocatesNothing(t *testing.T) {
	h := start(t, nil, nil)
	s := &stream{}
	h.engine.processTraces(t.Context(), s.batch(2000, time.Millisecond, false))
	td := s.batch(1000, time.Millisecond, false)
	spans := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans()
	perBatch := testing.AllocsPerRun(50, func() {
		for _, span := range spans.All() { // new ids, or they are duplicates
			id := span.SpanID()
			id[0]++
			span.SetSpanID(id)
		}
		h.engine.processTraces(t.Context(), td)
	})
	assert.Less(t, perBatch, 5.0, "a batch of 1,000 spans; the pool may let go of its scratch memory")
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
