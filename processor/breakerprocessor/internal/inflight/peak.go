// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package inflight

import "math"

const (
	// peakBuckets of a quarter octave each, from 2^peakLow calls up: 0.25 to 8192.
	peakBuckets = 60
	peakLow     = -2
	peakOctave  = 4
	// peakFull windows halve all counts, so that what was seen 4 x peakFull windows ago hardly counts.
	peakFull = 240
	// peakQuantile of the healthy windows is what is usual.
	peakQuantile = 0.95
	// peakEnough windows must be known before anything is.
	peakEnough = 20
	// headroom above what is usual that a limit leaves.
	headroom = 1.3
)

// Peak learns how many calls of an edge are usually in flight: a log-scale histogram, one value a healthy window, off
// by at most a fifth. The zero value has seen nothing. 60 bytes.
type Peak struct{ counts [peakBuckets]uint8 }

// Observe takes the concurrency of a window in which the edge was healthy: Max of its calls where the calls are
// known (a limit has to let bursts pass), else the mean. What is not above 0 is left out: silence is not usual
// concurrency. When 240 windows are known, half of each count is forgotten.
func (p *Peak) Observe(calls float64) {
	if !(calls > 0) {
		return
	}
	if p.Windows() >= peakFull {
		p.halve()
	}
	p.counts[bucket(calls)]++
}

// Windows is how many windows are remembered, at most 240.
func (p *Peak) Windows() (n int) {
	for _, c := range p.counts {
		n += int(c)
	}
	return n
}

// Merge adds what other has seen; beyond 240 windows both are halved.
func (p *Peak) Merge(other *Peak) {
	var sum [peakBuckets]int
	total := 0
	for i := range sum {
		sum[i] = int(p.counts[i]) + int(other.counts[i])
		total += sum[i]
	}
	for ; total > peakFull; total /= 2 {
		halve(sum[:])
	}
	for i, n := range sum {
		p.counts[i] = uint8(n)
	}
}

// Usual is the 95th percentile of calls in flight over the healthy windows, the upper bound of its bucket; 0 while
// fewer than 20 windows are known.
func (p *Peak) Usual() float64 {
	total := p.Windows()
	if total < peakEnough {
		return 0
	}
	rank, seen := int(math.Ceil(peakQuantile*float64(total))), 0
	i := -1
	for seen < rank {
		i++
		seen += int(p.counts[i])
	}
	return bound(i + 1)
}

// Limit is the recommended bound of calls in flight on the edge, ceil(1.3 x Usual), at least 1; 0: not known yet.
func (p *Peak) Limit() uint32 { return Limit(p.Usual()) }

// Limit is the recommended bound of calls in flight where usual are in flight at health: ceil(1.3 x usual), at
// least 1; 0 when usual is 0, that is not known.
func Limit(usual float64) uint32 {
	if !(usual > 0) {
		return 0
	}
	return uint32(math.Min(math.Max(1, math.Ceil(headroom*usual)), math.MaxUint32))
}

func (p *Peak) halve() {
	var counts [peakBuckets]int
	for i, c := range p.counts {
		counts[i] = int(c)
	}
	halve(counts[:])
	for i, n := range counts {
		p.counts[i] = uint8(n)
	}
}

// halve halves counts, and carries what is odd to the next bucket up, or a tail of ones would vanish.
func halve(counts []int) {
	carry := 0
	for i, n := range counts {
		n += carry
		counts[i], carry = n/2, n%2
	}
}

// bucket is the index of the bucket that holds values in (bound(i), bound(i+1)]; whole numbers of calls that are
// powers of two are upper bounds.
func bucket(v float64) int {
	i := int(math.Ceil(math.Min((math.Log2(v)-peakLow)*peakOctave-1e-9, peakBuckets))) - 1
	return min(max(i, 0), peakBuckets-1)
}

func bound(i int) float64 { return math.Exp2(peakLow + float64(i)/peakOctave) }
