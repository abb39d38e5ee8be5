// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package story

import "github.com/firebreak-otel/firebreak/internal/call"

// judge finds the verdict on span i, of which all below is known.
func (t *Teller) judge(i int32) {
	s, m := &t.spans[i], &t.story.Meanings[i]
	if s.Role().Incoming() {
		m.Explained = t.ofItsWork(i)
		return
	}
	if !s.Role().Outgoing() || !s.Outcome().Bad() {
		return
	}
	m.Verdict = Charged
	switch {
	case t.explained(i):
		m.Verdict = Propagated
	case s.Reason() == call.ReasonTimeout:
		if last := t.waitedFor(i); last != i {
			m.Verdict = Propagated
			if below := &t.story.Meanings[last]; below.Verdict == None {
				below.Verdict = GivenUp
			}
		}
	}
}

// explained says that failed call i failed because of what failed in the work of the span that answered it, or in
// the calls that it consists of (a gRPC call's HTTP calls, the attempts of an SDK).
func (t *Teller) explained(i int32) bool {
	if a := t.works[i].answer; a != none && t.ofItsWork(a) {
		return true
	}
	return t.works[i].guarded || endsBy(t.works[i].failedAt, t.spans[i].End)
}

// ofItsWork says that answer a is not a good one because of what failed in its own work.
func (t *Teller) ofItsWork(a int32) bool {
	s, w := &t.spans[a], &t.works[a]
	return unwell(s) && (w.guarded || rejected(s) || endsBy(w.failedAt, s.End))
}

func endsBy(at, end int64) bool { return at != never && at-slack <= end }

// waitedFor goes down from call i, whose caller gave up, by the calls that took most of the time, and returns the
// last; i when there is none. Below a call that failed it is that call's own verdict that counts. Amortized: no
// two calls go down over the same spans, as each stops at a failed call.
func (t *Teller) waitedFor(i int32) int32 {
	for {
		unit := i
		if a := t.works[i].answer; a != none {
			unit = a
		}
		next := t.works[unit].longest
		if next == none {
			return i
		}
		// Also of the call's own time: else it was the way there that took it.
		half := max(t.spans[unit].Duration(), t.spans[i].Duration()) / 2
		if took := t.took(next, unit); took == 0 || took < half {
			return i
		}
		if s := &t.spans[unit]; s.Outcome().Bad() && s.Reason() != call.ReasonTimeout && !unwell(&t.spans[next]) {
			return i // it did fail by itself
		}
		i = next
		if t.spans[i].Outcome().Bad() {
			return i
		}
	}
}

// took is how much of the time of span unit it spent waiting for call i. Clocks of two services do not compare.
func (t *Teller) took(i, unit int32) int64 {
	s, u := &t.spans[i], &t.spans[unit]
	if s.Instance != u.Instance {
		return min(s.Duration(), u.Duration())
	}
	return max(0, min(s.End, u.End)-max(s.Start(), u.Start()))
}

// report tells the span above what span i means for its own work.
func (t *Teller) report(i int32) {
	s, w := &t.spans[i], &t.works[i]
	if w.up == none || t.nodes[i].Async {
		return
	}
	up := &t.works[w.up]
	candidate, failedAt, guarded := none, never, false
	switch s.Role() {
	case call.RoleClient, call.RoleProducer: // a message that could not be sent fails the work, if that waited
		guarded = rejected(s)
		if !guarded {
			candidate = i
		}
		if s.Outcome().Bad() && !t.recovered(i) {
			failedAt = s.End
		}
	case call.RoleInternal:
		candidate, failedAt, guarded = w.longest, w.failedAt, w.guarded || rejected(s)
	default:
		return // an answer, or a message
	}
	if failedAt != never && t.nodes[i].Parent == none {
		failedAt = t.spans[w.up].End // adopted: another host's clock
	}
	up.failedAt = min(up.failedAt, failedAt)
	up.guarded = up.guarded || guarded
	if candidate != none && (up.longest == none || t.took(candidate, w.up) > t.took(up.longest, w.up)) {
		up.longest = candidate
	}
}

// place finds out what work span i is part of, and whether a failure in it reaches that work's answer. What it
// hangs below is placed already.
func (t *Teller) place(i int32) {
	s, n, w := &t.spans[i], &t.nodes[i], &t.works[i]
	switch {
	case w.up == none, n.Async, s.Role().Incoming():
		w.top = i
		// A call that nobody waited for fails nothing.
		w.lost = unwell(s) && !(n.Async && s.Role().Outgoing()) || t.unseen(i)
	case n.Parent == none: // adopted: what the call came to is what its answer was
		w.top = i
		w.lost = unwell(&t.spans[w.up])
	default:
		up := &t.works[w.up]
		w.top = up.top
		w.lost = up.lost && (t.spans[w.up].Role() != call.RoleClient || unwell(&t.spans[w.up]))
	}
	if m := &t.story.Meanings[i]; s.Role().Outgoing() && s.Outcome().Bad() {
		m.Absorbed = !w.lost || t.recovered(i)
	}
}

// unseen says that span i begins a piece of work only because the span above it is not there.
func (t *Teller) unseen(i int32) bool {
	return t.nodes[i].Parent == none && t.nodes[i].Partial && !t.spans[i].Role().Incoming()
}
