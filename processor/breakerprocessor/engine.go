// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor // import "github.com/firebreak-otel/firebreak/processor/breakerprocessor"

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor"
	"go.uber.org/zap"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/emit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/decision"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/engine"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/metadata"
)

// breakerEngine is what the traces and the logs pipelines of one component ID share: the shell around
// engine.Engine, which decides.
type breakerEngine struct {
	id        component.ID
	cfg       *Config
	logger    *zap.Logger
	telemetry *telemetry
	emitter   *emit.Emitter
	batches   sync.Pool // *batch
	read      func(*call.Batch, ptrace.Traces)

	mu      sync.Mutex
	core    *engine.Engine
	before  *engine.Engine // what was learned before a reload, until the first spans come; nil: nothing
	changed bool           // a breaker changed its state, and the logs side does not know yet

	open      atomic.Pointer[map[uint64]engine.Mark] // by service key: callers whose dependency is open
	host      atomic.Pointer[component.Host]
	failing   atomic.Bool // a panic was reported as the component's status
	panicOnce sync.Once
	lostOnce  sync.Once
	fullOnce  sync.Once
}

func newEngine(set processor.Settings, cfg *Config) (*breakerEngine, error) {
	e := &breakerEngine{id: set.ID, cfg: cfg, logger: set.Logger, read: (*call.Batch).Read}
	e.batches.New = func() any { return new(batch) }
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
	e.reset()
	t, err := newTelemetry(set, e)
	if err != nil {
		return nil, err
	}
	e.telemetry = t
	return e, nil
}

// reset gives up what was learned.
func (e *breakerEngine) reset() {
	e.core = engine.New(e.cfg.settings(), e.happened)
	e.publish()
}

// Start begins to deliver event records, and goes on from before a reload.
func (e *breakerEngine) Start(_ context.Context, host component.Host) error {
	e.host.Store(&host)
	e.take()
	e.emitter.Start()
	return nil
}

// Shutdown delivers the event records that wait, and leaves what was learned to the engine after a reload.
func (e *breakerEngine) Shutdown(ctx context.Context) error {
	err := e.emitter.Shutdown(ctx)
	e.telemetry.shutdown()
	e.park()
	return err
}

// learn has the engine take the calls of a batch. When that panics, what was learned may be half written: it is
// given up, and the breakers begin anew, closed.
func (e *breakerEngine) learn(b *batch) {
	e.mu.Lock()
	defer e.mu.Unlock()
	done, began := false, time.Now()
	defer func() {
		e.telemetry.busy.Add(int64(time.Since(began)))
		if !done {
			e.telemetry.retire(e.core)
			e.reset()
		}
	}()
	e.resume(b)
	b.marks = e.core.Learn(&b.calls, b.marks[:0])
	if e.changed { // once a batch: in an outage thousands may open at a time
		e.publish()
	}
	e.telemetry.skipped(&b.calls)
	done = true
}

// happened is called by the engine, under the lock, for each event.
func (e *breakerEngine) happened(ev decision.Event) {
	e.telemetry.event(&ev)
	e.changed = e.changed || ev.Name == decision.StateChanged
	if entry := e.logger.Check(zap.DebugLevel, "Breaker event"); entry != nil {
		entry.Write(zap.String("event", ev.Name), zap.String("name", ev.Edge.Name), zap.String("what", ev.Sentence()))
	}
	if e.emitter.Emit(eventOf(&ev)) {
		return
	}
	if e.emitter.HasOutlet() {
		e.telemetry.lost(lostQueueFull)
		e.fullOnce.Do(func() {
			e.logger.Warn("Event records come faster than the logs pipeline takes them, some are lost; raise event_queue_size, or see what holds the pipeline up. Further ones are only counted",
				zap.Int("event_queue_size", e.cfg.EventQueueSize))
		})
		return
	}
	e.telemetry.lost(lostNoPipeline)
	e.lostOnce.Do(func() {
		e.logger.Warn("No logs pipeline carries the event records of this processor, they are dropped; add it to a logs pipeline to get them")
	})
}

// publish has the logs side see which breakers are open. The lock must be held.
func (e *breakerEngine) publish() {
	open := e.core.Open()
	e.open.Store(&open)
	e.changed = false
}

// contain runs f; a panic costs the analysis, not the telemetry. It returns false after one.
func (e *breakerEngine) contain(f func()) (ok bool) {
	defer func() {
		if r := recover(); r != nil {
			e.telemetry.panicked()
			e.panicOnce.Do(func() {
				e.logger.Error("A defect in the breaker processor was contained; telemetry passes on. Please report it; further ones are only counted",
					zap.Any("panic", r), zap.Stack("stack"))
			})
			e.failing.Store(true)
			e.report(componentstatus.NewRecoverableErrorEvent(fmt.Errorf("a defect was contained, the breakers began anew: %v", r)))
		}
	}()
	f()
	if e.failing.Load() && e.failing.CompareAndSwap(true, false) {
		e.report(componentstatus.NewEvent(componentstatus.StatusOK))
	}
	return true
}

// report tells the component's status, if there is anybody to tell.
func (e *breakerEngine) report(ev *componentstatus.Event) {
	if host := e.host.Load(); host != nil {
		componentstatus.ReportStatus(*host, ev)
	}
}
