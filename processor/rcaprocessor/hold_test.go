// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/metadata"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/metadatatest"
)

// end is what comes after rca in both of its pipelines. It refuses what refuse has an error for, and keeps the rest.
type end struct {
	mutates bool
	refuse  func() error

	mu     sync.Mutex
	spans  []arrived
	logs   []arrived
	events []event
	offers int
}

// arrived is one span or log record, and when it came.
type arrived struct {
	id    string // trace and span
	at    time.Time
	batch string // resource and scope
	name  string
	attr  map[string]any
}

func (e *end) Capabilities() consumer.Capabilities {
	return consumer.Capabilities{MutatesData: e.mutates}
}

func (e *end) refuses() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.offers++
	if e.refuse == nil {
		return nil
	}
	return e.refuse()
}

func (e *end) ConsumeTraces(_ context.Context, td ptrace.Traces) error {
	err := e.refuses()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, rs := range td.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				if err == nil {
					tid, sid := s.TraceID(), s.SpanID()
					e.spans = append(e.spans, arrived{tid.String() + sid.String(), time.Now(), nameOf(rs.Resource()) + "/" + ss.Scope().Name(), s.Name(), s.Attributes().AsRaw()})
				}
			}
			if e.mutates { // whether it takes them or not
				ss.Spans().RemoveIf(func(ptrace.Span) bool { return true })
			}
		}
	}
	return err
}

func (e *end) ConsumeLogs(_ context.Context, ld plog.Logs) error {
	err := e.refuses()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, rl := range ld.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				switch tid, sid := lr.TraceID(), lr.SpanID(); {
				case err != nil:
				case sl.Scope().Name() == metadata.ScopeName:
					e.events = append(e.events, eventFrom(lr))
				default:
					e.logs = append(e.logs, arrived{tid.String() + sid.String(), time.Now(), nameOf(rl.Resource()) + "/" + sl.Scope().Name(), lr.Body().AsString(), lr.Attributes().AsRaw()})
				}
			}
			if e.mutates {
				sl.LogRecords().RemoveIf(func(plog.LogRecord) bool { return true })
			}
		}
	}
	return err
}

func nameOf(r pcommon.Resource) string {
	name, _ := r.Attributes().Get("service.name")
	return name.AsString()
}

// holding is an rca that may hold back, between a traces and a logs pipeline's beginning and an end.
func holding(t *testing.T, to interface {
	consumer.Traces
	consumer.Logs
}, change func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, telemetry: componenttest.NewTelemetry()}
	t.Cleanup(func() { assert.NoError(t, r.telemetry.Shutdown(context.Background())) })
	cfg := createDefaultConfig().(*Config)
	cfg.TraceWait, cfg.LogWait = 10*time.Second, 10*time.Second
	if change != nil {
		change(cfg)
	}
	require.NoError(t, cfg.Validate())
	f, set := &factory{}, metadatatest.NewSettings(r.telemetry)
	ref, err := f.engine(set, cfg)
	require.NoError(t, err)
	r.engine = ref.Value()
	r.traces, err = f.createTraces(t.Context(), set, cfg, to)
	require.NoError(t, err)
	logs, err := f.createLogs(t.Context(), set, cfg, to)
	require.NoError(t, err)
	r.logs = []processor.Logs{logs}
	require.NoError(t, ref.Shutdown(t.Context()), "the test holds no engine back")
	return r
}

