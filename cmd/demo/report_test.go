// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/firebreak-otel/firebreak/internal/replay"
)

var update = flag.Bool("update", false, "write the golden files anew")

var injected = time.Date(2026, 11, 23, 10, 1, 0, 0, time.UTC)

func at(seconds float64) pcommon.Timestamp {
	return pcommon.NewTimestampFromTime(injected.Add(time.Duration(seconds * float64(time.Second))))
}

// recorded is what went in: three spans of one request and two logs.
func recorded() *replay.Incident {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	res := rs.Resource().Attributes()
	res.PutStr("service.namespace", "shop")
	res.PutStr("service.name", "orders")
	res.PutStr("service.instance.id", "orders-1")
	ss := rs.ScopeSpans().AppendEmpty()
	for i, name := range []string{"GET /orders", "SELECT", "INSERT"} {
		span := ss.Spans().AppendEmpty()
		span.SetName(name)
		span.SetKind(ptrace.SpanKindClient)
		span.SetTraceID(pcommon.TraceID{1, 2, 3})
		span.SetSpanID(pcommon.SpanID{byte(i + 1)})
		span.SetStartTimestamp(at(float64(i)))
		span.SetEndTimestamp(at(float64(i) + 2.5))
		span.Attributes().PutStr("db.namespace", "shop")
	}
	ld := plog.NewLogs()
	records := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	for _, body := range []string{"slow", "gave up"} {
		lr := records.AppendEmpty()
		lr.SetTimestamp(at(2))
		lr.Body().SetStr(body)
	}
	return &replay.Incident{
		Truth: replay.Truth{
			Fault: "postgres-lock", Description: "LOCK TABLE orders for 20 s.",
			Recorded: replay.Period{From: injected.Add(-time.Minute), To: injected.Add(time.Minute)},
			Injected: injected, Healed: injected.Add(20 * time.Second),
			Verdict: replay.Verdict{Root: "postgresql/shop", Kind: "database"},
		},
		Traces: []ptrace.Traces{td}, Logs: []plog.Logs{ld},
	}
}

// enriched is what came out: the same, with what the processors would have written.
func enriched() (ptrace.Traces, plog.Logs) {
	inc := recorded()
	td, ld := inc.Traces[0], inc.Logs[0]
	spans := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans()
	for i, role := range []string{"symptom", "root_cause"} {
		m := spans.At(i).Attributes()
		m.PutStr("rca.role", role)
		m.PutStr("rca.root_cause.node", "postgresql/shop")
	}
	spans.At(1).Status().SetCode(ptrace.StatusCodeError)
	spans.At(1).Status().SetMessage("context deadline exceeded")
	spans.At(1).Events().AppendEmpty().SetName("exception")
	spans.At(2).Attributes().PutStr("breaker.name", "orders->postgresql/shop")
	spans.At(2).Attributes().PutStr("breaker.state", "open")
	ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(1).Attributes().PutStr("rca.role", "symptom")

	rl := ld.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("service.name", "otelcol-custom")
	events := rl.ScopeLogs().AppendEmpty().LogRecords()
	event(events, "opened", 4, "shop/orders", "shop/orders is slow.")
	event(events, "updated", 9, "postgresql/shop", "postgresql/shop is slow, and three services with it.")
	event(events, "resolved", 25, "postgresql/shop", "postgresql/shop is well again.")
	events.At(2).Attributes().PutDouble("rca.incident.duration", 24)
	for i := 1; i < events.Len(); i++ {
		reasons(events.At(i).Attributes())
	}
	slice(events.At(2).Attributes(), "rca.evidence").AppendEmpty().SetStr("numbers that are not those of the sentence")
	return td, ld
}

// reasons is what every event after the first says of the verdict.
func reasons(m pcommon.Map) {
	for _, n := range []string{"postgresql/shop", "shop/orders", "shop/gateway"} {
		slice(m, "rca.candidates").AppendEmpty().SetStr(n)
	}
	for _, s := range []float64{0.93, 0.4, 0.1} {
		slice(m, "rca.candidate.scores").AppendEmpty().SetDouble(s)
	}
	slice(m, "rca.impacted.nodes").AppendEmpty().SetStr("shop/gateway")
	slice(m, "rca.evidence").AppendEmpty().SetStr("own time of postgresql/shop 4 ms -> 2,412 ms, far beyond anything it has shown before")
	slice(m, "rca.evidence").AppendEmpty().SetStr("366 of 366 requests failed")
	m.PutStr("rca.path", "shop/gateway > shop/orders > postgresql/shop")
}

