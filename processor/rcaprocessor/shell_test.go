// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor

import (
	"context"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/metadatatest"
)

const (
	second = int64(1e9)
	dawn   = 1_700_000_000 * second
)

// rig is one rca in a traces pipeline and in some logs pipelines, with its self-telemetry.
type rig struct {
	t         *testing.T
	telemetry *componenttest.Telemetry
	engine    *rcaEngine
	traces    processor.Traces
	logs      []processor.Logs
	spans     *consumertest.TracesSink
	records   []*consumertest.LogsSink
	serial    uint64
}

func newRig(t *testing.T, logsPipelines int) *rig {
	t.Helper()
	r := &rig{t: t, telemetry: componenttest.NewTelemetry(), spans: new(consumertest.TracesSink)}
	t.Cleanup(func() { assert.NoError(t, r.telemetry.Shutdown(context.Background())) })
	f := &factory{}
	cfg := createDefaultConfig()
	set := metadatatest.NewSettings(r.telemetry)
	var err error
	r.traces, err = f.createTraces(t.Context(), set, cfg, r.spans)
	require.NoError(t, err)
	for range logsPipelines {
		sink := new(consumertest.LogsSink)
		logs, err := f.createLogs(t.Context(), set, cfg, sink)
		require.NoError(t, err)
		r.logs, r.records = append(r.logs, logs), append(r.records, sink)
	}
	ref, err := f.engine(set, cfg)
	require.NoError(t, err)
	r.engine = ref.Value()
	require.NoError(t, ref.Shutdown(t.Context()), "the rig holds no engine back")
	return r
}

func (r *rig) start() *rig {
	r.t.Helper()
	for _, c := range r.components() {
		require.NoError(r.t, c.Start(r.t.Context(), componenttest.NewNopHost()))
	}
	return r
}

func (r *rig) components() []component.Component {
	all := []component.Component{r.traces}
	for _, l := range r.logs {
		all = append(all, l)
	}
	return all
}

func (r *rig) stop() {
	r.t.Helper()
	for _, c := range r.components() {
		require.NoError(r.t, c.Shutdown(context.Background()))
	}
}

// request is one request to a shop: gateway calls orders, which fails or not.
func (r *rig) request(td ptrace.Traces, at int64, failed bool) pcommon.TraceID {
	var trace pcommon.TraceID
	r.serial++
	binary.BigEndian.PutUint64(trace[:], r.serial*0x9e3779b97f4a7c15)
	trace[15] = 1
	add := func(service string, id, parent byte, kind ptrace.SpanKind, from, to int64) {
		rs := td.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", service)
		s := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
		s.SetName("work")
		s.SetTraceID(trace)
		s.SetSpanID(pcommon.SpanID{7: id})
		s.SetParentSpanID(pcommon.SpanID{7: parent})
		s.SetKind(kind)
		s.SetStartTimestamp(pcommon.Timestamp(from))
		s.SetEndTimestamp(pcommon.Timestamp(to))
		if kind == ptrace.SpanKindClient {
			s.Attributes().PutStr("peer.service", "orders")
		}
		if failed {
			s.Status().SetCode(ptrace.StatusCodeError)
		}
	}
	const ms = int64(1e6)
	add("gateway", 1, 0, ptrace.SpanKindServer, at, at+10*ms)
	add("gateway", 2, 1, ptrace.SpanKindClient, at+ms, at+9*ms)
	add("orders", 3, 2, ptrace.SpanKindServer, at+2*ms, at+8*ms)
	return trace
}

// traffic sends 20 requests a second for the seconds [from, to) after dawn.
func (r *rig) traffic(from, to int64, failed bool) {
	r.t.Helper()
	for s := from; s < to; s++ {
		td := ptrace.NewTraces()
		for k := range int64(20) {
			r.request(td, dawn+s*second+k*second/20, failed)
		}
		require.NoError(r.t, r.traces.ConsumeTraces(r.t.Context(), td))
	}
}

// incident sends traffic until an incident with root cause orders is open; it returns the second of the day.
func (r *rig) incident() int64 {
	r.t.Helper()
	r.traffic(0, 120, false)
	r.traffic(120, 145, true)
	require.NotEmpty(r.t, r.engine.core.Open(), "the test needs an open incident")
	return 145
}

func logOf(service string, id pcommon.TraceID, severity plog.SeverityNumber) plog.Logs {
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("service.name", service)
	lr := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	lr.SetTraceID(id)
	lr.SetSeverityNumber(severity)
	lr.Body().SetStr("text")
	return ld
}
