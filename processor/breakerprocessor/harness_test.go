// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor

import (
	"bytes"
	"context"
	"encoding/binary"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processortest"

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
	set := nopSettings()
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

var components atomic.Int64

// nopSettings have an ID of their own: what one test's breaker leaves behind for a reload is not for the next test's.
func nopSettings() processor.Settings {
	set := processortest.NewNopSettings(metadata.Type)
	set.ID = component.NewIDWithName(metadata.Type, strconv.FormatInt(components.Add(1), 10))
	return set
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