func event(to plog.LogRecordSlice, name string, detected float64, root, body string) plog.LogRecord {
	lr := to.AppendEmpty()
	lr.SetEventName("rca.incident." + name)
	lr.SetTimestamp(at(1))
	lr.SetObservedTimestamp(at(detected))
	lr.Body().SetStr(body)
	m := lr.Attributes()
	m.PutStr("rca.incident.id", "pg-shop-3f9a")
	m.PutDouble("rca.detection.delay", 3)
	if root != "" {
		m.PutStr("rca.root_cause.node", root)
		m.PutStr("rca.root_cause.kind", "database")
		m.PutStr("rca.root_cause.reason", "latency")
		m.PutDouble("rca.root_cause.score", 0.93)
	}
	return lr
}

func slice(m pcommon.Map, key string) pcommon.Slice {
	if v, ok := m.Get(key); ok {
		return v.Slice()
	}
	return m.PutEmptySlice(key)
}

func transitioned(ld plog.Logs) {
	// Batches of several pipelines may be written out of order.
	for i, to := range slices.Backward([]string{"open", "half_open", "closed"}) {
		lr := ld.ResourceLogs().At(1).ScopeLogs().At(0).LogRecords().AppendEmpty()
		lr.SetEventName("breaker.state_changed")
		lr.SetTimestamp(at(float64(10 * (i + 1))))
		m := lr.Attributes()
		m.PutStr("breaker.name", "shop/orders->postgresql/shop")
		m.PutStr("breaker.previous_state", []string{"closed", "open", "half_open"}[i])
		m.PutStr("breaker.state", to)
		m.PutDouble("breaker.failure.ratio", 0.875)
		m.PutInt("breaker.window.requests", 1234)
	}
}

// through writes the telemetry as the collector's file exporter does and reads it back.
func through(t *testing.T, td ptrace.Traces, ld plog.Logs) (*output, files) {
	t.Helper()
	f, err := outputFiles(filepath.Join(t.TempDir(), "out"))
	require.NoError(t, err)
	traces, err := (&ptrace.JSONMarshaler{}).MarshalTraces(td)
	require.NoError(t, err)
	logs, err := (&plog.JSONMarshaler{}).MarshalLogs(ld)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(f.traces, append(traces, '\n'), 0o600))
	require.NoError(t, os.WriteFile(f.logs, append(logs, '\n'), 0o600))
	got, err := readOutput(f)
	require.NoError(t, err)
	return got, files{"out", "out/traces.jsonl", "out/logs.jsonl", "out/collector.log"}
}

func TestReport(t *testing.T) {
	tests := []struct {
		name   string
		change func(*replay.Incident, ptrace.Traces, plog.Logs)
	}{
		{"verdict", func(_ *replay.Incident, _ ptrace.Traces, ld plog.Logs) { transitioned(ld) }},
		{"breakers_from_spans", func(*replay.Incident, ptrace.Traces, plog.Logs) {}},
		{"silent", func(inc *replay.Incident, td ptrace.Traces, ld plog.Logs) {
			inc.Truth.Description = "Twice the traffic, which harms nobody."
			inc.Truth.Verdict = replay.Verdict{Silent: true}
			in := recorded()
			in.Traces[0].CopyTo(td)
			in.Logs[0].CopyTo(ld)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inc := recorded()
			td, ld := enriched()
			tt.change(inc, td, ld)
			got, f := through(t, td, ld)
			var b bytes.Buffer
			how := course{start: time.Second, replay: 2 * time.Second, stop: time.Second / 2, total: 4 * time.Second,
				warnings: []string{"warn lost an event", "warn lost another"}}
			report(&b, inc, got, judge(inc, got), how, f)
			golden := filepath.Join("testdata", tt.name+".txt")
			if *update {
				require.NoError(t, os.WriteFile(golden, b.Bytes(), 0o600))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			assert.Equal(t, string(want), b.String())
		})
	}
}

func TestFormat(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 58123: "58,123", 1234567: "1,234,567", -1234: "-1,234", -123: "-123"} {
		assert.Equal(t, want, count(n))
	}
	assert.Equal(t, "10:01:03.5 (3.5 s into it)", after(injected.Add(3500*time.Millisecond), injected))
	assert.Equal(t, "10:00:58.0 (2.0 s before the fault)", after(injected.Add(-2*time.Second), injected))
	assert.Equal(t, "10:01:00.0", after(injected, time.Time{}))
}
