// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// Whatever is wrong with a log record, it goes out as it came in, once, while the breaker of its service is open and while
// it is not.
func TestBadLogs(t *testing.T) {
	h := start(t, nil, func(c *Config) { c.MaxOpenShare = 1 })
	spoilt := map[string]func(plog.LogRecord){
		"no body":      func(plog.LogRecord) {},
		"10 MB":        func(lr plog.LogRecord) { lr.Body().SetStr(strings.Repeat("x", 10<<20)) },
		"10 MB binary": func(lr plog.LogRecord) { lr.Body().SetEmptyBytes().Append(make([]byte, 10<<20)...) },
		"broken text":  func(lr plog.LogRecord) { lr.Body().SetStr("\x00\xff\xfe\x80") },
		"nested": func(lr plog.LogRecord) {
			m := lr.Body().SetEmptyMap()
			for range 2000 {
				m = m.PutEmptyMap("message")
			}
		},
		"the end of time":       func(lr plog.LogRecord) { lr.SetTimestamp(1<<64 - 1) },
		"a trace of no spans":   func(lr plog.LogRecord) { lr.SetTraceID(pcommon.TraceID{0xff}) },
		"severity out of range": func(lr plog.LogRecord) { lr.SetSeverityNumber(-1 << 31) },
	}
	check := func(open bool) {
		for name, spoil := range spoilt {
			ld := plog.NewLogs()
			rl := ld.ResourceLogs().AppendEmpty()
			rl.Resource().Attributes().PutStr("service.name", "orders")
			lr := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
			spoil(lr)
			want := plog.NewLogs()
			ld.CopyTo(want)
			h.pipelines.logs.Reset()
			require.NoError(t, h.logs(t.Context(), ld))
			var got []plog.Logs
			for _, out := range h.pipelines.logs.AllLogs() { // event records come by as well
				sl := out.ResourceLogs().At(0).ScopeLogs().At(0)
				if sl.Scope().Name() != "" {
					continue
				}
				a := sl.LogRecords().At(0).Attributes()
				assert.Equal(t, open, a.Len() > 0, name)
				a.RemoveIf(func(k string, _ pcommon.Value) bool { return strings.HasPrefix(k, "breaker.") })
				got = append(got, out)
			}
			require.Len(t, got, 1, name)
			a, err := new(plog.ProtoMarshaler).MarshalLogs(want)
			require.NoError(t, err)
			b, err := new(plog.ProtoMarshaler).MarshalLogs(got[0])
			require.NoError(t, err)
			assert.True(t, string(a) == string(b), name)
		}
	}
	s := &stream{}
	require.NoError(t, h.push(t.Context(), s.batch(1200, 50*time.Millisecond, false)))
	check(false)
	require.NoError(t, h.push(t.Context(), s.batch(60, 50*time.Millisecond, true)))
	check(true)
	h.panics(t, 0)
}

// A next component that refuses: the sender is told why, by the very error, and event records are counted as lost.
func TestRefusalsArePassedOn(t *testing.T) {
	for name, refusal := range map[string]error{"retryable": errors.New("busy"), "permanent": consumererror.NewPermanent(errors.New("no"))} {
		t.Run(name, func(t *testing.T) {
			f, cfg, set, tel := &factory{}, createDefaultConfig(), nopSettings(), componenttest.NewTelemetry()
			set.TelemetrySettings = tel.NewTelemetrySettings()
			cfg.(*Config).MaxOpenShare = 1
			traces, err := f.createTraces(t.Context(), set, cfg, consumertest.NewErr(refusal))
			require.NoError(t, err)
			logs, err := f.createLogs(t.Context(), set, cfg, consumertest.NewErr(refusal))
			require.NoError(t, err)
			for _, c := range []component.Component{traces, logs} {
				require.NoError(t, c.Start(t.Context(), componenttest.NewNopHost()))
			}
			s := &stream{}
			assert.Equal(t, refusal, traces.ConsumeTraces(t.Context(), s.batch(1200, 50*time.Millisecond, false)))
			assert.Equal(t, refusal, traces.ConsumeTraces(t.Context(), s.batch(60, 50*time.Millisecond, true)))
			ld := plog.NewLogs()
			ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty().Body().SetStr("text")
			assert.Equal(t, refusal, logs.ConsumeLogs(t.Context(), ld))
			require.NoError(t, traces.Shutdown(context.Background()))
			require.NoError(t, logs.Shutdown(context.Background()))
			assert.Positive(t, valueOf(t, tel, "events_lost", metricReason, lostDelivery))
			require.NoError(t, tel.Shutdown(context.Background()))
		})
	}
}
