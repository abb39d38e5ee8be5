// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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

var ours = []string{keyIncidentID, keyRole, keyNode, keyKind, keyReason, keyScore, keyPath, keyWarnings}

// strip takes our own keys away.
func strip(m pcommon.Map) {
	m.RemoveIf(func(k string, _ pcommon.Value) bool { return slices.Contains(ours, k) })
}

func stripTraces(td ptrace.Traces) ptrace.Traces {
	for _, rs := range td.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				strip(s.Attributes())
			}
		}
	}
	return td
}

func tracesOf(t *testing.T, td ptrace.Traces) []byte {
	b, err := new(ptrace.ProtoMarshaler).MarshalTraces(td)
	require.NoError(t, err)
	return b
}

func logsOf(t *testing.T, ld plog.Logs) []byte {
	b, err := new(plog.ProtoMarshaler).MarshalLogs(ld)
	require.NoError(t, err)
	return b
}

func copyOf(td ptrace.Traces) ptrace.Traces {
	c := ptrace.NewTraces()
	td.CopyTo(c)
	return c
}

// badInput is one batch for each kind of bad input, made from a request that is good (but failed).
func badInput(r *rig, at int64) map[string]ptrace.Traces {
	out := map[string]ptrace.Traces{"empty": ptrace.NewTraces()}
	variant := func(name string, spoil func(i int, rs ptrace.ResourceSpans, s ptrace.Span)) {
		td := ptrace.NewTraces()
		r.request(td, at, true)
		for i, rs := range td.ResourceSpans().All() {
			spoil(i, rs, rs.ScopeSpans().At(0).Spans().At(0))
		}
		out[name] = td
	}
	variant("no ids", func(_ int, _ ptrace.ResourceSpans, s ptrace.Span) {
		s.SetTraceID(pcommon.TraceID{})
		s.SetSpanID(pcommon.SpanID{})
	})
	variant("no service.name", func(_ int, rs ptrace.ResourceSpans, _ ptrace.Span) { rs.Resource().Attributes().Clear() })
	variant("end before start", func(_ int, _ ptrace.ResourceSpans, s ptrace.Span) { s.SetEndTimestamp(s.StartTimestamp() - 1) })
	variant("no time", func(_ int, _ ptrace.ResourceSpans, s ptrace.Span) { s.SetStartTimestamp(0); s.SetEndTimestamp(0) })
	variant("the beginning of time", func(_ int, _ ptrace.ResourceSpans, s ptrace.Span) { s.SetStartTimestamp(1); s.SetEndTimestamp(2) })
	variant("the end of time", func(_ int, _ ptrace.ResourceSpans, s ptrace.Span) { s.SetEndTimestamp(1<<63 - 1) })
	variant("beyond it", func(_ int, _ ptrace.ResourceSpans, s ptrace.Span) { s.SetEndTimestamp(1<<64 - 1) })
	variant("self-parented", func(_ int, _ ptrace.ResourceSpans, s ptrace.Span) { s.SetParentSpanID(s.SpanID()) })
	variant("a cycle", func(i int, _ ptrace.ResourceSpans, s ptrace.Span) {
		s.SetParentSpanID(pcommon.SpanID{7: []byte{3, 1, 2}[i]})
	})
	variant("10,000 links", func(_ int, _ ptrace.ResourceSpans, s ptrace.Span) {
		for i := range 10_000 {
			l := s.Links().AppendEmpty()
			l.SetSpanID(pcommon.SpanID{0: byte(i), 1: byte(i >> 8), 7: 1})
			l.SetTraceID(pcommon.TraceID{1})
		}
	})
	variant("attributes of wrong types", func(_ int, rs ptrace.ResourceSpans, s ptrace.Span) {
		rs.Resource().Attributes().PutInt("service.instance.id", 7)
		rs.Resource().Attributes().PutEmptySlice("service.version")
		for _, k := range []string{"peer.service", "http.response.status_code", "db.system.name", "server.address", "messaging.system", "rpc.system"} {
			s.Attributes().PutEmptyMap(k).PutDouble("x", 1)
		}
		s.Attributes().PutEmptyBytes("error.type").Append(0xff, 0xfe)
	})
	variant("service.name of a wrong type", func(_ int, rs ptrace.ResourceSpans, _ ptrace.Span) {
		rs.Resource().Attributes().PutBool("service.name", true)
	})
	huge := strings.Repeat("ü", 1<<19)
	variant("attributes of a megabyte", func(_ int, rs ptrace.ResourceSpans, s ptrace.Span) {
		s.SetName(huge)
		s.Attributes().PutStr("server.address", huge)
		s.Attributes().PutStr("url.full", "http://"+huge)
		rs.Resource().Attributes().PutStr("service.instance.id", huge)
	})
	return out
}

