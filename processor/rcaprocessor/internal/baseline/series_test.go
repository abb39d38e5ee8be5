// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package baseline

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const (
	ms    = int64(1e6)
	epoch = 1000 * CellWidth
)

func clean(int64) bool { return false }

// tainting is the taint of the given cells after the epoch.
func tainting(cells ...int64) Taint {
	return func(k int64) bool {
		for _, c := range cells {
			if k == CellOf(epoch)+c {
				return true
			}
		}
		return false
	}
}

// fill observes n durations in each of the cells [from, to) after the epoch.
func fill(s *Series, from, to int64, n int, ns int64, taint Taint) {
	for k := from; k < to; k++ {
		for i := range n {
			s.Observe(epoch+k*CellWidth+int64(i), ns, false, taint)
		}
	}
}

// A cell counts as normal once it has sat out its quarantine, and not before.
func TestQuarantine(t *testing.T) {
	var s Series
	for k := range int64(10) {
		fill(&s, k, k+1, 5, 10*ms, clean)
		// Cells 0..k-1 have ended; quarantine whole cells must have passed after a cell's end.
		assert.Equal(t, uint32(max(0, k-quarantine)*5), s.Normal().N, "in cell %d", k)
	}
}

func TestUnknownUntilEnoughIsNormal(t *testing.T) {
	var s Series
	assert.False(t, s.Known())
	assert.Equal(t, int64(math.MaxInt64), s.SlowThreshold())
	assert.Zero(t, s.Median())
	fill(&s, 0, 3, minSamples, 10*ms, clean)
	assert.False(t, s.Known(), "in quarantine")
	fill(&s, 3, 8, 1, 10*ms, clean)
	assert.True(t, s.Known())
	assert.InEpsilon(t, 10*ms, s.Median(), .15)
	assert.InEpsilon(t, 20*ms, s.SlowThreshold(), .15)

	var scarce Series
	fill(&scarce, 0, 6, 1, 10*ms, clean)
	assert.False(t, scarce.Known(), "too few")
}

func TestSlowThreshold(t *testing.T) {
	for _, tt := range []struct {
		name      string
		fast, odd int64 // nine in ten, one in ten
		want      float64
	}{
		{"twice the median", 10 * ms, 10 * ms, 20e6},
		{"half beyond p95", 10 * ms, 40 * ms, 60e6},
		{"never less than 5 ms beyond the median", 100_000, 100_000, 5.1e6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s Series
			for k := range int64(10) {
				fill(&s, k, k+1, 9, tt.fast, clean)
				fill(&s, k, k+1, 1, tt.odd, clean)
			}
			assert.InEpsilon(t, tt.want, s.SlowThreshold(), .2)
		})
	}
}

// Neither the cells under suspicion nor those just before them, which may have been its start, become normal.
func TestTaintedCellsDoNotCount(t *testing.T) {
	var s Series
	taint := tainting(6, 7, 8)
	fill(&s, 0, 6, 20, 10*ms, taint)
	fill(&s, 6, 9, 20, 1000*ms, taint)
	fill(&s, 9, 20, 20, 10*ms, taint)
	assert.Zero(t, s.Normal().Bad)
	normal := s.Normal()
	assert.InEpsilon(t, 10*ms, normal.Typical(), .01)
	assert.InEpsilon(t, 10*ms, s.Median(), .15)
	assert.Less(t, s.SlowThreshold(), 30*ms)
	// 17 cells have ended their quarantine; 4 to 8 are tainted or end less than the quarantine before.
	assert.Equal(t, uint32((17-5)*20), normal.N)

	var frozen Series
	fill(&frozen, 0, 20, 20, 10*ms, func(int64) bool { return true })
	assert.Zero(t, frozen.Normal())
	assert.False(t, frozen.Known())
}

// After an hour at a new level the old one is forgotten.
func TestNormalFades(t *testing.T) {
	var s Series
	fill(&s, 0, 50, 1000, 10*ms, clean)
	fill(&s, 50, 430, 1000, 100*ms, clean)
	assert.InEpsilon(t, 100*ms, s.Median(), .15)
	normal := s.Normal()
	assert.InEpsilon(t, 100*ms, normal.Typical(), .01)
	assert.LessOrEqual(t, normal.N, uint32((hour*perMinute+Recent)*1000))
	assert.GreaterOrEqual(t, normal.N, uint32((hour-1)*perMinute*1000))
	assert.LessOrEqual(t, s.normal.Count(), int64(2*histogramCap))
}

