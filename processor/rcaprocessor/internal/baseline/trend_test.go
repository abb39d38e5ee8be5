// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package baseline

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

// lived observes ten calls in each cell of so many minutes, of the median that level gives for a minute.
func lived(s *Series, minutes int, r *rand.Rand, taint Taint, level func(minute float64) float64) {
	for k := range minutes * perMinute {
		for i := range 10 {
			took := level(float64(k)/perMinute) * math.Exp(.3*r.NormFloat64())
			s.Observe(epoch+int64(k)*CellWidth+int64(i), int64(took), false, taint)
		}
	}
}

func TestTrend(t *testing.T) {
	base := float64(10 * ms)
	late := func(k int64) bool { return k > CellOf(epoch)+14*perMinute }
	for _, tt := range []struct {
		name    string
		level   func(float64) float64
		minutes int
		taint   Taint
		from    float64 // minute
		gradual bool
		growth  float64
	}{
		{"steady", func(float64) float64 { return base }, 20, clean, 0, false, 0},
		{"grows", func(m float64) float64 { return base * math.Pow(1.08, m) }, 20, clean, 0, true, .08},
		{"grows by as much each minute", func(m float64) float64 { return base * (1 + .2*m) }, 20, clean, 0, true, .08},
		{"falls", func(m float64) float64 { return base * math.Pow(.92, m) }, 20, clean, 0, false, -.08},
		{"grows, and is under suspicion at last", func(m float64) float64 { return base * math.Pow(1.08, m) }, 16, late, 0, true, .08},
		{"one step", func(m float64) float64 {
			if m >= 10 {
				return 2 * base
			}
			return base
		}, 20, clean, 0, false, .05},
		{"grew long before", func(m float64) float64 { return base * math.Pow(1.08, min(m, 20)) }, 40, clean, 22, false, 0},
		{"too short to tell", func(m float64) float64 { return base * math.Pow(1.08, m) }, 4, clean, 0, false, .08},
	} {
		t.Run(tt.name, func(t *testing.T) {
			gradual := 0
			for seed := range uint64(20) {
				var s Series
				lived(&s, tt.minutes, rand.New(rand.NewPCG(seed, 1)), tt.taint, tt.level)
				got := s.Trend(epoch+int64(tt.from*6)*CellWidth, epoch+int64(tt.minutes*perMinute)*CellWidth)
				assert.InDelta(t, tt.growth, got.Growth, .04)
				assert.LessOrEqual(t, got.Minutes, tt.minutes+1)
				assert.GreaterOrEqual(t, got.Minutes, tt.minutes-int(tt.from)-1)
				if got.Gradual {
					gradual++
				}
			}
			if tt.gradual {
				assert.Equal(t, 20, gradual)
			} else {
				assert.LessOrEqual(t, gradual, 1, "by chance")
			}
		})
	}
	assert.Zero(t, new(Series).Trend(0, math.MaxInt64))
}

func TestTrendIsFinite(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Series
		at := int64(0)
		for range rapid.IntRange(0, 200).Draw(t, "calls") {
			at += rapid.Int64Range(0, 30*second).Draw(t, "gap")
			s.Observe(at, rapid.Int64Range(0, math.MaxInt64).Draw(t, "took"), false, clean)
		}
		got := s.Trend(rapid.Int64().Draw(t, "from"), rapid.Int64().Draw(t, "to"))
		assert.False(t, math.IsNaN(got.Growth) || math.IsInf(got.Growth, 0))
	})
}
