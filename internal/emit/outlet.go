// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package emit // import "github.com/firebreak-otel/firebreak/internal/emit"

import (
	"context"
	"fmt"
	"slices"

	"go.opentelemetry.io/collector/consumer"
)

// Outlet is one logs pipeline that can carry event records.
type Outlet struct {
	emitter *Emitter
	next    consumer.Logs
	closing bool // guarded by emitter.mu
}

// Attach adds a logs pipeline: what comes after the component in it. All records go through the outlet
// that was attached first and is still there.
func (e *Emitter) Attach(next consumer.Logs) *Outlet {
	o := &Outlet{emitter: e, next: next}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.outlets = append(e.outlets, o)
	return o
}

// Detach takes the pipeline away: once it returned nil, the pipeline is called no more. The last outlet to
// go first delivers what is queued, as long as ctx allows. Safe on a nil Outlet, and twice.
func (o *Outlet) Detach(ctx context.Context) error {
	if o == nil {
		return nil
	}
	e := o.emitter
	e.mu.Lock()
	if !slices.Contains(e.outlets, o) {
		e.mu.Unlock()
		return nil
	}
	o.closing = true
	flush := e.state == running && !e.attached()
	e.mu.Unlock()

	var err error
	if flush {
		err = e.flush(ctx)
	}
	// With the turn in hand no delivery is under way, and the next one will not see this outlet.
	select {
	case e.turn <- struct{}{}:
		defer func() { <-e.turn }()
	case <-ctx.Done():
		err = ctx.Err()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.outlets = slices.DeleteFunc(e.outlets, func(p *Outlet) bool { return p == o })
	if err != nil {
		return fmt.Errorf("event records were still under way when their logs pipeline ended: %w", err)
	}
	return nil
}

// flush waits until what is queued now has been dealt with. No Emit succeeds meanwhile, as no outlet takes
// records; a Shutdown at the same time flushes by itself.
func (e *Emitter) flush(ctx context.Context) error {
	barrier := make(chan struct{})
	for {
		e.mu.Lock()
		stop := e.state != running
		sent := false
		if !stop && len(e.queue) < cap(e.queue) {
			e.queue <- item{barrier: barrier}
			sent = true
		}
		e.mu.Unlock()
		switch {
		case stop:
			select {
			case <-e.done:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		case sent:
			select {
			case <-barrier:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		// The queue is full: wait for one delivery to pass.
		select {
		case e.turn <- struct{}{}:
			<-e.turn
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