func TestWindow(t *testing.T) {
	var s Series
	for k := range int64(20) {
		fill(&s, k, k+1, int(k+1), ms, clean)
	}
	at := func(k int64) int64 { return epoch + k*CellWidth }
	for _, tt := range []struct {
		name     string
		from, to int64
		want     uint32
	}{
		{"one cell", at(15), at(16), 16},
		{"two", at(15), at(17), 16 + 17},
		{"a part counts as the whole", at(15) + 1, at(16) + 1, 16 + 17},
		{"nothing", at(15), at(15), 0},
		{"backwards", at(16), at(15), 0},
		{"the future", at(20), at(30), 0},
		{"all that is recent", 0, math.MaxInt64, 9 + 10 + 11 + 12 + 13 + 14 + 15 + 16 + 17 + 18 + 19 + 20},
		{"before that", at(0), at(8), 0},
	} {
		t.Run(tt.name, func(t *testing.T) { assert.Equal(t, tt.want, s.Window(tt.from, tt.to).N) })
	}
	assert.Zero(t, new(Series).Window(0, math.MaxInt64))
}

func TestLateObservations(t *testing.T) {
	var s Series
	fill(&s, 0, 20, 1, ms, clean)
	fill(&s, 20-Recent, 21-Recent, 1, ms, clean)
	assert.Equal(t, uint32(Recent+1), s.Window(0, math.MaxInt64).N, "inside the window: in its own cell")
	fill(&s, 19-Recent, 20-Recent, 7, ms, clean)
	assert.Equal(t, uint32(Recent+1), s.Window(0, math.MaxInt64).N, "before it: not at all")
}

// What was in quarantine when all fell silent sits it out all the same, and an hour's history outlives the silence.
func TestGap(t *testing.T) {
	var s Series
	fill(&s, 0, 8, 20, 10*ms, clean)
	assert.Equal(t, uint32(5*20), s.Normal().N)
	fill(&s, 10_000, 10_001, 20, 10*ms, clean)
	assert.Equal(t, uint32(8*20), s.Normal().N)
	assert.Equal(t, uint32(20), s.Window(0, math.MaxInt64).N)
	assert.True(t, s.Known())

	taint := tainting(8) // the second cell after cell 6, the first after cell 7
	var suspect Series
	fill(&suspect, 0, 8, 20, 10*ms, taint)
	fill(&suspect, 100, 101, 20, 10*ms, taint)
	assert.Equal(t, uint32(6*20), suspect.Normal().N)
}

// Minutes age by the newest of them: a long incident wears nothing away, an hour of normal does.
func TestAgeing(t *testing.T) {
	var s Series
	suspect := func(k int64) bool { return k >= CellOf(epoch)+60 && k < CellOf(epoch)+500 }
	fill(&s, 0, 60, 20, 10*ms, suspect)
	fill(&s, 60, 500, 20, 1000*ms, suspect)
	normal := s.Normal()
	assert.Equal(t, uint32((60-quarantine)*20), normal.N, "frozen for as long as there is suspicion")
	assert.InEpsilon(t, 10*ms, normal.Typical(), .01)
	fill(&s, 500, 520, 20, 20*ms, suspect)
	normal = s.Normal()
	assert.InEpsilon(t, 20*ms, normal.Typical(), .01, "then what is older than an hour goes")
	assert.Equal(t, uint32((520-500-quarantine-1)*20), normal.N)
}