// live sends traffic in real time: what is of a second is sent when that second is over. Each request has a log record of
// orders, and each second one of no trace.
func (r *rig) live(from, to int64, failed bool) (sent []string) {
	r.t.Helper()
	for s := from; s < to; s++ {
		td, ld := ptrace.NewTraces(), plog.NewLogs()
		for k := range int64(20) {
			id := r.request(td, dawn+s*second+k*second/20, failed && k%2 == 0)
			logOf("orders", id, plog.SeverityNumberInfo).ResourceLogs().MoveAndAppendTo(ld.ResourceLogs())
		}
		logOf("orders", pcommon.TraceID{}, plog.SeverityNumberInfo).ResourceLogs().MoveAndAppendTo(ld.ResourceLogs())
		time.Sleep(time.Second)
		sent = append(sent, spanIDs(td)...)
		again := ptrace.NewTraces()
		td.CopyTo(again)
		for r.traces.ConsumeTraces(r.t.Context(), td) != nil { // as an exporter does
			time.Sleep(time.Second)
			td = ptrace.NewTraces()
			again.CopyTo(td)
		}
		logsAgain := plog.NewLogs()
		ld.CopyTo(logsAgain)
		for r.logs[0].ConsumeLogs(r.t.Context(), ld) != nil {
			time.Sleep(time.Second)
			ld = plog.NewLogs()
			logsAgain.CopyTo(ld)
		}
	}
	return sent
}

func spanIDs(td ptrace.Traces) (ids []string) {
	eachSpan(td, func(s ptrace.Span) {
		tid, sid := s.TraceID(), s.SpanID()
		ids = append(ids, tid.String()+sid.String())
	})
	return ids
}

func idsOf(items []arrived) (ids []string) {
	for _, a := range items {
		ids = append(ids, a.id)
	}
	return ids
}

// assertOnce says that what was sent has arrived, once each.
func assertOnce(t *testing.T, sent []string, got []arrived, msg string) {
	t.Helper()
	want, have := slices.Sorted(slices.Values(sent)), slices.Sorted(slices.Values(idsOf(got)))
	assert.True(t, slices.Equal(want, have), "%s: %d in, %d out, %d of them different ones", msg, len(want), len(have), len(slices.Compact(have)))
}

// items returns what a metric of held items counts.
func (r *rig) items(metric, signal, reason string) int64 {
	r.t.Helper()
	m, err := r.telemetry.GetMetric("otelcol_processor_rca_" + metric)
	if err != nil {
		return 0
	}
	for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
		if p.Attributes.Equals(ptr(attribute.NewSet(attribute.String("processor", "rca"), attribute.String("signal", signal), attribute.String("reason", reason)))) {
			return p.Value
		}
	}
	return 0
}

func ptr[T any](v T) *T { return &v }

// Only what looks bad waits, only while an incident is suspected or open, and it goes on with the verdict of that time.
func TestWhatLooksBadWaitsForTheVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &end{}
		r := holding(t, to, nil).start()
		sent := r.live(0, 120, false)
		assert.Zero(t, r.engine.heldBytes(), "all is well")
		sent = append(sent, r.live(120, 150, true)...)
		require.NotEmpty(t, r.engine.core.Open())
		assert.Positive(t, r.engine.heldBytes())
		sent = append(sent, r.live(150, 250, false)...)
		require.Empty(t, r.engine.core.Open())
		assert.Zero(t, r.engine.heldBytes())
		r.stop()

		assertOnce(t, sent, to.spans, "spans")
		assert.Len(t, to.logs, 250*21)
		require.NotEmpty(t, to.events)
		opened := to.events[0].observed // event time runs with the clock of the test
		began := time.Unix(0, dawn)
		start := to.spans[0].at.Add(-time.Second)
		var early, waited int
		bad := map[string]bool{}
		for i := range to.spans {
			a := &to.spans[i]
			serial := binary.BigEndian.Uint64([]byte(mustHex(a.id[:16]))) * inverse
			sec := int64(serial-1) / 20
			failed := sec >= 120 && sec < 150 && (serial-1)%20%2 == 0
			late := a.at.Sub(start) - time.Duration(sec+1)*time.Second
			assert.LessOrEqual(t, late, 10*time.Second)
			if !failed {
				assert.Zero(t, late, "what is well does not wait")
				assert.NotContains(t, a.attr, keyIncidentID)
				continue
			}
			bad[a.id[:32]] = true
			if late > 0 {
				waited++
				assert.Equal(t, 10*time.Second, late)
				if _, ok := a.attr[keyIncidentID]; ok && began.Add(time.Duration(sec+1)*time.Second).Before(opened) {
					early++
				}
			}
		}
		assert.Positive(t, early, "spans that came before the incident opened have its verdict")
		assert.Equal(t, int64(waited), r.items("held_released", "traces", "waited"))
		early = 0
		for _, a := range to.logs {
			_, annotated := a.attr[keyIncidentID]
			assert.True(t, !annotated || bad[a.id[:32]], "only records of hurt traces")
			sec := int64(a.at.Sub(start)/time.Second) - 11 // of those that waited
			if annotated && began.Add(time.Duration(sec+1)*time.Second).Before(opened) {
				early++
			}
		}
		assert.Positive(t, early, "records that came before the incident opened have its verdict")
		assert.Positive(t, r.items("held_released", "logs", "waited"))
	})
}

