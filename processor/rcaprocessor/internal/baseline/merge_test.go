// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package baseline

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Two series that saw a part each, merged, are the one that saw all; which of them takes the other in does not matter.
func TestMergeIsAddition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		taint := tainting(rapid.SliceOfN(rapid.Int64Range(0, 900), 0, 30).Draw(t, "tainted")...)
		var whole, a, b, a2, b2 Series
		k := int64(0)
		for range rapid.IntRange(0, 60).Draw(t, "cells") {
			k += rapid.SampledFrom([]int64{1, 1, 1, 2, 5, 17, 60, 400}).Draw(t, "on")
			for range rapid.IntRange(1, 6).Draw(t, "calls") {
				at := epoch + k*CellWidth
				ns, bad := rapid.Int64Range(0, 1<<36).Draw(t, "ns"), rapid.Bool().Draw(t, "bad")
				whole.Observe(at, ns, bad, taint)
				if rapid.Bool().Draw(t, "side") {
					a.Observe(at, ns, bad, taint)
					a2.Observe(at, ns, bad, taint)
				} else {
					b.Observe(at, ns, bad, taint)
					b2.Observe(at, ns, bad, taint)
				}
			}
		}
		a.Merge(&b, taint)
		b2.Merge(&a2, taint)
		for _, s := range []*Series{&whole, &a, &b2} {
			s.SlowThreshold()
		}
		require.Equal(t, a.spreads, b2.spreads)
		for i := range a.spreads { // each side knew a threshold of its own
			a.spreads[i].Slow, b2.spreads[i].Slow, whole.spreads[i].Slow = 0, 0, 0
		}
		require.Equal(t, whole.Normal(), a.Normal())
		require.Equal(t, a, b2)
		whole.good, a.good = normalBits(&whole), normalBits(&a)
		require.Equal(t, whole, a)
	})
}

// normalBits leaves out the bits of cells in which nothing was seen: they mean nothing.
func normalBits(s *Series) (bits uint16) {
	for i := range s.recent {
		if s.recent[i].N > 0 {
			bits |= s.good & (1 << i)
		}
	}
	return bits
}

// What is more than an hour older than what the other knows is forgotten.
func TestMergeAges(t *testing.T) {
	var old, young Series
	fill(&old, 0, 60, 20, 10*ms, clean)
	fill(&young, 1000, 1060, 20, 10*ms, clean)
	want := young.Normal()
	for _, merge := range []func(a, b Series) Series{
		func(a, b Series) Series { a.Merge(&b, clean); return a },
		func(a, b Series) Series { b.Merge(&a, clean); return b },
	} {
		both := merge(old, young)
		assert.Equal(t, want, both.Normal())
	}
}

// What was under suspicion with one of both is not normal.
func TestMergeKeepsSuspicion(t *testing.T) {
	var a, b Series
	taint := tainting(5)
	fill(&a, 0, 10, 20, 10*ms, clean)
	fill(&b, 0, 10, 20, 10*ms, taint)
	a.Merge(&b, taint)
	assert.Equal(t, uint32(2*20*4), a.Normal().N, "3 to 5 are not, and 7 to 9 are in quarantine")
}
