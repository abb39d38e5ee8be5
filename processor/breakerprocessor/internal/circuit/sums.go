// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

import (
	"math"

	"github.com/firebreak-otel/firebreak/internal/window"
)

// weightUnit is the fixed point of weights: a call that stands for itself alone weighs so much.
const weightUnit = 256

// maxWeight bounds one call's weight, so that a window of them stays within int64.
const maxWeight = int64(1) << 40

// maxBusy bounds one call's duration likewise: an hour.
const maxBusy = int64(3600e9)

// Sums is what a number of calls came to. Integers: their sum does not depend on the order of arrival.
type Sums struct {
	// Calls counts observed calls. Bad is those that failed here, or may have: of Pending of them it is not known yet.
	// Deeper ones failed, but that began further down: they are not among Bad.
	Calls, Bad, Pending, Deeper uint32
	// Slow is a part of Calls; Throttled, which were refused for want of capacity, of Bad.
	Slow, Throttled uint32
	// Weight and BadWeight count what the observed calls stand for (head sampling), in 1/256 of a call.
	Weight, BadWeight int64
	// Busy and BadBusy are how long the calls took, in nanoseconds added up.
	Busy, BadBusy int64
}

// Add adds other to s. Counts saturate.
func (s *Sums) Add(other *Sums) {
	s.Calls = window.Plus(s.Calls, other.Calls)
	s.Bad = window.Plus(s.Bad, other.Bad)
	s.Pending = window.Plus(s.Pending, other.Pending)
	s.Deeper = window.Plus(s.Deeper, other.Deeper)
	s.Slow = window.Plus(s.Slow, other.Slow)
	s.Throttled = window.Plus(s.Throttled, other.Throttled)
	s.Weight = saturate64(s.Weight, other.Weight)
	s.BadWeight = saturate64(s.BadWeight, other.BadWeight)
	s.Busy = saturate64(s.Busy, other.Busy)
	s.BadBusy = saturate64(s.BadBusy, other.BadBusy)
}

// Sub takes other out of s again. Nothing falls below 0.
func (s *Sums) Sub(other *Sums) {
	s.Calls -= min(s.Calls, other.Calls)
	s.Bad -= min(s.Bad, other.Bad)
	s.Pending -= min(s.Pending, other.Pending)
	s.Deeper -= min(s.Deeper, other.Deeper)
	s.Slow -= min(s.Slow, other.Slow)
	s.Throttled -= min(s.Throttled, other.Throttled)
	s.Weight -= min(s.Weight, other.Weight)
	s.BadWeight -= min(s.BadWeight, other.BadWeight)
	s.Busy -= min(s.Busy, other.Busy)
	s.BadBusy -= min(s.BadBusy, other.BadBusy)
}

// Ratio is the share of bad calls, pending ones in full, 0..1, by what the calls stand for; 0 without calls. Correctly rounded up
// to 2^53 units, so that 1 of 2 equals 0.5 exactly.
func (s *Sums) Ratio() float64 {
	if s.Weight == 0 {
		return 0
	}
	return float64(s.BadWeight) / float64(s.Weight)
}

// BusyRatio is the share of the time spent in calls, 0..1, that was spent in bad ones: by Little's law, how much
// of what is in flight at any moment will come to nothing.
func (s *Sums) BusyRatio() float64 {
	if s.Busy == 0 {
		return 0
	}
	return float64(s.BadBusy) / float64(s.Busy)
}

// SlowRatio is the share of slow calls, 0..1; 0 without calls.
func (s *Sums) SlowRatio() float64 { return share(s.Slow, s.Calls) }

// One is the sums of one call that stands for weight calls and took busy nanoseconds; a weight below 1, or none
// at all, counts as 1.
func One(bad, throttled bool, weight float64, busy int64) Sums {
	w := int64(weightUnit)
	if weight > 1 {
		w = int64(math.Min(math.Round(weight*weightUnit), float64(maxWeight)))
	}
	busy = min(max(busy, 0), maxBusy)
	s := Sums{Calls: 1, Weight: w, Busy: busy}
	if bad {
		s.Bad, s.BadWeight, s.BadBusy = 1, w, busy
	}
	if throttled {
		s.Throttled = 1
	}
	return s
}

// wilson is the lower bound of the Wilson score interval for a ratio seen in n observations: how bad things
// are at least, at the confidence that z standard deviations give.
func wilson(ratio float64, n uint32, z float64) float64 {
	if n == 0 {
		return 0
	}
	N := float64(n)
	zz := z * z
	return (ratio + zz/(2*N) - z*math.Sqrt(ratio*(1-ratio)/N+zz/(4*N*N))) / (1 + zz/N)
}

// surely says that a ratio seen in n observations has reached a limit, and that z standard deviations of doubt
// leave it at or above the floor.
func surely(ratio float64, n uint32, limit, z, floor float64) bool {
	return ratio >= limit && wilson(ratio, n, z) >= floor
}

func saturate64(a, b int64) int64 {
	if s := a + b; s >= a {
		return s
	}
	return math.MaxInt64
}
