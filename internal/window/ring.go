// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package window keeps statistics as sums: event-time rings of buckets and log-scale histograms.
// Two of a kind merge by addition, so state of A plus state of B is the state of A and B together.
package window

// Sums is a bucket's contents: integers that add up. Integers, because their sum does not
// depend on the order in which they came.
type Sums[B any] interface {
	*B
	// Add adds other to the receiver.
	Add(other *B)
}

// Ring is a window of the newest len(buckets) buckets in event time. The zero Ring is not usable: NewRing.
type Ring[B any, P Sums[B]] struct {
	width   int64 // nanoseconds a bucket
	head    int64 // number of the newest bucket: start time / width
	started bool
	buckets []B // bucket k stands at k mod len
}

// NewRing makes a ring of n buckets, each width nanoseconds wide. n and width must be positive.
func NewRing[B any, P Sums[B]](n int, width int64) Ring[B, P] {
	return Ring[B, P]{width: width, buckets: make([]B, n)}
}

// Len is how many buckets there are.
func (r *Ring[B, P]) Len() int { return len(r.buckets) }

// Width is the width of a bucket in nanoseconds.
func (r *Ring[B, P]) Width() int64 { return r.width }

// At returns the bucket that time t (unix nanoseconds) falls into, moving the window forward when t is
// beyond it. It returns nil when t lies before the window: too late to count.
func (r *Ring[B, P]) At(t int64) P {
	k := floorDiv(t, r.width)
	if !r.started || k > r.head {
		r.advance(k)
	} else if k <= r.head-int64(len(r.buckets)) {
		return nil
	}
	return P(&r.buckets[r.slot(k)])
}

// Advance moves the window forward so that t falls into its newest bucket; never back.
func (r *Ring[B, P]) Advance(t int64) {
	if k := floorDiv(t, r.width); !r.started || k > r.head {
		r.advance(k)
	}
}

func (r *Ring[B, P]) advance(k int64) {
	n := int64(len(r.buckets))
	if !r.started || k-r.head >= n {
		clear(r.buckets)
	} else {
		for i := r.head + 1; i <= k; i++ {
			var zero B
			r.buckets[r.slot(i)] = zero
		}
	}
	r.head, r.started = k, true
}

// Sum adds up the buckets that overlap [from, to), in unix nanoseconds. Buckets outside the window count nothing.
func (r *Ring[B, P]) Sum(from, to int64) B {
	var sum B
	older, newer := r.Span(from, to)
	for i := range older {
		P(&sum).Add(&older[i])
	}
	for i := range newer {
		P(&sum).Add(&newer[i])
	}
	return sum
}

// Span returns the buckets that overlap [from, to), in unix nanoseconds, in two runs; either may be empty. For those who
// add them up by themselves: Sum can't be inlined, and allocates.
func (r *Ring[B, P]) Span(from, to int64) (older, newer []B) {
	if !r.started || to <= from {
		return nil, nil
	}
	n := int64(len(r.buckets))
	lo := max(floorDiv(from, r.width), r.head-n+1)
	hi := min(floorDiv(to-1, r.width), r.head)
	if lo > hi {
		return nil, nil
	}
	first, last := r.slot(lo), r.slot(hi)
	if first <= last {
		return r.buckets[first : last+1], nil
	}
	return r.buckets[first:], r.buckets[:last+1]
}

// Last adds up the newest n buckets.
func (r *Ring[B, P]) Last(n int) B {
	var sum B
	for i := range min(int64(n), int64(len(r.buckets))) {
		P(&sum).Add(&r.buckets[r.slot(r.head-i)])
	}
	return sum
}

// Merge adds other's buckets to the receiver's. Both must have the same width; buckets of other that lie
// before the receiver's window after it has moved to the newer of both heads are left out.
func (r *Ring[B, P]) Merge(other *Ring[B, P]) {
	if !other.started {
		return
	}
	r.Advance(other.head * other.width)
	n := int64(len(other.buckets))
	for k := other.head - n + 1; k <= other.head; k++ {
		if k > r.head-int64(len(r.buckets)) {
			P(&r.buckets[r.slot(k)]).Add(&other.buckets[other.slot(k)])
		}
	}
}

// Reset forgets everything, as if new.
func (r *Ring[B, P]) Reset() {
	clear(r.buckets)
	r.head, r.started = 0, false
}

func (r *Ring[B, P]) slot(k int64) int64 {
	n := int64(len(r.buckets))
	if s := k % n; s >= 0 {
		return s
	}
	return k%n + n
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
