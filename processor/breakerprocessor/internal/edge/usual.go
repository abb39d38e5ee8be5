// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"math/bits"

	"github.com/firebreak-otel/firebreak/internal/window"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/inflight"
)

const (
	// slowBuckets are half octaves from 2^slowFrom nanoseconds (131 us) up, to 137 s.
	slowBuckets = 40
	slowFrom    = 17
	// slowSamples calls of a bucket's time tell how long calls take: few, so that what is usual is minutes old.
	slowSamples = 2
	// slowEnough samples must be there before any call is slow.
	slowEnough = 100
	// usualWindows is after how many windows the older ones count half.
	usualWindows = 64
	// usualEnough calls must have been seen before a failure ratio is usual.
	usualEnough = 50
)

// usual is what an edge is like when nothing is wrong: sums over the windows in which it was well.
type usual struct {
	calls, bad uint32
	windows    uint8
	took       [slowBuckets]uint8 // how many sampled calls took so long
	over       int64              // nanoseconds beyond which a call is slow; 0: not known
	busy       uint64             // of calls, in busyUnit
	load       inflight.Peak      // calls in flight
}

// fold takes one window in which the edge was closed. Older windows fade.
func (u *usual) fold(s *circuit.Sums, span int64) {
	if u.windows >= usualWindows {
		u.calls, u.bad, u.busy, u.windows = u.calls/2, u.bad/2, u.busy/2, u.windows/2
	}
	u.calls, u.bad = window.Plus(u.calls, s.Calls), window.Plus(u.bad, s.Bad)
	u.busy += uint64(s.Busy) / busyUnit
	u.windows++
	u.load.Observe(inflight.Little(s.Busy, span))
}

// duration is how long a call usually takes, in nanoseconds.
func (u *usual) duration() float64 { return float64(u.busy) * busyUnit / max(float64(u.calls), 1) }

// add takes what another edge was like that turned out to be the same.
func (u *usual) add(other *usual) {
	u.calls, u.bad = window.Plus(u.calls, other.calls), window.Plus(u.bad, other.bad)
	u.windows = max(u.windows, other.windows)
	u.busy += other.busy
	u.load.Merge(&other.load)
	for i, n := range other.took {
		u.took[i] = uint8(min(int(u.took[i])+int(n), 255))
	}
}

// ratio is the usual share of failures, 0 when it is not known.
func (u *usual) ratio() float64 {
	if u.calls < usualEnough {
		return 0
	}
	return float64(u.bad) / float64(u.calls)
}

// rate is how many calls a second are usual, 0 when that is not known.
func (u *usual) rate(window int64) float64 {
	if u.windows == 0 {
		return 0
	}
	return float64(u.calls) / (float64(u.windows) * float64(window) / 1e9)
}

// sample takes how long a call took.
func (u *usual) sample(ns int64) {
	i := slowBucket(ns)
	if u.took[i] == 255 {
		for k := range u.took {
			u.took[k] /= 2
		}
	}
	u.took[i]++
}

// settle finds anew how long is slow: more than factor times what 95 of 100 calls stay below, and than floor.
func (u *usual) settle(floor int64, factor float64) {
	total := 0
	for _, n := range u.took {
		total += int(n)
	}
	if total < slowEnough {
		return
	}
	left := total / 20
	for i := slowBuckets - 1; i >= 0; i-- {
		if left -= int(u.took[i]); left < 0 {
			u.over = max(floor, int64(factor*float64(slowBound(i+1))))
			return
		}
	}
}

// slowBucket is the half octave of a duration.
func slowBucket(ns int64) int {
	if ns < 1<<slowFrom {
		return 0
	}
	top := bits.Len64(uint64(ns)) - 1
	return min(2*(top-slowFrom)+int(ns>>(top-1))&1, slowBuckets-1)
}

// slowBound is the lower bound of half octave i.
func slowBound(i int) int64 {
	b := int64(1) << (slowFrom + i/2)
	return b + b/2*int64(i%2)
}
