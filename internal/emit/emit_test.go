// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sink is a logs pipeline that remembers the bodies it was given.
type sink struct {
	mu     sync.Mutex
	bodies []string
	last   plog.Logs
	gate   chan struct{} // when set, each delivery waits for it, or for its context
	err    error
}

func (s *sink) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (s *sink) ConsumeLogs(ctx context.Context, ld plog.Logs) error {
	if s.gate != nil {
		select {
		case <-s.gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = ld
	s.bodies = append(s.bodies, ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).Body().Str())
	return s.err
}

func (s *sink) got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.bodies...)
}

type losses struct {
	mu   sync.Mutex
	errs []error
}

func (l *losses) add(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errs = append(l.errs, err)
}

func (l *losses) all() []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]error(nil), l.errs...)
}

func started(size int, l *losses) *Emitter {
	e := New(Settings{Resource: pcommon.NewResource(), Scope: "scope", QueueSize: size, OnLost: l.add})
	e.Start()
	return e
}

func events(from, to int) (out []string) {
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprint("event ", i))
	}
	return out
}

func emitAll(e *Emitter, bodies []string) (accepted int) {
	for _, b := range bodies {
		if e.Emit(Event{Name: "test", Body: b}) {
			accepted++
		}
	}
	return accepted
}

func TestRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		res := pcommon.NewResource()
		res.Attributes().PutStr("service.name", "otelcol")
		e := New(Settings{Resource: res, Scope: "scope", Version: "1.2.3", QueueSize: 1})
		e.Start()
		s := &sink{}
		e.Attach(s)
		require.True(t, e.Emit(Event{
			Name: "breaker.state_changed", Time: 5e9, Severity: plog.SeverityNumberWarn,
			TraceID: [16]byte{1}, SpanID: 2, Body: "a sentence",
			Attributes: func(m pcommon.Map) { m.PutStr("k", "v") },
		}))
		require.NoError(t, e.Shutdown(t.Context()))
		rl := s.last.ResourceLogs().At(0)
		assert.Equal(t, map[string]any{"service.name": "otelcol"}, rl.Resource().Attributes().AsRaw())
		assert.Equal(t, "scope", rl.ScopeLogs().At(0).Scope().Name())
		assert.Equal(t, "1.2.3", rl.ScopeLogs().At(0).Scope().Version())
		lr := rl.ScopeLogs().At(0).LogRecords().At(0)
		assert.Equal(t, "breaker.state_changed", lr.EventName())
		assert.EqualValues(t, 5e9, lr.Timestamp())
		assert.EqualValues(t, time.Now().UnixNano(), lr.ObservedTimestamp())
		assert.Equal(t, plog.SeverityNumberWarn, lr.SeverityNumber())
		assert.Equal(t, "WARN", lr.SeverityText())
		assert.Equal(t, "01000000000000000000000000000000", lr.TraceID().String())
		assert.Equal(t, "0000000000000002", lr.SpanID().String())
		assert.Equal(t, "a sentence", lr.Body().Str())
		assert.Equal(t, map[string]any{"k": "v"}, lr.Attributes().AsRaw())
	})
}

func TestNeverBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lost losses
		e := started(3, &lost)
		s := &sink{gate: make(chan struct{})}
		e.Attach(s)
		require.Equal(t, 1, emitAll(e, events(0, 1)))
		synctest.Wait() // the first is in delivery and stuck there
		assert.Equal(t, 3, emitAll(e, events(1, 9)), "as many as the queue holds")
		close(s.gate)
		synctest.Wait()
		assert.Equal(t, events(0, 4), s.got(), "in order, once each")
		assert.Equal(t, 1, emitAll(e, events(9, 10)), "there is room again")
		require.NoError(t, e.Shutdown(t.Context()))
		assert.Equal(t, append(events(0, 4), "event 9"), s.got(), "Shutdown flushes")
		assert.Empty(t, lost.all())
	})
}

func TestRefusedWhenNobodyCarries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lost losses
		e := New(Settings{Resource: pcommon.NewResource(), QueueSize: 2, OnLost: lost.add})
		o := e.Attach(&sink{})
		assert.False(t, e.Emit(Event{}), "before Start")
		e.Start()
		assert.True(t, e.HasOutlet())
		require.NoError(t, o.Detach(t.Context()))
		assert.False(t, e.HasOutlet())
		assert.False(t, e.Emit(Event{}), "no outlet")
		e.Attach(&sink{})
		assert.True(t, e.Emit(Event{}))
		require.NoError(t, e.Shutdown(t.Context()))
		assert.False(t, e.Emit(Event{}), "after Shutdown")
		assert.Empty(t, lost.all())
	})
}

