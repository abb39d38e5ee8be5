// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/firebreak-otel/firebreak/internal/call"
)

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
			h := start(t, nil, func(c *Config) { c.MaxOpenShare = 1 }) // what a span names anew may open too
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
			h.panics(t, 0)
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

// Any request that parses comes out as it went in, our attributes aside.
func FuzzProcessTraces(f *testing.F) {
	var m ptrace.ProtoMarshaler
	var u ptrace.ProtoUnmarshaler
	s := &stream{}
	seed, err := m.MarshalTraces(s.batch(3, time.Second, true))
	require.NoError(f, err)
	f.Add(seed)
	h := start(f, nil, nil)
	h.outage(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		td, err := u.UnmarshalTraces(raw)
		if err != nil {
			return
		}
		want := ptrace.NewTraces()
		td.CopyTo(want)
		h.traces.Reset()
		require.NoError(t, h.push(t.Context(), td))
		got := h.traces.AllTraces()
		require.Len(t, got, 1)
		requireSame(t, withoutOurs(want), withoutOurs(got[0]))
		h.panics(t, 0)
	})
}

func withoutOurs(td ptrace.Traces) ptrace.Traces {
	for _, rs := range td.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, span := range ss.Spans().All() {
				span.Attributes().RemoveIf(func(k string, _ pcommon.Value) bool { return strings.HasPrefix(k, "breaker.") })
			}
		}
	}
	return td
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
	td := s.batch(5000, 10*time.Microsecond, true)
	callee := 0
	for range 200 {
		for _, span := range td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().All() {
			s.at += 10 * time.Microsecond
			s.call(span, true)
			callee++
			span.Attributes().PutStr("db.namespace", "db-"+strconv.Itoa(callee))
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
	assert.Zero(t, h.engine.core.States(), "what was learned may be half written: it is given up")
	assert.Equal(t, 1, logged.Len())
	h.panics(t, 3)

	h.engine.read = read
	require.NoError(t, h.push(t.Context(), s.batch(1200, 50*time.Millisecond, false)))
	require.NoError(t, h.push(t.Context(), s.batch(60, 50*time.Millisecond, true)))
	assert.Equal(t, "open", breakerAttributes(h.last().Attributes())[keyState], "it works again")
	bad, ok := componentstatus.StatusRecoverableError, componentstatus.StatusOK
	assert.Equal(t, []componentstatus.Status{bad, bad, bad, ok}, host.events)
}
