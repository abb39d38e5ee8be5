// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package window

import "math/bits"

// HistogramBuckets is the number of buckets of a Histogram: 24 octaves of 4.
const HistogramBuckets = 96

// minExponent: durations below 2^13 ns (8 us) fall into the first bucket, from 2^37 ns (137 s) on into the last.
const minExponent = 13

// Histogram counts durations in log-linear buckets, four to the octave: a bucket's bounds differ by at
// most a quarter. Counts saturate at the maximum of uint32.
type Histogram struct {
	counts [HistogramBuckets]uint32
}

// BucketOf returns the index of the bucket for a duration in nanoseconds.
func BucketOf(ns int64) int {
	if ns < 1<<minExponent {
		return 0
	}
	e := bits.Len64(uint64(ns)) - 1
	return min((e-minExponent)*4+int(uint64(ns)>>(e-2)&3), HistogramBuckets-1)
}

// LowerBound returns the smallest duration of bucket i, in nanoseconds.
func LowerBound(i int) int64 {
	return int64(4+i%4) << (minExponent + i/4 - 2)
}

// Observe counts n durations of ns nanoseconds.
func (h *Histogram) Observe(ns int64, n uint32) {
	c := &h.counts[BucketOf(ns)]
	*c = Plus(*c, n)
}

// Add adds other's counts.
func (h *Histogram) Add(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] = Plus(h.counts[i], n)
	}
}

// Halve halves every count, rounding down: an exponential decay when done at a fixed period.
func (h *Histogram) Halve() {
	for i := range h.counts {
		h.counts[i] /= 2
	}
}

// Count returns how many durations were counted.
func (h *Histogram) Count() int64 {
	var n int64
	for _, c := range h.counts {
		n += int64(c)
	}
	return n
}

// Quantile returns the q-quantile (0..1) in nanoseconds, interpolated inside its bucket; 0 when empty.
func (h *Histogram) Quantile(q float64) int64 {
	total := h.Count()
	if total == 0 {
		return 0
	}
	rank := q * float64(total)
	var below float64
	for i, c := range h.counts {
		if c == 0 {
			continue
		}
		if above := below + float64(c); above >= rank {
			lo, hi := LowerBound(i), LowerBound(i+1)
			return lo + int64(float64(hi-lo)*max(0, rank-below)/float64(c))
		} else {
			below = above
		}
	}
	return LowerBound(HistogramBuckets)
}

// Plus adds two counts, which stay at their largest instead of beginning anew.
func Plus(a, b uint32) uint32 {
	if s := a + b; s >= a {
		return s
	}
	return ^uint32(0)
}