// Bad input goes out as it came in, once each, at rest and in an incident.
func TestBadInputIsForwardedUntouched(t *testing.T) {
	for _, open := range []bool{false, true} {
		t.Run(map[bool]string{false: "at rest", true: "in an incident"}[open], func(t *testing.T) {
			r := newRig(t, 1).start()
			now := int64(0)
			if open {
				now = r.incident()
			}
			inputs := badInput(r, dawn+now*second)
			for _, name := range slices.Sorted(maps.Keys(inputs)) {
				want := copyOf(inputs[name])
				r.spans.Reset()
				require.NoError(t, r.traces.ConsumeTraces(t.Context(), inputs[name]), name)
				got := r.spans.AllTraces()
				require.Len(t, got, 1, name)
				assert.True(t, bytes.Equal(tracesOf(t, want), tracesOf(t, stripTraces(got[0]))), "%s: something was changed", name)
			}
			r.traffic(now, now+20, open)
			assert.Equal(t, open, len(r.engine.core.Open()) > 0, "and the analysis goes on")
			r.stop()
			metadatatest.AssertEqualProcessorRcaPanics(t, r.telemetry, point(0), metricdatatest.IgnoreTimestamp())
		})
	}
}

// What is left out is counted by its reason.
func TestBadInputIsCounted(t *testing.T) {
	r := newRig(t, 1).start()
	r.traffic(0, 20, false)
	inputs := badInput(r, dawn+20*second)
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		require.NoError(t, r.traces.ConsumeTraces(t.Context(), inputs[name]))
	}
	each := func(reason string, n int64) metricdata.DataPoint[int64] {
		return metricdata.DataPoint[int64]{Value: n, Attributes: attribute.NewSet(
			attribute.String("processor", "rca"), attribute.String("reason", reason))}
	}
	metadatatest.AssertEqualProcessorRcaSpansSkipped(t, r.telemetry, []metricdata.DataPoint[int64]{
		each("no_ids", 3), each("no_service_name", 6), each("end_before_start", 3), each("no_time", 6),
		each("self_parented", 3), each("too_many_links", 3*(10_000-8)), each("wrong_type", 3*2+3*7+3), each("future", 3),
	}, metricdatatest.IgnoreTimestamp())
	r.stop()
}

func TestLogsAreForwardedUntouched(t *testing.T) {
	for _, open := range []bool{false, true} {
		r := newRig(t, 1).start()
		if open {
			r.incident()
		}
		spoilt := logOf("orders", pcommon.TraceID{}, plog.SeverityNumberFatal)
		spoilt.ResourceLogs().At(0).Resource().Attributes().PutEmptyBytes("service.version").Append(1)
		nameless := logOf("", pcommon.TraceID{}, plog.SeverityNumberError)
		nameless.ResourceLogs().At(0).Resource().Attributes().Clear()
		for _, ld := range []plog.Logs{
			plog.NewLogs(), spoilt, nameless, logOf("orders", pcommon.TraceID{1}, 0), logOf(strings.Repeat("x", 1<<20), pcommon.TraceID{1}, 99),
		} {
			want := plog.NewLogs()
			ld.CopyTo(want)
			r.records[0].Reset()
			require.NoError(t, r.logs[0].ConsumeLogs(t.Context(), ld))
			got := r.records[0].AllLogs()
			require.Len(t, got, 1)
			for _, rl := range got[0].ResourceLogs().All() {
				for _, lr := range rl.ScopeLogs().At(0).LogRecords().All() {
					strip(lr.Attributes())
				}
			}
			assert.Equal(t, logsOf(t, want), logsOf(t, got[0]))
		}
		r.stop()
	}
}

