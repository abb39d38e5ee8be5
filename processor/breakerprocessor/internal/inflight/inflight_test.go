// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package inflight

import (
	"math"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestInterval(t *testing.T) {
	tests := map[string]struct {
		calls []Interval
		most  int
		mean  float64
	}{
		"H29":                       {[]Interval{{0, 100}, {50, 150}, {100, 200}}, 2, 1.5},
		"none":                      {nil, 0, 0},
		"one":                       {[]Interval{{-5, 5}}, 1, 1},
		"one after the other":       {[]Interval{{0, 10}, {10, 20}, {20, 30}}, 1, 1},
		"all at once":               {[]Interval{{0, 10}, {0, 10}, {0, 10}}, 3, 3},
		"a gap":                     {[]Interval{{0, 10}, {30, 40}}, 1, 0.5},
		"one that takes no time":    {[]Interval{{0, 10}, {5, 5}}, 1, 1},
		"nothing but such":          {[]Interval{{5, 5}, {9, 9}}, 0, 0},
		"one that ends before":      {[]Interval{{0, 10}, {8, 3}}, 1, 1},
		"all of time does not wrap": {[]Interval{{math.MinInt64, math.MaxInt64}, {0, 1}}, 2, 1},
		"nested":                    {[]Interval{{0, 100}, {10, 20}, {30, 60}, {40, 50}}, 3, 1.5},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tt.most, Max(tt.calls))
			assert.InDelta(t, tt.mean, Mean(tt.calls), 1e-9)
		})
	}
}

// Max is what counting at every start gives; the mean is never more, and neither depends on the order.
func TestIntervalInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		calls := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Interval {
			return Interval{rapid.Int64Range(0, 30).Draw(t, "start"), rapid.Int64Range(0, 30).Draw(t, "end")}
		}), 0, 30).Draw(t, "calls")
		want, busy := 0, int64(0)
		for _, at := range calls {
			n := 0
			for _, c := range calls {
				if at.busy() && c.Start <= at.Start && at.Start < c.End {
					n++
				}
			}
			want = max(want, n)
			busy += max(0, at.End-at.Start)
		}
		got, mean := Max(calls), Mean(calls)
		require.Equal(t, want, got)
		require.LessOrEqual(t, mean, float64(got))
		require.GreaterOrEqual(t, mean+1e-9, Little(busy, 30))
		other := rapid.Permutation(calls).Draw(t, "other")
		require.Equal(t, got, Max(other))
		require.Equal(t, mean, Mean(other))
	})
}

func TestLittle(t *testing.T) {
	assert.InDelta(t, 1.5, Little(300, 200), 0)
	assert.Zero(t, Little(300, 0))
	assert.Zero(t, Little(-1, 200))
}

func seen(values ...float64) *Peak {
	var p Peak
	for _, v := range values {
		p.Observe(v)
	}
	return &p
}

func TestPeak(t *testing.T) {
	tests := map[string]struct {
		peak  *Peak
		usual float64
		limit uint32
	}{
		"nothing":              {seen(), 0, 0},
		"too little":           {seen(slices.Repeat([]float64{8}, 19)...), 0, 0},
		"enough":               {seen(slices.Repeat([]float64{8}, 20)...), 8, 11},
		"one call at a time":   {seen(slices.Repeat([]float64{1}, 20)...), 1, 2},
		"hardly any":           {seen(slices.Repeat([]float64{0.01}, 20)...), math.Exp2(-1.75), 1},
		"silence is left out":  {seen(slices.Repeat([]float64{0, math.NaN(), -1}, 20)...), 0, 0},
		"more than the scale":  {seen(slices.Repeat([]float64{math.Inf(1)}, 20)...), 8192, 10650},
		"a burst in one of 20": {seen(append(slices.Repeat([]float64{8}, 19), 512)...), 8, 11},
		"bursts in two of 20":  {seen(append(slices.Repeat([]float64{8}, 18), 512, 512)...), 512, 666},
		"what is old fades":    {seen(append(slices.Repeat([]float64{512}, 240), slices.Repeat([]float64{8}, 1000)...)...), 8, 11},
		"but not at once":      {seen(append(slices.Repeat([]float64{512}, 240), slices.Repeat([]float64{8}, 240)...)...), 512, 666},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			assert.InDelta(t, tt.usual, tt.peak.Usual(), 1e-9)
			assert.Equal(t, tt.limit, tt.peak.Limit())
			assert.LessOrEqual(t, tt.peak.Windows(), peakFull)
		})
	}
	assert.LessOrEqual(t, unsafe.Sizeof(Peak{}), uintptr(64))
}

func TestLimit(t *testing.T) {
	for usual, want := range map[float64]uint32{0: 0, -1: 0, 0.1: 1, 1: 2, 10: 13, 10.1: 14, 100: 130, 1e30: math.MaxUint32} {
		assert.Equal(t, want, Limit(usual), usual)
	}
	assert.Zero(t, Limit(math.NaN()))
}

// The percentile is above the true one by at most a bucket, a fifth, and two sketches merge into one.
func TestPeakInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(0.3, 8000), 20, peakFull).Draw(t, "values")
		cut := rapid.IntRange(0, len(values)).Draw(t, "cut")
		all, one, rest := seen(values...), seen(values[:cut]...), seen(values[cut:]...)
		one.Merge(rest)
		require.Equal(t, all, one)
		slices.Sort(values)
		exact := values[int(math.Ceil(0.95*float64(len(values))))-1]
		require.GreaterOrEqual(t, all.Usual(), exact*(1-1e-9))
		require.LessOrEqual(t, all.Usual(), exact*1.19)
		one.Merge(all)
		one.Merge(all)
		require.LessOrEqual(t, one.Windows(), peakFull)
		require.GreaterOrEqual(t, one.Windows(), 20)
	})
}

// A tail of single windows does not vanish when counts are halved.
func TestPeakKeepsItsTail(t *testing.T) {
	var p Peak
	for i := range 2000 {
		p.Observe(4)
		if i%8 == 0 {
			p.Observe(64 * math.Exp2(float64(i/8%16)/4))
		}
	}
	assert.Greater(t, p.Usual(), 64.0)
}

func TestSaturated(t *testing.T) {
	tests := map[string]struct {
		calls, usual, duration, usualDuration float64
		want                                  bool
	}{
		"a full pool":                      {20, 20, 50, 10, true},
		"slower, and as many more":         {40, 20, 20, 10, false},
		"as usual":                         {20, 20, 10, 10, false},
		"a bit slower":                     {20, 20, 19, 10, false},
		"exactly twice":                    {20, 20, 20, 10, true},
		"little in flight":                 {17, 20, 50, 10, false},
		"the plateau's ends":               {25, 20, 50, 10, true},
		"nothing is known of the calls":    {20, 0, 50, 10, false},
		"nothing is known of the duration": {20, 20, 50, 0, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tt.want, Saturated(tt.calls, tt.usual, tt.duration, tt.usualDuration))
		})
	}
}

func FuzzMax(f *testing.F) {
	f.Add(int64(0), int64(100), int64(50), int64(150))
	f.Fuzz(func(t *testing.T, a, b, c, d int64) {
		calls := []Interval{{a, b}, {c, d}}
		if n, m := Max(calls), Mean(calls); n < 0 || n > 2 || m < 0 || m > 2.0000001 || math.IsNaN(m) {
			t.Fatalf("%v: max %d, mean %v", calls, n, m)
		}
	})
}
