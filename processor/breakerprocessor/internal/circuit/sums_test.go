// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// H10: three spans that stand for twelve calls are three observations; the ratio goes by the twelve.
func TestWeights(t *testing.T) {
	var s Sums
	for range 3 {
		one := One(true, true, 4, 0)
		s.Add(&one)
	}
	assert.Equal(t, Sums{Calls: 3, Bad: 3, Throttled: 3, Weight: 12 * weightUnit, BadWeight: 12 * weightUnit}, s)
	b := New(testConfig(), 1, 0)
	_, changed := b.Step(0, &Recent{Window: s})
	assert.False(t, changed)

	good, bad := One(false, false, 1, 0), One(true, false, 100, 0)
	var mixed Sums
	for range 10 {
		mixed.Add(&good)
		mixed.Add(&bad)
	}
	assert.InDelta(t, 1000.0/1010, mixed.Ratio(), 1e-12)
	for _, odd := range []float64{0, -5, 0.5, math.NaN(), math.Inf(-1)} {
		assert.Equal(t, One(true, false, 1, 0), One(true, false, odd, 0), "weight %v", odd)
	}
	huge := One(true, false, math.Inf(1), 0)
	for range 100 {
		huge.Add(&huge)
	}
	assert.Equal(t, Sums{Calls: math.MaxUint32, Bad: math.MaxUint32, Weight: math.MaxInt64, BadWeight: math.MaxInt64}, huge)
	assert.Equal(t, 1.0, huge.Ratio())
}

func TestBusyAndSlow(t *testing.T) {
	var s Sums
	assert.Zero(t, s.BusyRatio())
	assert.Zero(t, s.SlowRatio())
	for _, one := range []Sums{One(false, false, 1, 30), One(true, false, 1, 90), One(true, false, 1, -5)} {
		s.Add(&one)
	}
	assert.Equal(t, Sums{Calls: 3, Bad: 2, Weight: 3 * weightUnit, BadWeight: 2 * weightUnit, Busy: 120, BadBusy: 90}, s)
	assert.Equal(t, 0.75, s.BusyRatio())
	assert.Equal(t, maxBusy, One(true, false, 1, math.MaxInt64).BadBusy)
	s.Add(&Sums{Calls: 1, Slow: 2})
	assert.Equal(t, 0.5, s.SlowRatio())
}

func anySums(t *rapid.T, label string) Sums {
	n := rapid.SliceOfN(rapid.Uint32Range(0, 1<<30), 6, 6).Draw(t, label)
	long := rapid.SliceOfN(rapid.Int64Range(0, 1<<60), 4, 4).Draw(t, label+" long")
	return Sums{n[0], n[1], n[2], n[3], n[4], n[5], long[0], long[1], long[2], long[3]}
}

func TestSubIsTheInverseOfAdd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anySums(t, "a"), anySums(t, "b")
		ab, ba := a, b
		ab.Add(&b)
		ba.Add(&a)
		require.Equal(t, ab, ba)
		back := ab
		back.Sub(&b)
		require.Equal(t, a, back)
		back.Sub(&ab)
		require.Zero(t, back, "never below 0")
	})
}

func TestWilson(t *testing.T) {
	// From the closed form, by hand: 5 of 5 at z = 3.09 is 1 / (1 + 9.5481/5).
	assert.InDelta(t, 0.3437, wilson(1, 5, 3.09), 1e-4)
	assert.InDelta(t, 0.2490, wilson(0.7, 10, 3.09), 2e-2)
	assert.InDelta(t, 0.4514, wilson(0.5, 1000, 3.09), 1e-3)
	assert.Zero(t, wilson(1, 0, 3.09))
	assert.InDelta(t, 0, wilson(0, 50, 3.09), 1e-12)
}

// What is charged of pending failures goes by the settled ones of the window.
func TestCharged(t *testing.T) {
	tests := map[string]struct {
		window Sums
		knows  bool
		own    float64
		ratio  float64 // charged, of window
	}{
		"none pending":                {calls(10, 4), true, 0, 0.4},
		"all ours so far":             {with(calls(20, 10), 5, 0, 0), true, 1, 0.5},
		"half of them so far":         {with(calls(20, 10), 5, 5, 0), true, 0.5, 0.375},
		"none ours so far":            {with(calls(20, 10), 10, 5, 0), true, 0, 0},
		"four settled: not known yet": {with(calls(20, 10), 8, 2, 0), false, 0, 0.1},
		"none settled":                {with(calls(20, 20), 20, 0, 0), false, 0, 0},
		"more pending than bad":       {with(calls(20, 5), 6, 0, 0), false, 0, 0},
	}
	for name, tt := range tests {
		j := testConfig().judge(&Recent{Window: tt.window})
		assert.Equal(t, tt.knows, j.knows(&tt.window), name)
		assert.Equal(t, tt.own, j.own, name)
		assert.InDelta(t, tt.ratio, j.ratio(&tt.window), 1e-15, name)
	}
	// Exactly the plain ratio when nothing is pending, at any weight.
	odd := Sums{Calls: 3, Bad: 1, Weight: 3333, BadWeight: 1111}
	j := testConfig().judge(&Recent{Window: odd})
	assert.Equal(t, odd.Ratio(), j.ratio(&odd))
}
