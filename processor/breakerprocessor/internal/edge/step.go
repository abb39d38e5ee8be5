// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"slices"

	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
)

const (
	// evictOnFull is how many edges are looked at, for one that may go, when a new one finds the table full.
	evictOnFull = 8
	// evictEach is the share of the table that a step looks at: all of it in that many steps.
	evictEach = 64
)

// Step lets every breaker decide at time now, in event time, and tells of each transition. now must not go
// back, except by Move.
func (t *Table) Step(now int64, changed func(*Edge, circuit.Transition)) {
	cfg := t.set.Circuit
	kept := t.active[:0]
	for _, e := range t.active {
		recent := circuit.Recent{Window: e.Sums(now-cfg.Window, now), Fast: e.Sums(now-cfg.FastWindow, now)}
		judged := recent
		if t.beganDeeper(e, &recent) {
			judged = circuit.Recent{}
		}
		tr, ok := e.Breaker.Step(now, &judged)
		if !ok && e.Breaker.State() == circuit.HalfOpen && now-e.lastSeen > t.set.Idle {
			tr, ok = e.Breaker.Forget(now)
		}
		if ok {
			if e.Past == nil {
				e.Past = &Past{}
			}
			e.Past.Last = tr
			if tr.To == circuit.Open {
				e.Past.Cause = tr
			}
			changed(e, tr)
		}
		if e.Breaker.State() != circuit.Closed || recent.Window.Bad > 0 {
			kept = append(kept, e)
		} else {
			e.active = false
		}
	}
	clear(t.active[len(kept):])
	t.active = kept
	t.evict(len(t.order)/evictEach + 1)
}

// beganDeeper says that the failures at the door of a service, of whose callers nobody tells, are not to open it:
// the service fails because something behind it does, and a breaker between the two is the better place to cut.
func (t *Table) beganDeeper(door *Edge, r *circuit.Recent) bool {
	// Most often there is nothing to open it for, and nothing to look for.
	if door.caller != 0 || r.Window.Ratio() < t.crowd.FailureRatio && r.Fast.Ratio() < t.crowd.FastRatio {
		return false
	}
	return door.Breaker.State() == circuit.Closed && slices.ContainsFunc(t.active, func(e *Edge) bool {
		return e.caller == door.callee && e.Breaker.State() != circuit.Closed
	})
}

// evict looks at the next n edges and lets go of those that are closed and idle.
func (t *Table) evict(n int) {
	for ; n > 0 && len(t.order) > 0; n-- {
		if t.hand >= len(t.order) {
			t.hand = 0
		}
		if e := t.order[t.hand]; !e.active && e.Breaker.State() == circuit.Closed && t.head-e.lastSeen > t.set.Idle {
			t.remove(e)
		} else {
			t.hand++
		}
	}
}

func (t *Table) remove(e *Edge) {
	last := t.order[len(t.order)-1]
	t.order[e.place], last.place = last, e.place
	t.order[len(t.order)-1] = nil
	t.order = t.order[:len(t.order)-1]
	delete(t.edges, e.key)
	for _, k := range e.aliases {
		delete(t.edges, k)
	}
	t.aliases -= len(e.aliases)
	e.place = -1
}
