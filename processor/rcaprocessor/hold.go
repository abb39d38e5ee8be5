// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor // import "github.com/firebreak-otel/firebreak/processor/rcaprocessor"

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.uber.org/zap"
)

// Why held items went on.
const (
	releasedWaited   = "waited"
	releasedFull     = "full"
	releasedShutdown = "shutdown"
)

// Why the next consumer did not take held items.
const (
	refusedPermanent = "permanent" // lost: they will never be taken
	refusedRetryable = "retryable" // they are offered again
	refusedShutdown  = "shutdown"  // lost: there is no more time to offer them again
)

const (
	// retryAfter is when held items that were refused are offered again, retryAtEnd when the pipeline ends.
	retryAfter, retryAtEnd = time.Second, 100 * time.Millisecond
	// patience is how long a Shutdown goes on offering while nothing is taken, where its context has no earlier end.
	patience = 5 * time.Second
)

// hold is the telemetry of one pipeline that waits for a verdict, in order. Whoever sent it was told that it was
// taken: it is offered until the next consumer takes it, refuses it for good, or the pipeline ends.
type hold[T any] struct {
	engine *rcaEngine
	signal string
	held   *atomic.Int64 // bytes, of all pipelines of the signal
	wait   time.Duration
	kind   telemetryKind[T]

	turn  sync.Mutex // held while something is being released, so that it goes in order
	mu    sync.Mutex
	queue []held[T]
	ended bool // nothing is held any more

	wake     chan struct{}
	stop     chan struct{}
	stopOnce sync.Once
	done     sync.WaitGroup
}

// telemetryKind is what a hold needs to know of what it holds.
type telemetryKind[T any] struct {
	annotate func(T)
	send     func(context.Context, T) error
	mutates  bool // send may change what it is given
	clone    func(T) T
	count    func(T) int
	rest     func(error) (T, bool) // what was refused, where that was not all
}

// held is a part of one batch.
type held[T any] struct {
	ctx       context.Context // of the batch: what the next consumer may want to know of its sender
	data      T
	bytes     int64
	due       time.Time
	annotated bool
	refused   bool // that was logged
}

func newHold[T any](e *rcaEngine, signal string, bytes *atomic.Int64, wait time.Duration, kind telemetryKind[T]) *hold[T] {
	return &hold[T]{engine: e, signal: signal, held: bytes, wait: wait, kind: kind, wake: make(chan struct{}, 1), stop: make(chan struct{})}
}

// Start begins to release what has waited.
func (h *hold[T]) Start() {
	h.done.Add(1)
	go h.run()
}

func (h *hold[T]) run() {
	defer h.done.Done()
	timer := time.NewTimer(h.wait)
	defer timer.Stop()
	for {
		select {
		case <-h.stop:
			return
		case <-h.wake:
		case <-timer.C:
		}
		timer.Reset(h.releaseDue())
	}
}

// reserve makes room for so many bytes, by releasing what is there. It returns false when there is none.
func (h *hold[T]) reserve(bytes int64) bool {
	limit := h.engine.cfg.heldBytes()
	if bytes > limit {
		return false
	}
	for {
		if h.held.Add(bytes) <= limit {
			return true
		}
		h.held.Add(-bytes)
		if !h.release(releasedFull, false) {
			return false
		}
	}
}

// add holds data for which reserved bytes were reserved, of which it takes bytes.
func (h *hold[T]) add(ctx context.Context, data T, reserved, bytes int64) {
	h.held.Add(bytes - reserved)
	h.mu.Lock()
	h.queue = append(h.queue, held[T]{ctx: context.WithoutCancel(ctx), data: data, bytes: bytes, due: time.Now().Add(h.wait)})
	ended := h.ended
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default:
	}
	if ended { // it came while the pipeline ended
		h.drain(ctx)
	}
}

