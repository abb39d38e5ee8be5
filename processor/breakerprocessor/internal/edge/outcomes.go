// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"math"

	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/internal/window"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
)

const (
	// weightUnit is the fixed point of weights in a bucket, circuitUnit the one in circuit.Sums.
	weightUnit  = 16
	circuitUnit = 256 / weightUnit
	// busyUnit is the unit of time in a bucket, in nanoseconds: 70,000 seconds of calls fit into one.
	busyUnit = 1 << 14
	// maxBusy bounds one call's duration, in nanoseconds: an hour.
	maxBusy = int64(3600e9)
)

// pulse is what a bucket keeps of all calls. 16 bytes: every edge has a ring of them.
type pulse struct {
	calls  uint32
	weight uint32 // in 1/weightUnit of a call
	slow   uint32
	busy   uint32 // in busyUnit
}

// Add adds other to p.
func (p *pulse) Add(other *pulse) {
	p.calls = window.Plus(p.calls, other.calls)
	p.weight = window.Plus(p.weight, other.weight)
	p.slow = window.Plus(p.slow, other.slow)
	p.busy = window.Plus(p.busy, other.busy)
}

// trouble is what a bucket keeps of calls that failed. Only edges with failures have a ring of them.
type trouble struct {
	bad       uint32 // failed here, or may have
	pending   uint32 // of them: not known yet
	deeper    uint32 // failed, but it began further down
	throttled uint32 // of bad
	weight    uint32 // of bad, in 1/weightUnit
	busy      uint32 // of bad, in busyUnit
}

// Add adds other to t.
func (t *trouble) Add(other *trouble) {
	t.bad = window.Plus(t.bad, other.bad)
	t.pending = window.Plus(t.pending, other.pending)
	t.deeper = window.Plus(t.deeper, other.deeper)
	t.throttled = window.Plus(t.throttled, other.throttled)
	t.weight = window.Plus(t.weight, other.weight)
	t.busy = window.Plus(t.busy, other.busy)
}

// sub takes other out of t again.
func (t *trouble) sub(other *trouble) {
	t.bad = minus(t.bad, other.bad)
	t.pending = minus(t.pending, other.pending)
	t.deeper = minus(t.deeper, other.deeper)
	t.throttled = minus(t.throttled, other.throttled)
	t.weight = minus(t.weight, other.weight)
	t.busy = minus(t.busy, other.busy)
}

// Fault is what is known of a failed call.
type Fault uint8

const (
	// NoFault: it did not fail.
	NoFault Fault = iota
	// Pending: it failed, and where that began is not known yet.
	Pending
	// Charged: it failed on this edge.
	Charged
	// Deeper: it failed because a call further down did.
	Deeper
)

// one is the trouble that a call makes.
func (f Fault) one(throttled bool, weight, busy uint32) trouble {
	switch f {
	case NoFault:
		return trouble{}
	case Deeper:
		return trouble{deeper: 1}
	}
	t := trouble{bad: 1, weight: weight, busy: busy}
	if f == Pending {
		t.pending = 1
	}
	if throttled {
		t.throttled = 1
	}
	return t
}

// sums are buckets in the form that a breaker judges.
func sums(p *pulse, t *trouble) circuit.Sums {
	return circuit.Sums{
		Calls: p.calls, Slow: p.slow, Weight: int64(p.weight) * circuitUnit, Busy: int64(p.busy) * busyUnit,
		Bad: t.bad, Pending: t.pending, Deeper: t.deeper, Throttled: t.throttled,
		BadWeight: int64(t.weight) * circuitUnit, BadBusy: int64(t.busy) * busyUnit,
	}
}

// Sums are the outcomes of the calls that ended in [from, to), in whole buckets.
func (e *Edge) Sums(from, to int64) circuit.Sums {
	var p pulse
	older, newer := e.pulses.Span(from, to)
	for _, run := range [...][]pulse{older, newer} {
		for i := range run {
			p.Add(&run[i])
		}
	}
	var t trouble
	if e.Hot != nil {
		older, newer := e.Hot.troubles.Span(from, to)
		for _, run := range [...][]trouble{older, newer} {
			for i := range run {
				t.Add(&run[i])
			}
		}
	}
	return sums(&p, &t)
}

// WeightOf is a call's weight in a bucket, in 1/16: below 1, or none at all, counts as 1. It is rounded as it is in a
// trace.Span, so that what is settled later is what was counted.
func WeightOf(w float64) uint32 {
	if !(w > 1) {
		return weightUnit
	}
	return trace.RoundWeight(uint32(math.Min(math.Round(w*weightUnit), 1<<28)))
}

func busyOf(ns int64) uint32 { return uint32((min(max(ns, 0), maxBusy) + busyUnit/2) / busyUnit) }

func newPulses(n int, width int64) window.Ring[pulse, *pulse] {
	return window.NewRing[pulse](n, width)
}

func minus(a, b uint32) uint32 { return a - min(a, b) }
