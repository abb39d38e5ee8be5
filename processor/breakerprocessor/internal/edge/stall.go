// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"slices"

	"github.com/firebreak-otel/firebreak/internal/window"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
)

const (
	// stallRate is how many calls a second must be usual before their absence means anything.
	stallRate = 2.0
	// stallBelow and stallOver are the shares of the usual calls for each request of the caller's at which an edge
	// stalls, and at which it does no more.
	stallBelow, stallOver = 0.1, 0.5
	// stallWindows are the windows that must have told what is usual.
	stallWindows = 3
	// failsElsewhere is the share of failures on another edge of the caller that explains why it calls less.
	failsElsewhere = 0.1
)

// lookForStall finds an edge on which hardly any call ends though the caller is asked as ever: a call that hangs has no
// span yet. Both are spans of the caller, so that a late export of them delays both.
func (t *Table) lookForStall(e *Edge, now int64, tell func(Event)) {
	if e.usual.windows < stallWindows || e.Breaker.State() != circuit.Closed && !e.stalled {
		return
	}
	by := t.service(e.Caller.Key)
	rate := e.usual.rate(t.span)
	if rate < stallRate || by == nil || by.servedAt == never {
		return
	}
	received, usually := by.load(t, now)
	half := t.span / 2
	if usually == 0 || float64(received) < stallOver*usually*float64(half)/1e9 {
		return // nobody asks
	}
	s := e.Sums(now-half, now)
	share := float64(s.Calls) / (rate / usually * float64(received))
	stalled := share < stallBelow || e.stalled && share < stallOver
	if stalled && t.failsElsewhere(e, now-half, now) {
		stalled = false // the caller fails before it gets that far
	}
	if stalled != e.stalled {
		e.stalled = stalled
		tell(Event{Kind: Stalled, Edge: e, At: now, Evidence: s})
	}
}

// failsElsewhere says that the caller has failures on another edge.
func (t *Table) failsElsewhere(e *Edge, from, to int64) bool {
	return slices.ContainsFunc(t.active, func(a *Edge) bool {
		if a == e || a.Caller != e.Caller {
			return false
		}
		s := a.Sums(from, to)
		return a.Breaker.State() != circuit.Closed || float64(s.Bad+s.Deeper) > failsElsewhere*float64(s.Calls)
	})
}

// Stalled says that hardly any call on the edge ends.
func (e *Edge) Stalled() bool { return e.stalled }

// usualCount is what is usual of a number of calls a window.
type usualCount struct {
	calls   uint32
	windows uint8
	folded  int64
}

// load is how many calls the service answered in the last half window, and how many a second are usual, 0: not known.
func (s *Service) load(t *Table, now int64) (lately uint32, usually float64) {
	if u := &s.usual; now-u.folded >= t.span && !t.Warming() {
		if u.windows >= usualWindows {
			u.calls, u.windows = u.calls/2, u.windows/2
		}
		u.calls = window.Plus(u.calls, uint32(s.received.Sum(now-t.span, now)))
		u.windows++
		u.folded = now
	}
	if s.usual.windows >= stallWindows {
		usually = float64(s.usual.calls) / (float64(s.usual.windows) * float64(t.span) / 1e9)
	}
	return uint32(s.received.Sum(now-t.span/2, now)), usually
}