// A clock that was ahead is set back: what was normal stays so, and times before are taken again.
func TestRewind(t *testing.T) {
	for _, ahead := range []int64{1000, 100, 7, 6 * hour * 5} {
		var s Series
		fill(&s, ahead, ahead+100, 20, 10*ms, clean)
		before := s.Normal()
		s.Rewind(epoch)
		assert.Equal(t, before, s.Normal())
		assert.Zero(t, s.Window(0, math.MaxInt64))
		fill(&s, 0, 10, 20, 10*ms, clean)
		assert.Equal(t, uint32(200), s.Window(0, math.MaxInt64).N)
		assert.Greater(t, s.Normal().N, before.N)
		fill(&s, 10, 100, 20, 10*ms, clean)
		assert.Equal(t, before.N+(100-quarantine-1)*20, s.Normal().N, "as if of the time before")
	}
	var empty Series
	empty.Rewind(0)
	assert.Zero(t, empty)
}

// A new level that has come to stay is normal from then on, though all of it was under suspicion.
func TestAccept(t *testing.T) {
	var s Series
	suspect := func(k int64) bool { return k >= CellOf(epoch)+60 }
	fill(&s, 0, 60, 20, 10*ms, suspect)
	fill(&s, 60, 120, 20, 1000*ms, suspect)
	slower := s.Window(epoch+115*CellWidth, epoch+120*CellWidth)
	z, _ := s.Deviation(slower)
	require.Greater(t, z, 3.0)
	lately := s.young.Count() + s.waiting.Count()
	level := s.Accept(epoch + 120*CellWidth)
	assert.Equal(t, uint32(Recent*20), level.N)
	assert.Equal(t, lately, s.normal.Count())
	z, _ = s.Deviation(slower)
	assert.InDelta(t, 0, z, .1)
	assert.InEpsilon(t, 2000*ms, s.SlowThreshold(), .2)
	normal := s.Normal()
	assert.Equal(t, uint32(Recent*20), normal.N)
	fill(&s, 120, 130, 20, 1000*ms, clean)
	normal = s.Normal()
	assert.InEpsilon(t, 1000*ms, normal.Typical(), .01)
	assert.Greater(t, normal.N, uint32(Recent*20), "and it goes on learning")

	var silent, as Series
	fill(&silent, 0, 60, 20, 10*ms, clean)
	silent.roll(CellOf(epoch)+100, clean)
	as = silent
	assert.Zero(t, silent.Accept(epoch+(60+Recent)*CellWidth))
	assert.Equal(t, as, silent, "silence is no level")

	var faster Series
	fill(&faster, 0, 60, 20, 10*ms, clean)
	fill(&faster, 60, 80, 20, ms, func(int64) bool { return true })
	as = faster
	faster.Accept(epoch + 80*CellWidth)
	assert.Equal(t, as, faster, "what takes less is no standard")
}

func TestDeviation(t *testing.T) {
	steady := func() *Series {
		var s Series
		fill(&s, 0, 20, 20, 10*ms, clean)
		return &s
	}
	cell := func(n uint32, ns int64) Cell { return Cell{N: n, Log: int64(n) * Log(ns)} }
	t.Run("too little known", func(t *testing.T) {
		var s Series
		fill(&s, 0, 4, 100, 10*ms, clean) // one normal cell
		z, excess := s.Deviation(cell(100, 1000*ms))
		assert.Zero(t, z)
		assert.Zero(t, excess)
		z, excess = steady().Deviation(cell(2, 1000*ms))
		assert.Zero(t, z)
		assert.Zero(t, excess)
	})
	t.Run("normal", func(t *testing.T) {
		z, excess := steady().Deviation(cell(100, 10*ms))
		assert.InDelta(t, 0, z, .01)
		assert.InDelta(t, 0, excess, 50_000)
	})
	t.Run("slower", func(t *testing.T) {
		z, excess := steady().Deviation(cell(100, 20*ms))
		// MAD 0: only the floor is left.
		assert.InDelta(t, math.Ln2/math.Sqrt(0.35*0.35/100+0.08*0.08), z, .05)
		assert.InEpsilon(t, 10*ms, excess, .01)
	})
	t.Run("faster", func(t *testing.T) {
		z, excess := steady().Deviation(cell(100, 5*ms))
		assert.Less(t, z, -7.0)
		assert.InEpsilon(t, -5*ms, excess, .01)
	})
	t.Run("one mad cell moves neither median nor MAD", func(t *testing.T) {
		var s Series
		fill(&s, 0, 10, 20, 10*ms, clean)
		fill(&s, 10, 11, 20, 100_000*ms, clean)
		fill(&s, 11, 20, 20, 10*ms, clean)
		z, _ := s.Deviation(cell(100, 20*ms))
		assert.Greater(t, z, 7.0)
	})
	t.Run("what varies by itself strays less", func(t *testing.T) {
		var s Series
		for k := range int64(20) {
			fill(&s, k, k+1, 20, (5+k%3*10)*ms, clean)
		}
		z, _ := s.Deviation(cell(100, 20*ms))
		assert.Less(t, z, 2.0)
	})
}