// Records alone wait for the verdict, too: those of a trace that was hurt before the incident opened have it.
func TestOnlyLogsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &end{}
		r := holding(t, to, func(c *Config) { c.TraceWait = 0 }).start()
		start := time.Now()
		r.live(0, 120, false)
		r.live(120, 140, true)
		r.stop()
		require.NotEmpty(t, to.events)
		early := 0
		for _, a := range to.logs {
			sent := a.at.Sub(start) - 10*time.Second // of those that waited
			if _, ok := a.attr[keyIncidentID]; ok && time.Unix(0, dawn).Add(sent).Before(to.events[0].observed) {
				early++
			}
		}
		assert.Positive(t, early)
		assert.Zero(t, r.items("held_released", "traces", "waited"))
	})
}

// inverse undoes what rig.request makes of its serial number.
var inverse = func() uint64 {
	x := uint64(0x9e3779b97f4a7c15) // Newton's iteration modulo 1<<64
	for range 6 {
		x *= 2 - 0x9e3779b97f4a7c15*x
	}
	return x
}()

func mustHex(s string) string {
	b := make([]byte, len(s)/2)
	for i := range b {
		const digits = "0123456789abcdef"
		b[i] = byte(strings.IndexByte(digits, s[2*i])<<4 | strings.IndexByte(digits, s[2*i+1]))
	}
	return string(b)
}

// The span at which the trouble of a trace began is the root cause, though its service is only hurt.
func TestHeldOriginIsTheRootCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &end{}
		r := holding(t, to, nil).start()
		r.live(0, 120, false)
		for s := int64(120); s < 160; s++ { // orders is down: nobody answers
			td := ptrace.NewTraces()
			for k := range int64(20) {
				one := ptrace.NewTraces()
				r.request(one, dawn+s*second+k*second/20, true)
				one.ResourceSpans().RemoveIf(func(rs ptrace.ResourceSpans) bool { return nameOf(rs.Resource()) == "orders" })
				one.ResourceSpans().At(1).ScopeSpans().At(0).Spans().At(0).Attributes().PutStr("error.type", "ECONNREFUSED")
				one.ResourceSpans().MoveAndAppendTo(td.ResourceSpans())
			}
			time.Sleep(time.Second)
			require.NoError(t, r.traces.ConsumeTraces(t.Context(), td))
		}
		require.NotEmpty(t, r.engine.core.Open())
		require.Equal(t, "orders", r.engine.core.Open()[0].Verdict.Root)
		r.stop()
		roles := map[string]int{}
		for _, a := range to.spans {
			if role, ok := a.attr[keyRole]; ok {
				roles[a.id[len(a.id)-1:]+" "+role.(string)]++
			}
		}
		assert.Positive(t, roles["2 root_cause"], "the call that nobody answered")
		assert.Zero(t, roles["1 root_cause"])
		assert.Positive(t, roles["1 symptom"])
		assert.Equal(t, roles["2 root_cause"]+roles["2 symptom"], roles["1 symptom"], "both are annotated")
	})
}