func TestAnnotations(t *testing.T) {
	r := newRig(t, 1).start()
	now := r.incident()
	r.spans.Reset()
	td := ptrace.NewTraces()
	trace := r.request(td, dawn+now*second, true)
	r.request(td, dawn+now*second, false)
	hurt := td.ResourceSpans().At(2).ScopeSpans().At(0).Spans().At(0)
	hurt.Attributes().PutStr(keyRole, "mine")
	hurt.Attributes().PutInt(keyIncidentID, 7)
	hurt.Attributes().PutStr(keyScore, "high")
	require.NoError(t, r.traces.ConsumeTraces(t.Context(), td))

	require.Len(t, r.engine.core.Open(), 1)
	in := r.engine.core.Open()[0]
	common := map[string]any{
		keyIncidentID: in.ID, keyNode: "orders", keyKind: "service", keyReason: "errors",
		keyScore: in.Verdict.Score, keyPath: "gateway > orders",
	}
	with := func(extra map[string]any) map[string]any {
		m := maps.Clone(common)
		maps.Copy(m, extra)
		return m
	}
	got := r.spans.AllTraces()[0]
	var attrs []map[string]any
	for _, rs := range got.ResourceSpans().All() {
		a := rs.ScopeSpans().At(0).Spans().At(0).Attributes()
		rca := 0
		for k := range a.All() {
			if strings.HasPrefix(k, "rca.") {
				rca++
			}
		}
		assert.LessOrEqual(t, rca, 8)
		attrs = append(attrs, a.AsRaw())
	}
	assert.Equal(t, []map[string]any{
		with(map[string]any{keyRole: "symptom"}),
		with(map[string]any{keyRole: "symptom", "peer.service": "orders"}),
		with(map[string]any{keyRole: "mine", keyIncidentID: int64(7), keyScore: "high"}), // what the user has set stays
		{}, {"peer.service": "orders"}, {}, // what is well is left alone
	}, attrs)

	r.records[0].Reset()
	for _, ld := range []plog.Logs{
		logOf("orders", trace, plog.SeverityNumberInfo), logOf("gateway", pcommon.TraceID{}, plog.SeverityNumberWarn),
		logOf("mailer", trace, plog.SeverityNumberInfo), logOf("mailer", pcommon.TraceID{}, plog.SeverityNumberFatal),
		logOf("gateway", pcommon.TraceID{}, plog.SeverityNumberInfo),
	} {
		ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).Attributes().PutStr(keyPath, "mine")
		require.NoError(t, r.logs[0].ConsumeLogs(t.Context(), ld))
	}
	var roles []any
	for _, ld := range r.records[0].AllLogs() {
		a := ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).Attributes().AsRaw()
		roles = append(roles, a[keyRole])
		assert.Equal(t, "mine", a[keyPath])
	}
	assert.Equal(t, []any{"root_cause", "symptom", "symptom", nil, nil}, roles)

	role := func(role string, n int64) metricdata.DataPoint[int64] {
		return metricdata.DataPoint[int64]{Value: n, Attributes: attribute.NewSet(
			attribute.String("processor", "rca"), attribute.String("role", role))}
	}
	metadatatest.AssertEqualProcessorRcaAnnotatedLogs(t, r.telemetry,
		[]metricdata.DataPoint[int64]{role("root_cause", 1), role("symptom", 2)}, metricdatatest.IgnoreTimestamp())
	r.stop()
}

// With all that can be asked for, no span or record gets more than eight attributes; what Jaeger shows as a warning is a
// sentence, on spans only, and none of the user's own goes.
func TestAtMostEightAttributes(t *testing.T) {
	r := newRig(t, 1)
	r.engine.cfg.JaegerWarnings = true
	r.start()
	now := r.incident()
	in := r.engine.core.Open()[0]
	r.spans.Reset()
	td := ptrace.NewTraces()
	id := r.request(td, dawn+now*second, true)
	r.request(td, dawn+now*second, true)
	for i := range 3 {
		td.ResourceSpans().At(3+i).ScopeSpans().At(0).Spans().At(0).Attributes().PutStr(keyWarnings, "mine")
	}
	require.NoError(t, r.traces.ConsumeTraces(t.Context(), td))
	require.NoError(t, r.logs[0].ConsumeLogs(t.Context(), logOf("orders", id, plog.SeverityNumberInfo)))
	hurt := "Hurt in incident " + in.ID + ", whose root cause is orders (errors)."
	var got []any
	for _, rs := range r.spans.AllTraces()[0].ResourceSpans().All() {
		a := rs.ScopeSpans().At(0).Spans().At(0).Attributes()
		a.Remove("peer.service")
		assert.Equal(t, maxAttributes, a.Len(), "all there are: %v", a.AsRaw())
		got = append(got, a.AsRaw()[keyWarnings])
	}
	assert.Equal(t, []any{
		[]any{hurt}, []any{hurt}, []any{"Root cause of incident " + in.ID + ": orders (errors)."}, "mine", "mine", "mine",
	}, got)
	for _, ld := range r.records[0].AllLogs() {
		if sl := ld.ResourceLogs().At(0).ScopeLogs().At(0); sl.Scope().Name() == "" {
			a := sl.LogRecords().At(0).Attributes()
			assert.Equal(t, maxAttributes-1, a.Len())
			assert.NotContains(t, a.AsRaw(), keyWarnings)
		}
	}
	r.stop()
	assert.Equal(t, "Hurt in incident x, whose root cause is not known.", (&annotation{id: "x", node: incident.Unknown}).sentence(engine.Symptom))
}
