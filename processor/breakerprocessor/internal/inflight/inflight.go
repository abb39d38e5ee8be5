// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package inflight tells how many calls of an edge are under way at a time, from spans that tell of a call only when
// it has ended, and how many may be.
package inflight

import (
	"math"
	"slices"
)

// Interval is the time of one call, from Start until before End, in nanoseconds of one clock. One that does not end
// after its start takes no time and is never in flight.
type Interval struct{ Start, End int64 }

func (i Interval) busy() bool { return i.Start < i.End }

// Max is how many calls were in flight at most. Half-open intervals: a call that begins when another ends does not
// meet it. Takes O(n log n) time and 16 bytes a call.
func Max(calls []Interval) int {
	starts, ends := make([]int64, 0, len(calls)), make([]int64, 0, len(calls))
	for _, c := range calls {
		if c.busy() {
			starts, ends = append(starts, c.Start), append(ends, c.End)
		}
	}
	slices.Sort(starts)
	slices.Sort(ends)
	most, ended := 0, 0
	for i, s := range starts {
		for ends[ended] <= s {
			ended++
		}
		most = max(most, i+1-ended)
	}
	return most
}

// Mean is how many calls were in flight on average from the first start to the last end; 0 without calls. It is what
// Little estimates, which the processor uses; the conformance cases hold the two together.
func Mean(calls []Interval) float64 {
	busy, first, last := 0.0, int64(math.MaxInt64), int64(math.MinInt64)
	for _, c := range calls {
		if c.busy() {
			busy += float64(c.End) - float64(c.Start)
			first, last = min(first, c.Start), max(last, c.End)
		}
	}
	if first >= last {
		return 0
	}
	return busy / (float64(last) - float64(first))
}

// Little is the mean number of calls in flight by Little's law: the time spent in calls, added up, by the time that
// went by, in the same unit; 0 when none did. Cheap and mergeable where the intervals are not kept. Calls count where
// they end: right for windows that are long against a call.
func Little(busy, elapsed int64) float64 {
	if busy <= 0 || elapsed <= 0 {
		return 0
	}
	return float64(busy) / float64(elapsed)
}

const (
	// Saturation: at least fullAt of what is usual at most is in flight, and no more than plateau of it, while calls
	// take slower times as long as usual.
	fullAt, plateau, slower = 0.9, 1.25, 2.0
)

// Saturated says that calls queue for a place: as many are in flight as there usually are at most and not more,
// though they take at least twice as long. At the same rate of calls, Little's law would have twice as many in
// flight; that there are not is the mark of a pool or a limit that is full. calls and usual are concurrency of the
// same kind (Peak: both of Max, or both means), the durations both means in one unit. False where anything usual
// is 0, that is not known. A hint: an edge whose rate falls while its callee slows down looks the same.
func Saturated(calls, usual, duration, usualDuration float64) bool {
	if !(usual > 0 && usualDuration > 0) {
		return false
	}
	return calls >= fullAt*usual && calls <= plateau*usual && duration >= slower*usualDuration
}
