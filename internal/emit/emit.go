// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package emit sends event records (log records with an event name) out through the logs pipelines of a
// component, from any goroutine, without ever making the caller wait.
package emit // import "github.com/firebreak-otel/firebreak/internal/emit"

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

var errNoOutlet = errors.New("no logs pipeline is left to carry the event: add the processor to a logs pipeline")

// Settings are what an Emitter needs.
type Settings struct {
	// Resource is who speaks: the Collector's own resource.
	Resource pcommon.Resource
	// Scope and Version name the instrumentation scope of the records.
	Scope, Version string
	// QueueSize is how many records may wait for delivery; must be positive.
	QueueSize int
	// OnLost is told of each record that was accepted by Emit but could not be delivered. It is called from
	// the Emitter's goroutine. May be nil.
	OnLost func(err error)
}

// Emitter is a bounded queue of event records and the goroutine that delivers them, each exactly once
// through the first attached outlet. A record that the pipeline refuses is lost, not retried: retrying is
// the exporter's business, and a record that cannot pass must not hold up the next.
type Emitter struct {
	set    Settings
	ctx    context.Context // ends deliveries when Shutdown runs out of time
	cancel context.CancelFunc
	done   chan struct{}

	// turn is held while a record is being delivered: a lock that can be waited for with a context.
	turn chan struct{}

	mu      sync.Mutex
	queue   chan item
	state   state
	outlets []*Outlet
}

// item is a record, or a barrier when barrier is set.
type item struct {
	record  plog.Logs
	barrier chan struct{}
}

type state uint8

const (
	idle state = iota
	running
	stopped
)

// New makes an Emitter; it delivers nothing before Start.
func New(set Settings) *Emitter {
	ctx, cancel := context.WithCancel(context.Background())
	return &Emitter{
		set: set, ctx: ctx, cancel: cancel,
		done:  make(chan struct{}),
		turn:  make(chan struct{}, 1),
		queue: make(chan item, set.QueueSize),
	}
}

// Start begins delivery. Only the first call has an effect.
func (e *Emitter) Start() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.state == idle {
		e.state = running
		go e.run()
	}
}

// Emit queues an event for delivery and returns at once: false when the queue is full, when no outlet is
// attached, or when the Emitter is not running. The caller counts what was refused.
func (e *Emitter) Emit(ev Event) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	// The queue is only filled under the lock: a place that is free now is free below.
	if e.state != running || !e.attached() || len(e.queue) == cap(e.queue) {
		return false
	}
	e.queue <- item{record: e.build(&ev)}
	return true
}

// HasOutlet reports whether a logs pipeline is there to carry events.
func (e *Emitter) HasOutlet() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.attached()
}

// Waiting is how many records wait for delivery.
func (e *Emitter) Waiting() int { return len(e.queue) }

// Shutdown delivers what is queued, as long as ctx allows, and ends the goroutine. Safe without Start, and twice.
func (e *Emitter) Shutdown(ctx context.Context) error {
	e.mu.Lock()
	was := e.state
	e.state = stopped
	if was == running {
		close(e.queue)
	}
	e.mu.Unlock()
	if was != running {
		e.cancel()
		return nil
	}
	defer e.cancel()
	select {
	case <-e.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("event records still queued at shutdown are lost (the logs pipeline did not take them in time): %w", ctx.Err())
	}
}

func (e *Emitter) run() {
	defer close(e.done)
	for it := range e.queue {
		if it.barrier != nil {
			close(it.barrier)
			continue
		}
		if err := e.deliver(it.record); err != nil && e.set.OnLost != nil {
			e.set.OnLost(err)
		}
	}
}

func (e *Emitter) deliver(ld plog.Logs) error {
	select {
	case e.turn <- struct{}{}:
	case <-e.ctx.Done():
		return e.ctx.Err()
	}
	defer func() { <-e.turn }()
	if err := e.ctx.Err(); err != nil {
		return err
	}
	e.mu.Lock()
	var next consumer.Logs
	if len(e.outlets) > 0 {
		next = e.outlets[0].next
	}
	e.mu.Unlock()
	if next == nil {
		return errNoOutlet
	}
	return next.ConsumeLogs(e.ctx, ld)
}

// attached reports whether an outlet takes new records. The lock must be held.
func (e *Emitter) attached() bool {
	for _, o := range e.outlets {
		if !o.closing {
			return true
		}
	}
	return false
}
