// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/instance"
)

const (
	// evictOnFull is how many edges are looked at, for one that may go, when a new one finds the table full.
	evictOnFull = 8
	// lookEach is the share of the table that a step looks at: all of it in that many steps.
	lookEach = 10
	// coldAfter windows without a failure an edge is one without failures again.
	coldAfter = 6
)

// Step lets every breaker decide at time now, in event time, and tells of what happened. now must not go
// back, except by Move.
func (t *Table) Step(now int64, tell func(Event)) {
	t.lookAtEntries()
	for _, e := range t.forced {
		tell(Event{Kind: Changed, Edge: e, At: now, Transition: e.Hot.Last})
	}
	clear(t.forced)
	t.forced = t.forced[:0]
	t.relate(now)
	for _, e := range t.active {
		t.decide(e, now, tell)
		t.judge(e, now, tell)
	}
	kept := t.active[:0]
	for _, e := range t.active {
		if e.Breaker.State() != circuit.Closed || now-e.Hot.badAt < coldAfter*t.span {
			kept = append(kept, e)
		} else {
			e.active, e.Hot = false, nil
		}
	}
	clear(t.active[len(kept):])
	t.active = kept
	t.lookAround(len(t.order)/lookEach+1, now, tell)
}

// decide lets one breaker decide.
func (t *Table) decide(e *Edge, now int64, tell func(Event)) {
	h, state := e.Hot, e.Breaker.State()
	if state == circuit.Closed && !h.dirty || !e.decides() {
		return
	}
	h.dirty = false
	r := t.judged(e, now)
	if state == circuit.Closed {
		why := e.Breaker.Would(now, &r)
		if why == circuit.NoReason {
			if h.dirty = h.Withheld != NotWithheld; h.dirty && now-h.wouldAt > t.span {
				h.Withheld, h.dirty = NotWithheld, false
			}
			return
		}
		h.wouldAt = now
		if t.oneSided(e, now) {
			h.dirty = true
			return
		}
		if w := t.withhold(e, why, now); w != NotWithheld {
			h.dirty = true // what holds it back may go without a further failure
			if w != h.Withheld {
				h.Withheld = w
				evidence := r.Window
				if why == circuit.FastFailureRate {
					evidence = r.Fast
				}
				tell(Event{Kind: Suppressed, Edge: e, At: now, Evidence: evidence, Rule: why})
			}
			return
		}
		h.Withheld = NotWithheld
	}
	tr, ok := e.Breaker.Step(now, &r)
	if !ok && state == circuit.HalfOpen && now-e.lastSeen > t.set.Idle {
		tr, ok = e.Breaker.Forget(now)
	}
	if !ok {
		return
	}
	h.Last = tr
	if tr.To == circuit.Open {
		h.Cause = tr
		if tr.From == circuit.Closed {
			t.open++
			e.cut(now, t.span, 1)
		}
	} else if tr.To == circuit.Closed {
		t.open--
		e.cut(now, t.span, -1)
	}
	tell(Event{Kind: Changed, Edge: e, At: now, Transition: tr})
}

// judged is what the edge's breaker judges.
func (t *Table) judged(e *Edge, now int64) circuit.Recent {
	cfg := e.Breaker.Config()
	// Of the fast window only whole buckets: one that began before it holds calls from before the outage.
	fast := (now - cfg.FastWindow + t.set.Bucket - 1) / t.set.Bucket * t.set.Bucket
	r := circuit.Recent{
		Window: e.Sums(now-cfg.Window, now), Fast: e.Sums(fast, now),
		Usual: e.usual.ratio(), Expected: e.usual.rate(t.span), Lag: t.lag.wait,
	}
	if cfg.Consecutive > 0 {
		r.Row = e.row(now)
	}
	return r
}

// row is how many calls failed since the last that did not, at least: whole buckets without a success.
func (e *Edge) row(now int64) uint32 {
	n := uint32(0)
	width := e.pulses.Width()
	for to := now; to > now-int64(e.pulses.Len())*width; to -= width {
		s := e.Sums(to-1, to)
		if s.Calls > s.Bad {
			break
		}
		n += s.Bad - s.Pending
	}
	return n
}

// withhold says why the edge should not open although a rule wants it.
func (t *Table) withhold(e *Edge, why circuit.Reason, now int64) Withheld {
	switch {
	case t.onlyFailures:
		return OnlyFailures
	case e.Callee.cuts > 0:
		return DeeperOpen
	}
	switch side := e.Hot.side(why, now); {
	case side != NotWithheld:
		return side
	case t.open > 0 && float64(t.open+1) > t.set.MaxOpenShare*float64(len(t.order)):
		return Capped
	}
	return NotWithheld
}

// oneSided says that one of the caller's instances alone was heard since the edge has failures, and that others may be
// about to tell: each exports its spans when it is due.
func (t *Table) oneSided(e *Edge, now int64) bool {
	return now-e.Hot.since < t.lag.wait && len(e.Hot.callers.Hosts(now)) == 1
}

// side says whether the failures are those of few instances, of the caller or of the callee, while others are well.
func (h *Hot) side(why circuit.Reason, now int64) Withheld {
	callers, callees, all := h.callers.Hosts(now), h.callees.Hosts(now), h.callees.Total(now)
	quorum := true
	switch why {
	case circuit.SlowRate:
		return NotWithheld // who is slow is not counted
	case circuit.FailureLoad:
		callers, callees = hit(callers, h.callers.Total(now)), hit(callees, all)
		v := instance.Poll(callers)
		quorum = 2*v.Failing >= v.Heard
	default:
		quorum, _ = instance.Quorum(callers)
	}
	switch {
	case !quorum:
		return CallerSide
	case instance.Eject(&ejection, callees, all, nil).Concentrated:
		return InstanceSide
	}
	return NotWithheld
}

// hit has each instance fail that fails at least half as often as all do together, and the others be well: where few
// calls fail, and take most of the time, those are the ones it happens to.
func hit(hosts []instance.Count, all instance.Count) []instance.Count {
	for i := range hosts {
		h := &hosts[i]
		if h.Failed() > 0 && 2*uint64(h.Failed())*uint64(all.Calls) >= uint64(all.Failed())*uint64(h.Calls) {
			h.Bad, h.Deeper = h.Calls, 0
		} else {
			h.Bad, h.Deeper = 0, 0
		}
	}
	return hosts
}

// relate notes of each node what the edges with failures around it are. Once a step, as thousands may fail: where a
// breaker on the node's own calls is not closed, that is the better place to cut, and what the node does meanwhile tells
// nothing of the node.
func (t *Table) relate(now int64) {
	for _, e := range t.active {
		for _, n := range [...]*Node{e.Caller, e.Callee} {
			n.cuts, n.above = 0, nil
		}
	}
	for _, e := range t.active {
		if s := e.Breaker.State(); s == circuit.Open || s == circuit.HalfOpen {
			e.cut(now, t.span, 1)
		}
		if a := e.Callee.above; a == nil || !a.Hot.retries(t) && e.Hot.retries(t) {
			e.Callee.above = e
		}
	}
}

// cut counts the edge among its caller's cuts, or no more. One without calls is none.
func (e *Edge) cut(now, span int64, n int32) {
	if now-e.lastSeen <= span {
		e.Caller.cuts += n
	}
}
