// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor

import (
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/metadatatest"
)

// badLogs is what is wrong with a log record that names the last span of a request.
var badLogs = map[string]func(plog.LogRecord){
	"no body":            func(lr plog.LogRecord) { pcommon.NewValueEmpty().CopyTo(lr.Body()) },
	"10 MB":              func(lr plog.LogRecord) { lr.Body().SetStr(strings.Repeat("x", 10<<20)) },
	"10 MB of words":     func(lr plog.LogRecord) { lr.Body().SetStr(strings.Repeat("lorem ", 10<<20/6)) },
	"10 MB of JSON":      func(lr plog.LogRecord) { lr.Body().SetStr(`{"message":"` + strings.Repeat(`\"`, 5<<20)) },
	"10 MB of JSON keys": func(lr plog.LogRecord) { lr.Body().SetStr("{" + strings.Repeat(`"message":7,`, 10<<20/12)) },
	"10 MB in bytes":     func(lr plog.LogRecord) { lr.Body().SetEmptyBytes().Append(make([]byte, 10<<20)...) },
	"binary":             func(lr plog.LogRecord) { lr.Body().SetStr("\x00\xff\xfe\x80 {\x00\"message\":\xc3") },
	"nested JSON":        func(lr plog.LogRecord) { lr.Body().SetStr(strings.Repeat(`{"message":`, 100_000)) },
	"nested maps": func(lr plog.LogRecord) {
		m := lr.Body().SetEmptyMap()
		for range 2000 {
			m = m.PutEmptyMap("message")
		}
	},
	"nested lists": func(lr plog.LogRecord) {
		s := lr.Body().SetEmptySlice()
		for range 2000 {
			s = s.AppendEmpty().SetEmptySlice()
		}
	},
	"a map of 10,000 keys": func(lr plog.LogRecord) {
		m := lr.Body().SetEmptyMap()
		for i := range 10_000 {
			m.PutInt(word(i), int64(i))
		}
	},
	"no time":                func(lr plog.LogRecord) { lr.SetTimestamp(0); lr.SetObservedTimestamp(0) },
	"the end of time":        func(lr plog.LogRecord) { lr.SetTimestamp(1<<64 - 1); lr.SetObservedTimestamp(1<<64 - 1) },
	"the beginning of time":  func(lr plog.LogRecord) { lr.SetTimestamp(1) },
	"severity out of range":  func(lr plog.LogRecord) { lr.SetSeverityNumber(-1 << 31) },
	"a trace of no spans":    func(lr plog.LogRecord) { lr.SetTraceID(pcommon.TraceID{0xff}) },
	"a span without a trace": func(lr plog.LogRecord) { lr.SetTraceID(pcommon.TraceID{}) },
	"attributes of wrong types": func(lr plog.LogRecord) {
		lr.Attributes().PutEmptyMap("exception.type").PutDouble("x", 1)
		lr.Attributes().PutEmptyBytes("exception.message").Append(0xff)
	},
}

// word is a word without a digit, another one for each number.
func word(i int) string {
	b := []byte("w")
	for ; i > 0; i /= 26 {
		b = append(b, byte('a'+i%26))
	}
	return string(b)
}

// Bad log records go out as they came in, once each, at rest and in an incident, held or not.
func TestBadLogsAreForwardedUntouched(t *testing.T) {
	for name, tt := range map[string]struct {
		open bool
		wait time.Duration
	}{
		"at rest": {}, "in an incident": {open: true}, "held": {open: true, wait: 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			kept := &wholeLogs{}
			r := holding(t, kept, func(c *Config) { c.TraceWait, c.LogWait, c.Limits.HeldBytes = 0, tt.wait, 256<<20 }).start()
			now := int64(120)
			r.traffic(0, now, false)
			if tt.open {
				now = 145
				r.traffic(120, now, true)
				require.NotEmpty(t, r.engine.core.Open())
			}
			kept.all = nil
			var want []string
			for _, name := range slices.Sorted(maps.Keys(badLogs)) {
				td := ptrace.NewTraces()
				ld := logOf("orders", r.request(td, dawn+now*second, tt.open), plog.SeverityNumberError)
				require.NoError(t, r.traces.ConsumeTraces(t.Context(), td))
				lr := ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0)
				lr.SetSpanID(pcommon.SpanID{7: 3})
				badLogs[name](lr)
				want = append(want, string(logsOf(t, ld)))
				require.NoError(t, r.logs[0].ConsumeLogs(t.Context(), ld), name)
			}
			r.traffic(now, now+30, tt.open)
			assert.Equal(t, tt.open, len(r.engine.core.Open()) > 0, "and the analysis goes on")
			metadatatest.AssertEqualProcessorRcaPanics(t, r.telemetry, point(0), ignoreTime)
			r.stop()
			var got []string
			for _, ld := range kept.all {
				if sl := ld.ResourceLogs().At(0).ScopeLogs().At(0); sl.Scope().Name() == "" {
					strip(sl.LogRecords().At(0).Attributes())
					got = append(got, string(logsOf(t, ld)))
				}
			}
			assert.Len(t, got, len(want))
			for i := range got {
				if tt.wait > 0 { // those that are decided at once overtake the others
					assert.Contains(t, want, got[i])
				} else {
					assert.True(t, want[i] == got[i])
				}
			}
		})
	}
}