func TestBadRatio(t *testing.T) {
	var s Series
	assert.Zero(t, s.BadRatio())
	for k := range int64(10) {
		for i := range 20 {
			s.Observe(epoch+k*CellWidth, ms, i < 5, clean)
		}
	}
	assert.InDelta(t, .25, s.BadRatio(), 1e-9)
}

func TestMedian(t *testing.T) {
	even := func(xs ...float64) (out []weighed) {
		for _, x := range xs {
			out = append(out, weighed{x, 3})
		}
		return out
	}
	assert.InDelta(t, 2, median(even(9, 1, 2)), 0)
	assert.InDelta(t, 1.5, median(even(9, 1, 2, 0)), 0)
	assert.InDelta(t, 7, median(even(7)), 0)
	assert.InDelta(t, 9, median([]weighed{{1, 1}, {9, 20}, {2, 3}}), 0, "the heavy one")
	assert.InDelta(t, 5.5, median([]weighed{{1, 2}, {9, 5}, {2, 3}}), 0, "half on either side")
}

// A cell of a few calls says less of what is normal than one of many.
func TestScarceCellsWeighLess(t *testing.T) {
	var s Series
	for k := range int64(60) {
		n, took := 1, 100*ms
		if k/perMinute%3 == 0 {
			n, took = fullWeight, 10*ms
		}
		fill(&s, k, k+1, n, took, clean)
	}
	_, excess := s.Deviation(Cell{N: 100, Log: 100 * Log(10*ms)})
	assert.InDelta(t, 0, excess, float64(ms))
}

// The order of durations within a cell does not matter, and no answer is out of bounds.
func TestSeriesProperties(t *testing.T) {
	type observation struct {
		at, ns int64
		bad    bool
	}
	rapid.Check(t, func(t *rapid.T) {
		var one, other Series
		tainted := rapid.SliceOfN(rapid.Int64Range(0, 40), 0, 5).Draw(t, "tainted")
		taint := tainting(tainted...)
		seed := rapid.Uint64().Draw(t, "seed")
		total := uint32(0)
		for k := range int64(rapid.IntRange(1, 40).Draw(t, "cells")) {
			var cell []observation
			for range rapid.IntRange(0, 10).Draw(t, "n") {
				cell = append(cell, observation{
					epoch + k*CellWidth + rapid.Int64Range(0, CellWidth-1).Draw(t, "at"),
					rapid.Int64Range(0, 1<<40).Draw(t, "ns"), rapid.Bool().Draw(t, "bad"),
				})
			}
			for _, o := range cell {
				one.Observe(o.at, o.ns, o.bad, taint)
			}
			rand.New(rand.NewPCG(seed, 0)).Shuffle(len(cell), func(i, j int) { cell[i], cell[j] = cell[j], cell[i] })
			for _, o := range cell {
				other.Observe(o.at, o.ns, o.bad, taint)
			}
			total += uint32(len(cell))
			one.SlowThreshold() // asking changes nothing
		}
		other.SlowThreshold()
		require.Equal(t, other, one)
		normal, recent := one.Normal(), one.Window(0, math.MaxInt64)
		require.LessOrEqual(t, normal.N, total)
		require.LessOrEqual(t, recent.N, total)
		require.LessOrEqual(t, one.normal.Count(), int64(total))
		require.GreaterOrEqual(t, one.BadRatio(), 0.0)
		require.LessOrEqual(t, one.BadRatio(), 1.0)
		z, _ := one.Deviation(recent)
		require.False(t, math.IsNaN(z) || math.IsInf(z, 0))
	})
}