// What is held stays within its bound; what gives way does so in order, and is counted.
func TestHeldBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, bytes := range []int{1, 80_000} {
			to := &end{}
			r := holding(t, to, func(c *Config) { c.Limits.HeldBytes = bytes }).start()
			sent := r.live(0, 120, false)
			for s := int64(120); s < 150; s++ {
				sent = append(sent, r.live(s, s+1, true)...)
				require.LessOrEqual(t, r.engine.heldBytes(), int64(bytes))
			}
			m, err := r.telemetry.GetMetric("otelcol_processor_rca_limit_hits")
			if bytes == 1 {
				require.NoError(t, err)
				assert.Positive(t, m.Data.(metricdata.Sum[int64]).DataPoints[0].Value)
				assert.Zero(t, r.items("held_released", "traces", "full"))
			} else {
				assert.Error(t, err)
				assert.Positive(t, r.items("held_released", "traces", "full"))
				assert.Positive(t, r.items("held_released", "logs", "full"))
			}
			r.stop()
			assertOnce(t, sent, to.spans, "spans")
			assert.Len(t, to.logs, 150*21)
			hurt := 0
			for _, a := range to.spans {
				if _, ok := a.attr[keyIncidentID]; ok {
					hurt++
				}
			}
			assert.Positive(t, hurt, "what there is no room for is annotated as it passes")
		}
	})
}

// A next component that refuses for a minute: nothing is lost or doubled of what it may take later. What it refuses for
// good is counted.
func TestRefusedWhileHolding(t *testing.T) {
	for name, tt := range map[string]struct {
		err     error
		bytes   int
		mutates bool
	}{
		"retryable":            {err: errors.New("busy"), bytes: 64 << 20},
		"retryable, little":    {err: errors.New("busy"), bytes: 110_000},
		"retryable, it spoils": {err: errors.New("busy"), bytes: 64 << 20, mutates: true},
		"permanent":            {err: consumererror.NewPermanent(errors.New("no")), bytes: 64 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var from, until time.Time
				to := &end{mutates: tt.mutates}
				to.refuse = func() error {
					if now := time.Now(); now.After(from) && now.Before(until) {
						return tt.err
					}
					return nil
				}
				r := holding(t, to, func(c *Config) { c.Limits.HeldBytes = tt.bytes }).start()
				sent := r.live(0, 120, false)
				sent = append(sent, r.live(120, 145, true)...)
				require.Positive(t, r.engine.heldBytes())
				to.mu.Lock()
				from, until = time.Now(), time.Now().Add(time.Minute)
				to.mu.Unlock()
				sent = append(sent, r.live(145, 155, true)...)
				sent = append(sent, r.live(155, 170, false)...)
				r.stop()
				lost := r.items("held_refused", "traces", "permanent")
				if consumererror.IsPermanent(tt.err) {
					assert.Positive(t, lost)
					assert.Len(t, to.spans, len(sent)-int(lost))
					assert.Len(t, to.logs, 170*21-int(r.items("held_refused", "logs", "permanent")))
					return
				}
				assert.Zero(t, lost)
				assert.Positive(t, r.items("held_refused", "traces", "retryable"))
				assertOnce(t, sent, to.spans, "spans")
				assert.Len(t, to.logs, 170*21)
			})
		})
	}
}

// part takes no more than the first span of a batch while it refuses, and says so.
type part struct{ *end }

func (p part) ConsumeTraces(ctx context.Context, td ptrace.Traces) error {
	err := p.refuses()
	if err == nil {
		return p.end.ConsumeTraces(ctx, td)
	}
	rest, n := copyOf(td), 0
	for _, rs := range rest.ResourceSpans().All() {
		rs.ScopeSpans().At(0).Spans().RemoveIf(func(s ptrace.Span) bool {
			n++
			if n == 1 {
				tid, sid := s.TraceID(), s.SpanID()
				p.mu.Lock()
				p.spans = append(p.spans, arrived{id: tid.String() + sid.String()})
				p.mu.Unlock()
			}
			return n == 1
		})
	}
	rest.MarkReadOnly() // as behind a fan-out
	return consumererror.NewTraces(err, rest)
}

