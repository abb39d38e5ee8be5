// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package baseline

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/snapshot"
)

// healthy is a series of 5 ms in the cells before the given one, which are all normal but the last few.
func healthy(cells int64) *Series {
	s := new(Series)
	fill(s, 0, cells, 20, 5*ms, clean)
	return s
}

func at(cell int64) int64 { return epoch + cell*CellWidth }

func TestSpreadTellsAShiftFromTroubleWithSome(t *testing.T) {
	all, some := healthy(20), healthy(20)
	fill(all, 20, 22, 20, 500*ms, clean)
	for k := int64(20); k < 22; k++ {
		fill(some, k, k+1, 15, 5*ms, clean)
		fill(some, k, k+1, 5, 500*ms, clean)
	}
	slow, deviation := all.Spread(at(20), at(22))
	assert.InDelta(t, 1, slow, 1e-9)
	assert.InDelta(t, 0, deviation, 0.05)

	slow, deviation = some.Spread(at(20), at(22))
	assert.InDelta(t, 0.25, slow, 1e-9)
	assert.InDelta(t, 0.433*4.605, deviation, 0.05, "a quarter lies ln 100 beyond: sqrt(p(1-p)) times that")

	slow, deviation = some.Spread(at(10), at(19))
	assert.Zero(t, slow, "what lies before is not in it")
	assert.InDelta(t, 0, deviation, 0.05)
	slow, deviation = some.Spread(at(30), at(40))
	assert.Zero(t, slow)
	assert.Zero(t, deviation)

	some.Rewind(at(5))
	slow, _ = some.Spread(at(0), at(40))
	assert.Zero(t, slow)
}

func TestSpreadIsForgottenWithItsCell(t *testing.T) {
	s := healthy(20)
	fill(s, 20, 21, 20, 500*ms, clean)
	fill(s, 21, 21+Recent, 20, 5*ms, tainting(20, 21, 22, 23, 24))
	slow, _ := s.Spread(at(21), at(21+Recent))
	assert.Zero(t, slow)
}

func TestSpreadSurvivesASnapshot(t *testing.T) {
	s := healthy(20)
	fill(s, 20, 22, 20, 500*ms, clean)
	w := snapshot.NewWriter(1 << 16)
	s.Snapshot(w)
	again := new(Series)
	again.Snapshot(snapshot.NewReader(w.Bytes()))
	assert.Equal(t, s.spreads, again.spreads)
}

func TestWhole(t *testing.T) {
	now := at(5) + second
	for _, c := range []struct {
		name                 string
		from, to, start, end int64
	}{
		{"on the edges of cells", at(3), at(4), at(3), at(4)},
		{"inside of cells", at(1) + 1, at(4) - 1, at(2), at(3)},
		{"the cell of now", at(3) + 1, now, at(4), now},
		{"too little would be left at either end", at(3) + 1, at(4) + second, at(3) + 1, at(4) + second},
		{"too little would be left but for the end", at(3) + 1, at(4) + CellWidth/2, at(4), at(4) + CellWidth/2},
	} {
		start, end := Whole(c.from, c.to, now)
		assert.Equal(t, []int64{c.start, c.end}, []int64{start, end}, c.name)
	}
}

func TestRate(t *testing.T) {
	assert.Zero(t, new(Series).Rate())
	assert.InDelta(t, 2, healthy(20).Rate(), 1e-9, "20 in a cell of 10 s")

	gap := new(Series)
	fill(gap, 0, 1, 20, 5*ms, clean)
	fill(gap, 6, 10, 20, 5*ms, clean)
	assert.InDelta(t, 40./70, gap.Rate(), 1e-9, "cells in which nobody called count: 40 in seven that are out of quarantine")
	late := new(Series)
	fill(late, 5, 11, 20, 5*ms, clean)
	late.cell, late.good = CellOf(at(10)), allGood
	assert.InDelta(t, 2, late.Rate(), 1e-9, "but not those before it was first called")

	old := healthy(40)
	fill(old, 40, 40+Recent, 100, 5*ms, func(cell int64) bool { return cell >= CellOf(at(40)) })
	assert.InDelta(t, 2, old.Rate(), 1e-9, "where no recent cell is normal the minutes before say it")
}

func TestDriftTellsGrowthFromAStep(t *testing.T) {
	const cells = 66
	grow := func(perMille int64) *Series {
		s := new(Series)
		for k := range int64(cells) {
			fill(s, k, k+1, 20, 100*ms+k*perMille*ms/10, clean)
		}
		return s
	}
	step := healthy(30)
	fill(step, 30, cells, 20, 50*ms, clean)
	fall := new(Series)
	for k := range int64(cells) {
		fill(fall, k, k+1, 20, (100-k)*ms, clean)
	}
	for _, tt := range []struct {
		name string
		s    *Series
		to   int64
		want bool
	}{
		{"it doubles all the while", grow(20), cells, true},
		{"it grows, by too little", grow(5), cells, false},
		{"a step", step, cells, false},
		{"it falls", fall, cells, false},
		{"it did not grow", healthy(cells), cells, false},
		{"five minutes are too few", grow(20), 24, false},
		{"nothing lies there", grow(20), -300, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, tt.s.Drift(at(tt.to-6), at(tt.to)))
		})
	}
}
