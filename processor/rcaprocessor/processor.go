// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor // import "github.com/firebreak-otel/firebreak/processor/rcaprocessor"

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor"
	"go.uber.org/zap"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/emit"
	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/engine"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/metadata"
)

// rcaEngine is what the traces and the logs pipelines of one component ID share: the shell around
// engine.Engine, which decides.
type rcaEngine struct {
	id        component.ID
	cfg       *Config
	logger    *zap.Logger
	telemetry *telemetry
	emitter   *emit.Emitter
	batches   sync.Pool    // *batch
	lines     sync.Pool    // *[]engine.LogLine
	sources   atomic.Int32 // traces pipelines that run

	mu      sync.Mutex
	core    *engine.Engine
	pending []incident.Incident
	seen    breakers
	turn    time.Time // when the one who has the lock got it
	heard   time.Time // when data came last
	ready   bool      // it was said that enough was seen

	// Of what is held back; traces is nil where nothing ever is.
	traces     *engine.Watch // guarded by mu
	suspecting atomic.Bool   // an incident is suspected or open
	heldSpans  atomic.Int64  // bytes
	heldLogs   atomic.Int64  // bytes

	state *stateStore // nil when nothing is kept over a restart

	stop     chan struct{}
	stopOnce sync.Once
	done     sync.WaitGroup
	panicked sync.Once
	lost     sync.Once

	host    atomic.Pointer[component.Host]
	failing atomic.Bool // a panic was reported as the component's status
}

// batch is the scratch memory for one ptrace.Traces.
type batch struct {
	calls call.Batch
	marks []engine.Mark
}

func newEngine(set processor.Settings, cfg *Config) (*rcaEngine, error) {
	e := &rcaEngine{id: set.ID, cfg: cfg, logger: set.Logger, stop: make(chan struct{})}
	e.batches.New = func() any { return new(batch) }
	e.lines.New = func() any { return new([]engine.LogLine) }
	t, err := newTelemetry(set)
	if err != nil {
		return nil, err
	}
	if cfg.holds() {
		if err := t.watchHeld(e.heldBytes); err != nil {
			return nil, err
		}
	}
	e.telemetry = t
	e.emitter = emit.New(emit.Settings{
		Resource:  set.Resource,
		Scope:     metadata.ScopeName,
		Version:   set.BuildInfo.Version,
		QueueSize: cfg.EventQueueSize,
		OnLost: func(err error) {
			e.telemetry.lost(lostDelivery)
			e.logger.Warn("An event record was not delivered", zap.Error(err))
		},
	})
	if err := t.watchQueue(e.emitter.Waiting); err != nil {
		return nil, err
	}
	e.reset()
	return e, nil
}

// reset gives up what was learned.
func (e *rcaEngine) reset() {
	e.core = engine.New(e.cfg.settings(), e.keep)
	e.pending, e.ready = nil, false
}

// Start takes up the state of an earlier run, and begins to deliver event records and to watch for data that stops.
func (e *rcaEngine) Start(ctx context.Context, host component.Host) error {
	e.host.Store(&host)
	if err := e.openState(ctx, host); err != nil {
		return err
	}
	if e.state != nil {
		e.done.Add(1)
		go e.saveWhenDue()
	}
	e.emitter.Start()
	e.done.Add(1)
	go e.watch()
	return nil
}

// Shutdown looks at what has not been looked at yet, saves what is known, and delivers the event records that wait.
func (e *rcaEngine) Shutdown(ctx context.Context) error {
	e.stopOnce.Do(func() { close(e.stop) })
	e.done.Wait()
	e.flush()
	e.closeState(ctx)
	err := e.emitter.Shutdown(ctx)
	e.telemetry.shutdown()
	return err
}

// watch tells the engine when nothing has come for as long as spans may be late.
func (e *rcaEngine) watch() {
	defer e.done.Done()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-e.stop:
			return
		case now := <-ticker.C:
			e.mu.Lock()
			idle := !e.heard.IsZero() && now.Sub(e.heard) >= e.cfg.AllowedLateness
			if idle {
				e.heard = time.Time{}
			}
			e.mu.Unlock()
			if idle {
				e.flush()
			}
		}
	}
}

// flush has the engine look at what it waits with.
func (e *rcaEngine) flush() {
	e.guarded(func() {
		e.core.Idle()
		e.deliver()
	})
}

// processTraces learns from the spans and annotates those that are hurt in an open incident.
func (e *rcaEngine) processTraces(_ context.Context, td ptrace.Traces) (ptrace.Traces, error) {
	e.read(td, func(b *batch) {
		e.telemetry.skipped(&b.calls)
		e.guarded(func() {
			e.heard = e.turn
			b.marks = e.core.Learn(&b.calls, b.marks)
			e.seen.note(td, b, e.core.Head())
			if e.cfg.holds() {
				e.note(b)
			}
			e.deliver()
		})
	})
	return td, nil
}

// read has find decide which spans are annotated.
func (e *rcaEngine) read(td ptrace.Traces, find func(*batch)) {
	b := e.batches.Get().(*batch)
	b.marks = b.marks[:0]
	ok := e.contain(func() {
		b.calls.Read(td)
		find(b)
		e.annotateSpans(td, b)
	})
	if !ok {
		return // b may be half written: it is not used again
	}
	b.calls.Reset() // keeps nothing of the telemetry alive
	clear(b.marks)
	e.batches.Put(b)
}

