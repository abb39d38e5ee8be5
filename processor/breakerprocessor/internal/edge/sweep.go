// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import "github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"

// lookAround looks at the next n edges: learns what is usual on those that are well, lets go of those that are
// closed and idle, and finds those that are slow or silent, which no failed call tells of.
func (t *Table) lookAround(n int, now int64, tell func(Event)) {
	for ; n > 0 && len(t.order) > 0; n-- {
		if t.hand >= len(t.order) {
			t.hand = 0
		}
		e := t.order[t.hand]
		if t.head-e.lastSeen > t.set.Idle && (!e.active && e.Breaker.State() == circuit.Closed || !e.decides()) {
			t.remove(e)
			t.Idle++
			continue
		}
		t.hand++
		if tell != nil {
			t.fold(e, now)
			t.lookForSlow(e, now)
			t.lookForStall(e, now, tell)
			t.lookForBacklog(e, now, tell)
		}
	}
}

// fold adds a window to what is usual on an edge, if nothing is wrong with it: an outage must not become usual.
func (t *Table) fold(e *Edge, now int64) {
	if now-e.folded < t.span || t.Warming() {
		return
	}
	e.folded = now
	if e.Breaker.State() != circuit.Closed || e.Hot != nil && e.Hot.Withheld != NotWithheld {
		return
	}
	s := e.Sums(now-t.span, now)
	if cfg := e.Breaker.Config(); cfg.SlowRatio > 0 && s.SlowRatio() >= cfg.SlowRatio/2 {
		return // on the way to be one
	}
	e.usual.fold(&s, t.span)
	e.usual.settle(t.set.SlowFloor, t.set.SlowFactor)
}

func (t *Table) lookForSlow(e *Edge, now int64) {
	cfg := e.Breaker.Config()
	if cfg.SlowRatio == 0 || e.usual.over == 0 || e.Breaker.State() != circuit.Closed {
		return
	}
	if s := e.Sums(now-cfg.Window, now); s.Calls >= cfg.SlowCalls && s.SlowRatio() >= cfg.SlowRatio {
		t.heat(e).dirty = true
		e.Hot.badAt = now
	}
}
