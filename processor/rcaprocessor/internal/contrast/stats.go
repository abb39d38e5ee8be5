// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package contrast

import (
	"cmp"
	"math"
	"slices"
)

// weighted is a value with its weight.
type weighted struct{ x, w float64 }

// quantile of weighted values, q in (0, 1): where the cumulative weight passes q, halfway between two when
// it meets it exactly. The slice is sorted.
func quantile(v []weighted, q float64) float64 {
	slices.SortFunc(v, func(a, b weighted) int { return cmp.Compare(a.x, b.x) })
	total := 0.0
	for i := range v {
		total += v[i].w
	}
	sum := 0.0
	for i := range v {
		sum += v[i].w
		switch {
		case sum == q*total && i+1 < len(v):
			return (v[i].x + v[i+1].x) / 2
		case sum >= q*total:
			return v[i].x
		}
	}
	return 0
}

// normal is what a series was like before: the median of its minutes' means and the spread of them.
type normal struct {
	n        int64
	median   float64 // of log(1+ms)
	spread   float64 // standard deviation of minutes' means, robust
	variance float64 // of the single values, pooled
}

// normalOf sums up minutes; v is scratch memory.
func normalOf(ms []cell, v []weighted) (b normal) {
	v = v[:0]
	for i := range ms {
		v = append(v, weighted{ms[i].mean(), min(float64(ms[i].n), fullWeight)})
		b.n += int64(ms[i].n)
		b.variance += float64(ms[i].n) * ms[i].variance()
	}
	if b.n == 0 {
		return b
	}
	b.variance /= float64(b.n)
	b.median = quantile(v, 0.5)
	for i := range v {
		v[i].x = math.Abs(v[i].x - b.median)
	}
	b.spread = madSigma * quantile(v, 0.5)
	return b
}

// peers is what series of a family are like among each other: what to expect of one that is new.
type peers struct {
	median, spread float64 // of the series' medians
	variance       float64 // of the single values, typically
	known          bool    // enough series have a history
}

func peersOf(normals []normal) (p peers) {
	var medians, variances []weighted
	for _, b := range normals {
		if b.n >= minCalls {
			medians = append(medians, weighted{b.median, 1})
			variances = append(variances, weighted{b.variance, 1})
		}
	}
	if len(medians) < minCalls {
		return p
	}
	p.median, p.variance = quantile(medians, 0.5), quantile(variances, 0.5)
	for i := range medians {
		medians[i].x = math.Abs(medians[i].x - p.median)
	}
	p.spread = madSigma * quantile(medians, 0.5)
	p.known = p.spread > 0
	return p
}

// expect returns the mean to expect of a series' cells and the variance of that expectation: of its own
// history, or, where that is short, of what there is of it drawn towards its peers.
func (b *normal) expect(p peers) (mean, variance float64, ok bool) {
	single := max(sampling*sampling, b.variance)
	if b.n >= minCalls {
		return b.median, b.spread*b.spread + single/float64(b.n), true
	}
	if !p.known {
		return 0, 0, false
	}
	between := p.spread * p.spread
	if b.n == 0 {
		return p.median, between, true
	}
	own := max(single, p.variance) / float64(b.n)
	return (b.median/own + p.median/between) / (1/own + 1/between), 1 / (1/own + 1/between), true
}

// shift is how a series in a window differs from its normal.
type shift struct {
	n        int64
	by       float64 // difference of means of log(1+ms)
	variance float64 // of that difference, without drift
	normal   float64 // typical milliseconds before
	now      float64 // typical milliseconds in the window
	excess   float64 // milliseconds more in all of the window
}

func (d *shift) z() float64 { return d.by / math.Sqrt(d.variance+drift*drift) }

// contrast compares a window's sums with normal b; ok is false where nothing was seen in it, or nothing is known
// of what to expect.
func contrast(c cell, b *normal, p peers) (d shift, ok bool) {
	if c.n == 0 {
		return d, false
	}
	mean, variance, ok := b.expect(p)
	if !ok {
		return d, false
	}
	m := c.mean()
	single := max(sampling*sampling, b.variance)
	d = shift{n: int64(c.n), by: m - mean, variance: variance + single/float64(c.n), normal: math.Expm1(mean), now: math.Expm1(m)}
	d.excess = float64(c.n) * max(0, d.now-d.normal)
	return d, true
}

// pool is series that saw too few calls in a window to say anything alone.
type pool struct {
	series        int
	n             int64
	by, variance  float64 // sums, weighted by calls
	normal, now   float64 // sums of milliseconds
	excess        float64
	strongest     Evidence
	strongestBy   float64
	strongestSeen bool
}

// join adds a series to its owner's pool.
func join[K comparable](pools map[K]*pool, k K, d shift, e Evidence) {
	p := pools[k]
	if p == nil {
		p = new(pool)
		pools[k] = p
	}
	n := float64(d.n)
	p.series++
	p.n += d.n
	p.by += n * d.by
	p.variance += n * n * d.variance
	p.normal += n * d.normal
	p.now += n * d.now
	p.excess += d.excess
	if x := n * d.by; !p.strongestSeen || x > p.strongestBy {
		p.strongest, p.strongestBy, p.strongestSeen = e, x, true
	}
}

// evidence is what the pool says as a whole, told by the series that says most. Where even all together saw
// few calls it weighs less; ok is false when they saw one.
func (p *pool) evidence(total float64) (Evidence, bool) {
	if p.n < leastCalls {
		return Evidence{}, false
	}
	n := float64(p.n)
	e := p.strongest
	e.measure(shift{n: p.n, by: p.by / n, variance: p.variance / (n * n), normal: p.normal / n, now: p.now / n, excess: p.excess}, total)
	e.Strength *= few(n)
	return e, true
}

// few is what evidence from n calls in a window weighs: all of it from minCalls on.
func few(n float64) float64 { return min(1, n/minCalls) }

// measure fills in the numbers of a deviation of time.
func (e *Evidence) measure(d shift, total float64) {
	e.Normal, e.Now, e.Calls, e.Z, e.Share = d.normal, d.now, d.n, d.z(), d.excess/total
	e.Strength = strength(e.Z, e.Share)
}