// releaseDue releases what has waited for long enough, and returns how long the next one has to.
func (h *hold[T]) releaseDue() time.Duration {
	for h.release(releasedWaited, true) {
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.queue) == 0 {
		return h.wait
	}
	return time.Until(h.queue[0].due)
}

// release sends what has been held for longest, if it must be due. It returns false when that is nothing, or was refused
// and goes on waiting.
func (h *hold[T]) release(reason string, due bool) bool {
	h.turn.Lock()
	defer h.turn.Unlock()
	h.mu.Lock()
	if len(h.queue) == 0 || due && time.Now().Before(h.queue[0].due) {
		h.mu.Unlock()
		return false
	}
	first := &h.queue[0] // nobody else takes it away while it is our turn, but the queue may move
	c := *first
	first.annotated = true
	h.mu.Unlock()

	if !c.annotated {
		h.kind.annotate(c.data)
	}
	offer := c.data
	if h.kind.mutates { // it may have to be offered again
		offer = h.kind.clone(c.data)
	}
	n := h.kind.count(c.data)
	err := h.kind.send(c.ctx, offer)
	switch {
	case err == nil:
		h.engine.telemetry.released(h.signal, reason, n)
	case consumererror.IsPermanent(err):
		h.engine.telemetry.refused(h.signal, refusedPermanent, n)
		h.engine.logger.Error("Held telemetry was refused for good by the next component, and is lost",
			zap.String("signal", h.signal), zap.Int("items", n), zap.Error(err))
	default:
		if rest, ok := h.kind.rest(err); ok {
			h.engine.telemetry.released(h.signal, reason, n-h.kind.count(rest))
			c.data, n = rest, h.kind.count(rest)
		}
		h.engine.telemetry.refused(h.signal, refusedRetryable, n)
		if !c.refused {
			h.engine.logger.Warn("Held telemetry was refused by the next component; it is offered again each second",
				zap.String("signal", h.signal), zap.Int("items", n), zap.Error(err))
		}
		h.mu.Lock()
		h.queue[0].data, h.queue[0].refused, h.queue[0].due = c.data, true, time.Now().Add(retryAfter)
		h.mu.Unlock()
		return false
	}
	h.mu.Lock()
	h.pop()
	h.mu.Unlock()
	return true
}

// pop lets go of what has been held for longest. The lock must be held.
func (h *hold[T]) pop() {
	h.held.Add(-h.queue[0].bytes)
	h.queue[0] = held[T]{}
	if h.queue = h.queue[1:]; len(h.queue) == 0 {
		h.queue = nil
	}
}

// Shutdown releases all that is held. Safe without Start, and twice.
func (h *hold[T]) Shutdown(ctx context.Context) error {
	h.stopOnce.Do(func() { close(h.stop) })
	h.done.Wait()
	h.mu.Lock()
	h.ended = true
	h.mu.Unlock()
	return h.drain(ctx)
}

// drain releases all that is held, as far as the next component takes it.
func (h *hold[T]) drain(ctx context.Context) error {
	for taken := time.Now(); ; {
		for h.release(releasedShutdown, false) {
			taken = time.Now()
		}
		h.mu.Lock()
		empty := len(h.queue) == 0
		h.mu.Unlock()
		if empty {
			return nil
		}
		if time.Since(taken) >= patience {
			return h.giveUp()
		}
		select {
		case <-time.After(retryAtEnd):
		case <-ctx.Done():
			return h.giveUp()
		}
	}
}

// giveUp counts what is still held as lost.
func (h *hold[T]) giveUp() error {
	h.turn.Lock()
	defer h.turn.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for len(h.queue) > 0 {
		n += h.kind.count(h.queue[0].data)
		h.pop()
	}
	if n == 0 {
		return nil
	}
	h.engine.telemetry.refused(h.signal, refusedShutdown, n)
	err := fmt.Errorf("%d held items (%s) are lost: the next component did not take them before the pipeline ended", n, h.signal)
	h.engine.logger.Error("Held telemetry was not taken", zap.Error(err))
	return err
}