// wholeLogs keeps log records as they are.
type wholeLogs struct {
	end
	all []plog.Logs
}

func (w *wholeLogs) ConsumeLogs(_ context.Context, ld plog.Logs) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, ld)
	return nil
}

// A million log records, none like another, of spans that are there and of spans that are not: what is held of them has
// a bound.
func TestAMillionTemplates(t *testing.T) {
	r := holding(t, consumertest.NewNop(), func(c *Config) { c.TraceWait, c.LogWait = 0, 0 }).start()
	r.traffic(0, 60, false)
	const seconds, lines = 200, 250 // 20 requests a second
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before, n := heap(), 0
	var early int64
	for s := range int64(seconds) {
		td := ptrace.NewTraces()
		for k := range int64(20) {
			id := r.request(td, dawn+(60+s)*second+k*second/20, false)
			ld := logOf("orders", id, plog.SeverityNumberError)
			records := ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords()
			records.EnsureCapacity(lines)
			for i := range lines {
				if i > 0 {
					records.At(0).CopyTo(records.AppendEmpty())
				}
				lr := records.At(i)
				n++
				lr.Body().SetStr(word(n) + " " + word(n+1))
				switch i % 3 {
				case 0:
					lr.SetSpanID(pcommon.SpanID{7: 3})
				case 1: // a trace that never comes
					binary.BigEndian.PutUint64(id[8:], uint64(n))
					lr.SetTraceID(id)
					lr.SetSpanID(pcommon.SpanID{7: 3})
				}
			}
			require.NoError(t, r.logs[0].ConsumeLogs(t.Context(), ld))
		}
		require.NoError(t, r.traces.ConsumeTraces(t.Context(), td))
		if s == seconds/3 {
			early = heap() - before
		}
	}
	late := heap() - before
	assert.Equal(t, 1_000_000, n)
	assert.Less(t, late, early*5/4+1<<20, "of three times as many")
	assert.Less(t, late, int64(64<<20))
	m, err := r.telemetry.GetMetric("otelcol_processor_rca_logs_unjoined")
	require.NoError(t, err)
	assert.Positive(t, m.Data.(metricdata.Sum[int64]).DataPoints[0].Value, "what did not come in time is counted")
	r.stop()
}

// A next component that refuses: the sender is told why, by the very error, and nothing is kept.
func TestRefusalsArePassedOn(t *testing.T) {
	for name, refusal := range map[string]error{"retryable": errors.New("busy"), "permanent": consumererror.NewPermanent(errors.New("no"))} {
		t.Run(name, func(t *testing.T) {
			to := &end{refuse: func() error { return refusal }}
			r := holding(t, to, nil).start()
			td := ptrace.NewTraces()
			id := r.request(td, dawn, true)
			assert.Equal(t, refusal, r.traces.ConsumeTraces(t.Context(), td))
			assert.Equal(t, refusal, r.logs[0].ConsumeLogs(t.Context(), logOf("orders", id, plog.SeverityNumberError)))
			assert.Zero(t, r.engine.heldBytes())
			r.stop()
			assert.Empty(t, to.spans)
			assert.Empty(t, to.logs)
		})
	}
}

// Each pipeline may be there alone, start first and end first, with telemetry held in it.
func TestPipelinesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &end{}
		logs := holding(t, to, nil)
		require.NoError(t, logs.logs[0].Start(t.Context(), componenttest.NewNopHost()))
		for range 20 {
			require.NoError(t, logs.logs[0].ConsumeLogs(t.Context(), logOf("orders", pcommon.TraceID{1}, plog.SeverityNumberError)))
		}
		assert.Len(t, to.logs, 20, "nothing is suspected without spans")
		logs.stop()

		for _, first := range []string{"traces", "logs"} {
			to := &end{}
			r := holding(t, to, nil).start()
			sent := r.live(0, 120, false)
			sent = append(sent, r.live(120, 145, true)...)
			require.Positive(t, r.engine.heldSpans.Load())
			require.Positive(t, r.engine.heldLogs.Load())
			td := ptrace.NewTraces()
			id := r.request(td, dawn+145*second, true)
			if first == "traces" {
				require.NoError(t, r.traces.Shutdown(t.Context()))
				assert.Zero(t, r.engine.heldSpans.Load())
				require.NoError(t, r.logs[0].ConsumeLogs(t.Context(), logOf("orders", id, plog.SeverityNumberError)), "logs still flow")
			} else {
				require.NoError(t, r.logs[0].Shutdown(t.Context()))
				assert.Zero(t, r.engine.heldLogs.Load())
				sent = append(sent, spanIDs(td)...)
				require.NoError(t, r.traces.ConsumeTraces(t.Context(), td), "spans still flow")
			}
			r.stop()
			assertOnce(t, sent, to.spans, "spans")
			n := 145 * 21
			if first == "traces" {
				n++
			}
			assert.Len(t, to.logs, n)
		}
	})
}
