// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

// Failed is one failed call, as it was counted.
type Failed struct {
	Start, End int64 // unix nanoseconds of event time
	Weight     uint32
	Throttled  bool
	// Unanswered: the callee's own span is not there.
	Unanswered bool
}

// Settle corrects what a call was counted as on its edge, once its trace has shown what it was. What lies before
// the window is left alone.
func (t *Table) Settle(e *Edge, c Failed, from, to Fault) {
	if from == to {
		return
	}
	weight, busy := c.Weight, busyOf(c.End-c.Start)
	was, is := from.one(c.Throttled, weight, busy), to.one(c.Throttled, weight, busy)
	if to != NoFault {
		t.heat(e)
	}
	h := e.Hot
	if h == nil {
		return
	}
	bucket := h.troubles.At(min(c.End, t.head))
	if bucket == nil {
		return
	}
	bucket.sub(&was)
	bucket.Add(&is)
	a, b := sums(&pulse{}, &was), sums(&pulse{}, &is)
	e.Breaker.Amend(c.Start, &a, &b)
	if to == Charged {
		h.badAt = max(h.badAt, min(c.End, t.head))
	}
	if from == Pending && c.Unanswered && !h.named {
		h.to(min(c.End, t.head), nil, to, c.Weight)
	}
	h.dirty = true
}
