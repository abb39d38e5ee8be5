// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
)

func TestSlowBuckets(t *testing.T) {
	for i := range slowBuckets {
		lo, next := slowBound(i), slowBound(i+1)
		require.Less(t, lo, next)
		require.LessOrEqual(t, float64(next)/float64(lo), 1.5, "half octaves")
		require.Equal(t, i, slowBucket(lo))
		require.Equal(t, i, slowBucket(next-1))
	}
	assert.Equal(t, 0, slowBucket(-1))
	assert.Equal(t, 0, slowBucket(0))
	assert.Equal(t, slowBuckets-1, slowBucket(1<<62))
	assert.Greater(t, time.Duration(slowBound(slowBuckets)), 2*time.Minute)
}

func TestSlowBucketsAreMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int64().Draw(t, "a"), rapid.Int64().Draw(t, "b")
		require.LessOrEqual(t, slowBucket(min(a, b)), slowBucket(max(a, b)))
	})
}

// Slow is what takes more than the factor times the duration that 95 of 100 stay below.
func TestSlowThreshold(t *testing.T) {
	const ms = int64(1e6)
	for name, tt := range map[string]struct {
		quick, slow int // samples of 10 ms and of 400 ms
		floor       int64
		want        int64
	}{
		"not enough":          {99, 0, 0, 0},
		"all alike":           {100, 0, 0, 5 * slowBound(slowBucket(10*ms)+1)},
		"5 of 100 are slower": {95, 5, 0, 5 * slowBound(slowBucket(10*ms)+1)},
		"6 of 100 are":        {94, 6, 0, 5 * slowBound(slowBucket(400*ms)+1)},
		"floor":               {100, 0, second, second},
	} {
		var u usual
		for range tt.quick {
			u.sample(10 * ms)
		}
		for range tt.slow {
			u.sample(400 * ms)
		}
		u.settle(tt.floor, 5)
		assert.Equal(t, tt.want, u.over, name)
	}
}

// What was long ago weighs less and less: samples are halved when one count is full.
func TestSamplesFade(t *testing.T) {
	var u usual
	for range 200 {
		u.sample(second)
	}
	for range 2000 {
		u.sample(second / 100)
	}
	u.settle(0, 1)
	assert.Less(t, u.over, second/10)
}

func TestUsualRatioAndRate(t *testing.T) {
	var u usual
	assert.Zero(t, u.ratio())
	assert.Zero(t, u.rate(10*second))
	assert.Zero(t, u.duration())
	u.fold(&circuit.Sums{Calls: 49, Bad: 49}, 10*second)
	assert.Zero(t, u.ratio(), "too few to tell")
	assert.InDelta(t, 4.9, u.rate(10*second), 1e-9)
	u.fold(&circuit.Sums{Calls: 51, Bad: 1, Busy: 100 * second}, 10*second)
	assert.InDelta(t, 0.5, u.ratio(), 1e-9)
	assert.InDelta(t, 5, u.rate(10*second), 1e-9)
	assert.InDelta(t, float64(second), u.duration(), busyUnit)
}

// Older windows fade: after an hour of other traffic, that is what is usual.
func TestWindowsFade(t *testing.T) {
	var u usual
	for range 100 {
		u.fold(&circuit.Sums{Calls: 1000, Bad: 500, Busy: 1000 * second}, 10*second)
	}
	assert.InDelta(t, 0.5, u.ratio(), 1e-9)
	assert.InDelta(t, 100, u.rate(10*second), 1e-9)
	for range 400 {
		u.fold(&circuit.Sums{Calls: 100, Busy: second}, 10*second)
	}
	assert.Less(t, u.ratio(), 0.01)
	assert.InDelta(t, 10, u.rate(10*second), 2)
	assert.LessOrEqual(t, u.windows, uint8(usualWindows))
	assert.InDelta(t, float64(second)/100, u.duration(), float64(second)/100)
}

// Two edges that turn out to be one are usually what both were.
func TestUsualAdds(t *testing.T) {
	var a, b usual
	a.fold(&circuit.Sums{Calls: 100, Busy: 100 * second}, 10*second)
	b.fold(&circuit.Sums{Calls: 300, Bad: 40, Busy: 300 * second}, 10*second)
	for range 60 {
		a.sample(second)
		b.sample(second)
	}
	a.add(&b)
	assert.InDelta(t, 0.1, a.ratio(), 1e-9)
	assert.InDelta(t, 40, a.rate(10*second), 1e-9)
	assert.InDelta(t, float64(second), a.duration(), busyUnit)
	a.settle(0, 1)
	assert.Positive(t, a.over)
	for range 3 {
		a.add(&a)
	}
	assert.EqualValues(t, 255, a.took[slowBucket(second)], "saturates")
}