func TestOneOutletCarries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lost losses
		e := started(9, &lost)
		a, b := &sink{}, &sink{}
		first, second := e.Attach(a), e.Attach(b)
		emitAll(e, events(0, 3))
		synctest.Wait()
		assert.Equal(t, events(0, 3), a.got())
		assert.Empty(t, b.got(), "once, through the first")
		require.NoError(t, first.Detach(t.Context()))
		require.NoError(t, first.Detach(t.Context()), "twice")
		emitAll(e, events(3, 5))
		require.NoError(t, second.Detach(t.Context()), "the last to go flushes")
		assert.Equal(t, events(0, 3), a.got())
		assert.Equal(t, events(3, 5), b.got(), "then through the next")
		require.NoError(t, e.Shutdown(t.Context()))
		assert.Empty(t, lost.all())
	})
}

// What was queued for an outlet that goes while another stays passes through the other.
func TestQueuedRecordsChangeOutlet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lost losses
		e := started(9, &lost)
		a, b := &sink{gate: make(chan struct{})}, &sink{}
		first := e.Attach(a)
		e.Attach(b)
		emitAll(e, events(0, 3))
		synctest.Wait()
		detached := make(chan error)
		go func() { detached <- first.Detach(t.Context()) }()
		synctest.Wait()
		select {
		case <-detached:
			t.Fatal("returned while its pipeline was being called")
		default:
		}
		a.gate <- struct{}{}
		require.NoError(t, <-detached)
		require.NoError(t, e.Shutdown(t.Context()))
		all := append(a.got(), b.got()...)
		assert.Equal(t, events(0, 3), all)
		assert.Empty(t, lost.all())
	})
}

func TestFullQueueIsFlushedByTheLastOutlet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lost losses
		e := started(2, &lost)
		s := &sink{gate: make(chan struct{})}
		o := e.Attach(s)
		emitAll(e, events(0, 1))
		synctest.Wait()
		require.Equal(t, 2, emitAll(e, events(1, 3)))
		assert.Equal(t, 2, e.Waiting(), "that which is being delivered is not waiting")
		go func() {
			time.Sleep(time.Second)
			close(s.gate)
		}()
		require.NoError(t, o.Detach(t.Context()))
		assert.Equal(t, events(0, 3), s.got())
		assert.Zero(t, e.Waiting())
		require.NoError(t, e.Shutdown(t.Context()))
	})
}

func TestDeliveryErrorsAreToldAndNotRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lost losses
		e := started(9, &lost)
		s := &sink{err: errors.New("refused")}
		e.Attach(s)
		emitAll(e, events(0, 3))
		require.NoError(t, e.Shutdown(t.Context()))
		assert.Equal(t, events(0, 3), s.got(), "once each")
		assert.Equal(t, []error{s.err, s.err, s.err}, lost.all())
	})
}

func TestShutdownWithinItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lost losses
		e := started(9, &lost)
		s := &sink{gate: make(chan struct{})}
		o := e.Attach(s)
		emitAll(e, events(0, 3))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, o.Detach(ctx), context.DeadlineExceeded)
		require.ErrorIs(t, e.Shutdown(ctx), context.DeadlineExceeded)
		synctest.Wait()
		assert.Empty(t, s.got())
		assert.Len(t, lost.all(), 3, "what did not get out is told")
		require.NoError(t, e.Shutdown(t.Context()), "twice")
	})
}

func TestShutdownWithoutStart(t *testing.T) {
	e := New(Settings{Resource: pcommon.NewResource(), QueueSize: 1})
	var none *Outlet
	require.NoError(t, none.Detach(t.Context()))
	require.NoError(t, e.Shutdown(t.Context()))
	require.NoError(t, e.Shutdown(t.Context()))
	e.Start()
	assert.False(t, e.Emit(Event{}), "over is over")
}

func TestConcurrentUse(t *testing.T) {
	var lost losses
	e := started(16, &lost)
	sinks := make([]*sink, 4)
	var mu sync.Mutex
	accepted := 0
	var wg sync.WaitGroup
	for i := range sinks {
		sinks[i] = &sink{}
		wg.Go(func() {
			for range 20 {
				o := e.Attach(sinks[i])
				n := emitAll(e, events(0, 10))
				mu.Lock()
				accepted += n
				mu.Unlock()
				assert.NoError(t, o.Detach(t.Context()))
			}
		})
	}
	wg.Wait()
	require.NoError(t, e.Shutdown(t.Context()))
	out := len(lost.all())
	for _, s := range sinks {
		out += len(s.got())
	}
	assert.Equal(t, accepted, out, "each accepted record is delivered once, or told as lost")
}

func TestSeverityText(t *testing.T) {
	for n, want := range map[plog.SeverityNumber]string{
		0: "", plog.SeverityNumberTrace: "TRACE", plog.SeverityNumberDebug4: "DEBUG", plog.SeverityNumberInfo: "INFO",
		plog.SeverityNumberWarn2: "WARN", plog.SeverityNumberError: "ERROR", plog.SeverityNumberFatal4: "FATAL",
	} {
		assert.Equal(t, want, severityText(n))
	}
}
