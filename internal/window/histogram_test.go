// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package window

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestHistogramBounds(t *testing.T) {
	for i := range HistogramBuckets {
		lo, next := LowerBound(i), LowerBound(i+1)
		assert.Less(t, lo, next)
		assert.LessOrEqual(t, float64(next)/float64(lo), 1.25, "bucket %d", i)
		assert.Equal(t, i, BucketOf(lo), "its lower bound is inside")
		assert.Equal(t, i, BucketOf(next-1), "its upper bound is not")
	}
	for ns, want := range map[int64]int{
		math.MinInt64: 0, -1: 0, 0: 0, 1: 0, 1<<minExponent - 1: 0,
		LowerBound(HistogramBuckets): HistogramBuckets - 1, math.MaxInt64: HistogramBuckets - 1,
	} {
		assert.Equal(t, want, BucketOf(ns), "%d ns", ns)
	}
}

func TestHistogramEmptyAndSaturated(t *testing.T) {
	var h Histogram
	assert.Zero(t, h.Quantile(0.5))
	h.Observe(1e6, math.MaxUint32-1)
	h.Observe(1e6, 5)
	assert.EqualValues(t, math.MaxUint32, h.Count(), "saturates, never wraps")
	h.Halve()
	assert.EqualValues(t, math.MaxUint32/2, h.Count())
}

func durations(t *rapid.T, label string) []int64 {
	lo, hi := LowerBound(0), LowerBound(HistogramBuckets)-1
	return rapid.SliceOfN(rapid.Int64Range(lo, hi), 1, 200).Draw(t, label)
}

// Inside the range of the buckets a quantile is off by at most a bucket's width, a quarter.
func TestHistogramQuantileError(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := durations(t, "durations")
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		var h Histogram
		for _, d := range in {
			h.Observe(d, 1)
		}
		require.EqualValues(t, len(in), h.Count())
		slices.Sort(in)
		exact := float64(in[max(0, int(math.Ceil(q*float64(len(in))))-1)])
		got := float64(h.Quantile(q))
		require.GreaterOrEqual(t, got*1.2501, exact)
		require.LessOrEqual(t, got, exact*1.2501)
	})
}

func TestHistogramQuantilesGrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h Histogram
		for _, d := range durations(t, "durations") {
			h.Observe(d, 1)
		}
		last := int64(0)
		for q := 0.0; q <= 1; q += 0.05 {
			v := h.Quantile(q)
			require.GreaterOrEqual(t, v, last)
			last = v
		}
	})
}

func TestHistogramMergeIsAddition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		as, bs := durations(t, "a"), durations(t, "b")
		var a, b, both Histogram
		for _, d := range as {
			a.Observe(d, 2)
			both.Observe(d, 2)
		}
		for _, d := range slices.Backward(bs) {
			b.Observe(d, 3)
			both.Observe(d, 3)
		}
		ab, ba := a, b
		ab.Add(&b)
		ba.Add(&a)
		require.Equal(t, both, ab)
		require.Equal(t, both, ba)
	})
}

func FuzzHistogram(f *testing.F) {
	f.Add(int64(0), uint32(1), 0.5)
	f.Add(int64(math.MinInt64), uint32(math.MaxUint32), math.NaN())
	f.Fuzz(func(t *testing.T, ns int64, n uint32, q float64) {
		var h Histogram
		h.Observe(ns, n)
		h.Observe(-ns, n)
		if v := h.Quantile(q); v < 0 || v > LowerBound(HistogramBuckets) {
			t.Fatalf("quantile %v of %d ns is %d", q, ns, v)
		}
	})
}
