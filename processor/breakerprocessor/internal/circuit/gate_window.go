// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

import (
	"math"

	"github.com/firebreak-otel/firebreak/internal/window"
)

// Counts is what a number of calls came to that a Gate saw. Ignored calls are not among them.
type Counts struct{ Calls, Bad, Slow uint32 }

// Add adds other to c. Counts saturate.
func (c *Counts) Add(other *Counts) {
	c.Calls = window.Plus(c.Calls, other.Calls)
	c.Bad = window.Plus(c.Bad, other.Bad)
	c.Slow = window.Plus(c.Slow, other.Slow)
}

// Ratio is the share of bad calls, 0..1, never rounded; 0 without calls.
func (c Counts) Ratio() float64 { return share(c.Bad, c.Calls) }

// SlowRatio is the share of slow calls, 0..1; 0 without calls.
func (c Counts) SlowRatio() float64 { return share(c.Slow, c.Calls) }

// sums is the same as a Breaker would have counted it.
func (c Counts) sums() Sums {
	return Sums{Calls: c.Calls, Bad: c.Bad, Slow: c.Slow, Weight: int64(c.Calls) * weightUnit, BadWeight: int64(c.Bad) * weightUnit}
}

func share(part, all uint32) float64 {
	if all == 0 {
		return 0
	}
	return float64(part) / float64(all)
}

// past is the calls that the rules look at.
type past interface {
	// add takes a call that ended now.
	add(now int64, one Counts)
	// counts is what is in the window now.
	counts(now int64) Counts
}

func (cfg *GateConfig) newPast() past {
	if cfg.WindowCalls == 0 && cfg.WindowBuckets > 0 && cfg.BucketWidth > 0 {
		return &lastBuckets{window.NewRing[Counts, *Counts](cfg.WindowBuckets, cfg.BucketWidth)}
	}
	return &lastCalls{calls: make([]Counts, max(cfg.WindowCalls, 1))}
}

// lastCalls is a window of calls: a newer one takes the place of the oldest.
type lastCalls struct {
	calls []Counts
	next  int
	sum   Counts
}

func (w *lastCalls) add(_ int64, one Counts) {
	old := &w.calls[w.next]
	w.sum.Calls -= old.Calls
	w.sum.Bad -= old.Bad
	w.sum.Slow -= old.Slow
	w.sum.Add(&one)
	*old = one
	w.next = (w.next + 1) % len(w.calls)
}

func (w *lastCalls) counts(int64) Counts { return w.sum }

// lastBuckets is a window of time, which slides by the bucket.
type lastBuckets struct {
	ring window.Ring[Counts, *Counts]
}

func (w *lastBuckets) add(now int64, one Counts) {
	if bucket := w.ring.At(now); bucket != nil {
		bucket.Add(&one)
	}
}

func (w *lastBuckets) counts(now int64) Counts {
	w.ring.Advance(now)
	var sum Counts
	older, newer := w.ring.Span(math.MinInt64, math.MaxInt64)
	for i := range older {
		sum.Add(&older[i])
	}
	for i := range newer {
		sum.Add(&newer[i])
	}
	return sum
}