func (e *rcaEngine) annotateSpans(td ptrace.Traces, b *batch) {
	var annotated roleCounts
	var in *incident.Incident
	var with *annotation
	for _, m := range b.marks {
		if m.Incident != in {
			in, with = m.Incident, annotationOf(m.Incident)
		}
		c := &b.calls.Calls[m.Call]
		span := td.ResourceSpans().At(int(c.ResourceSpans)).ScopeSpans().At(int(c.ScopeSpans)).Spans().At(int(c.Span))
		with.write(span.Attributes(), m.Role)
		if e.cfg.JaegerWarnings {
			with.warn(span.Attributes(), m.Role)
		}
		annotated[m.Role]++
	}
	e.telemetry.annotatedSpans(&annotated)
}

// processLogs learns from records, and annotates those of hurt traces, and grave ones of nodes
// that are part of an open incident.
func (e *rcaEngine) processLogs(_ context.Context, ld plog.Logs) (plog.Logs, error) {
	e.contain(func() {
		lines := e.lines.Get().(*[]engine.LogLine)
		*lines = readLines(ld, (*lines)[:0])
		e.telemetry.muted(ld.LogRecordCount() - len(*lines))
		var marks []logMark
		e.guarded(func() {
			learnLines(e.core, *lines)
			marks = e.markLogs(ld)
		})
		e.lines.Put(lines)
		e.annotateLogs(marks)
	})
	return ld, nil
}

func (e *rcaEngine) annotateLogs(marks []logMark) {
	var annotated roleCounts
	var in *incident.Incident
	var with *annotation
	for _, m := range marks {
		if m.incident != in {
			in, with = m.incident, annotationOf(m.incident)
		}
		with.write(m.record.Attributes(), m.role)
		annotated[m.role]++
	}
	e.telemetry.annotatedLogs(&annotated)
}

// logMark is a record to annotate.
type logMark struct {
	record   plog.LogRecord
	role     engine.Role
	incident *incident.Incident
}

// markLogs returns the records that belong to open incidents. The lock must be held.
func (e *rcaEngine) markLogs(ld plog.Logs) (marks []logMark) {
	if len(e.core.Published()) == 0 {
		return nil
	}
	for _, rl := range ld.ResourceLogs().All() {
		resource := call.ReadResource(rl.Resource().Attributes())
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				grave := lr.SeverityNumber() >= plog.SeverityNumberWarn
				if role, in := e.markLog(&resource, lr, grave); role != 0 {
					marks = append(marks, logMark{lr, role, in})
				}
			}
		}
	}
	return marks
}

func (e *rcaEngine) markLog(r *call.Resource, lr plog.LogRecord, grave bool) (engine.Role, *incident.Incident) {
	id, span := trace.ID(lr.TraceID()), lr.SpanID()
	if e.traces.Of(e.core) {
		return e.traces.MarkLog(r, id, binary.BigEndian.Uint64(span[:]), grave)
	}
	return e.core.MarkLog(r, id, grave)
}

// deliver hands on what has changed in incidents, and says when there can be the first. The lock must be held.
func (e *rcaEngine) deliver() {
	if !e.ready && e.core.Ready() {
		e.ready = true
		e.logger.Info("Enough was seen for verdicts", zap.Duration("warm_up", e.cfg.WarmUp))
	}
	for i := range e.pending {
		in := &e.pending[i]
		e.logger.Info("Incident "+in.State.String(), zap.String("id", in.ID), zap.String("root_cause", in.Verdict.Root),
			zap.String("summary", in.Verdict.Summary))
		e.telemetry.changed(in)
		if !e.emitter.Emit(eventOf(in, &e.seen)) {
			e.lose()
		}
	}
	e.pending = e.pending[:0]
}

// lose counts an event record that was not taken, and says so the first time.
func (e *rcaEngine) lose() {
	reason, advice := lostNoPipeline, "add the processor to a logs pipeline"
	if e.emitter.HasOutlet() {
		reason, advice = lostQueueFull, "raise event_queue_size, or see what holds the logs pipeline up"
	}
	e.telemetry.lost(reason)
	e.lost.Do(func() {
		e.logger.Warn("An event record was not delivered; further ones are only counted",
			zap.String("reason", reason), zap.String("advice", advice))
	})
}

// guarded runs f under the lock. When f panics, what was learned may be half written: it is given up.
func (e *rcaEngine) guarded(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.turn = time.Now()
	if !e.contain(f) {
		e.telemetry.retire()
		e.reset()
	} else if e.failing.Load() && e.failing.CompareAndSwap(true, false) {
		e.report(componentstatus.NewEvent(componentstatus.StatusOK))
	}
	e.telemetry.observe(e.core, e.traces, &e.seen, e.turn)
	e.suspecting.Store(e.traces.Of(e.core) && e.traces.Suspecting())
	e.mayBeDue()
}

// contain runs f; a panic costs the analysis, not the telemetry. It returns false after one.
func (e *rcaEngine) contain(f func()) (ok bool) {
	defer func() {
		if r := recover(); r != nil {
			e.telemetry.panicked()
			e.panicked.Do(func() {
				e.logger.Error("A defect in the rca processor was contained; telemetry passes on. Please report it; further ones are only counted",
					zap.Any("panic", r), zap.Stack("stack"))
			})
			e.failing.Store(true)
			e.report(componentstatus.NewRecoverableErrorEvent(fmt.Errorf("a defect was contained: %v", r)))
		}
	}()
	f()
	return true
}

// report tells the component's status, if there is anybody to tell.
func (e *rcaEngine) report(ev *componentstatus.Event) {
	if host := e.host.Load(); host != nil {
		componentstatus.ReportStatus(*host, ev)
	}
}