// Where only a part of a batch is refused, who sends that part again sends with it what was to be held; of held spans
// that part is offered again.
func TestAPartIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &end{}
		r := holding(t, part{to}, nil).start()
		sent := r.live(0, 120, false)
		sent = append(sent, r.live(120, 140, true)...)
		require.Positive(t, r.engine.heldBytes())
		to.mu.Lock()
		to.refuse = func() error { return errors.New("some") }
		to.mu.Unlock()
		td := ptrace.NewTraces()
		for k := range int64(20) {
			r.request(td, dawn+140*second+k*second/20, k%2 == 0)
		}
		sent = append(sent, spanIDs(td)...)
		for range 10 {
			var rest consumererror.Traces
			n := td.SpanCount()
			require.ErrorAs(t, r.traces.ConsumeTraces(t.Context(), td), &rest)
			td = rest.Data()
			require.Equal(t, n-1, td.SpanCount())
		}
		time.Sleep(20 * time.Second)
		assert.Positive(t, r.items("held_released", "traces", "waited"), "one at a time")
		to.mu.Lock()
		to.refuse = nil
		to.mu.Unlock()
		require.NoError(t, r.traces.ConsumeTraces(t.Context(), td))
		r.stop()
		assertOnce(t, sent, to.spans, "spans")
	})
}

// Shutdown waits for a next component that takes nothing, and then says how much was lost.
func TestHeldItemsAreGivenUpAtLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &end{}
		r := holding(t, to, nil).start()
		sent := r.live(0, 120, false)
		sent = append(sent, r.live(120, 145, true)...)
		to.mu.Lock()
		to.refuse = func() error { return errors.New("never") }
		to.mu.Unlock()
		begun := time.Now()
		err := r.traces.Shutdown(t.Context())
		assert.ErrorContains(t, err, "(traces) are lost")
		assert.InDelta(t, patience.Seconds(), time.Since(begun).Seconds(), 1)
		lost := r.items("held_refused", "traces", "shutdown")
		assert.Positive(t, lost)
		assert.Equal(t, len(sent), len(to.spans)+int(lost))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		assert.ErrorContains(t, r.logs[0].Shutdown(ctx), "(logs) are lost")
		assert.Zero(t, r.engine.heldBytes())
		require.NoError(t, r.traces.Shutdown(t.Context()), "twice")
	})
}

// The order of the spans, and of the records, of one resource and scope stays, among those that wait and among those
// that do not; what was empty before stays, what was emptied goes.
func TestTakingKeepsTheOrder(t *testing.T) {
	td := ptrace.NewTraces()
	for _, resource := range []string{"a", "b", "c"} {
		rs := td.ResourceSpans().AppendEmpty()
		rs.SetSchemaUrl("of " + resource)
		rs.Resource().Attributes().PutStr("service.name", resource)
		for _, scope := range []string{"x", "y", "empty"} {
			ss := rs.ScopeSpans().AppendEmpty()
			ss.SetSchemaUrl("of " + scope)
			ss.Scope().SetName(scope)
			for i := range 6 {
				if scope == "empty" {
					continue
				}
				s := ss.Spans().AppendEmpty()
				s.SetName(string(rune('0' + i)))
				if i%2 == 0 || resource == "b" || resource == "a" && scope == "y" {
					s.SetTraceID(pcommon.TraceID{1})
				}
			}
		}
	}
	names := func(td ptrace.Traces) (out []string) {
		for _, rs := range td.ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				all := nameOf(rs.Resource()) + ss.Scope().Name() + " "
				for _, s := range ss.Spans().All() {
					all += s.Name()
				}
				out = append(out, all)
				assert.Equal(t, "of "+nameOf(rs.Resource()), rs.SchemaUrl())
				assert.Equal(t, "of "+ss.Scope().Name(), ss.SchemaUrl())
			}
		}
		return out
	}
	taken := takeSpans(td, map[trace.ID]bool{{1}: true})
	assert.Equal(t, []string{"ax 024", "ay 012345", "bx 012345", "by 012345", "cx 024", "cy 024"}, names(taken))
	assert.Equal(t, []string{"ax 135", "aempty ", "bempty ", "cx 135", "cy 135", "cempty "}, names(td))
}
