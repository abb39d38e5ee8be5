// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package baseline

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/snapshot"
)

// steady counts n a second in [from, to), in seconds since the epoch.
func steady(c *Counts, from, to int64, n uint32, taint Taint) {
	for at := from; at < to; at++ {
		c.Add(at*second, [3]uint32{n, 1}, taint)
	}
}

func TestCounts(t *testing.T) {
	const dawn = 1_700_000_000
	well := func(int64) bool { return false }
	var c Counts
	steady(&c, dawn+5, dawn+100, 4, well)
	sum, long := c.Normal()
	assert.Equal(t, float64(60), long, "not the first, which is no whole cell, nor the two in quarantine and the newest")
	assert.Equal(t, Tally{240, 60}, sum)

	now, seconds := c.Window((dawn+80)*second, (dawn+95)*second)
	assert.Equal(t, float64(15), seconds)
	assert.Equal(t, Tally{80, 20}, now, "whole cells")

	ill := func(k int64) bool { return k >= CellOf((dawn+100)*second) }
	steady(&c, dawn+100, dawn+300, 400, ill)
	sum, _ = c.Normal()
	assert.Equal(t, Tally{280, 70}, sum, "what is under suspicion, or shortly before it, is not normal")
	now, seconds = c.Window((dawn+100)*second, (dawn+300)*second)
	assert.Equal(t, float64(120), seconds, "no more than what is kept")
	assert.Equal(t, int64(120*400), now[0])

	c.Advance((dawn+330)*second, well)
	now, _ = c.Window((dawn+300)*second, (dawn+330)*second)
	assert.Zero(t, now[0])

	w := snapshot.NewWriter(0)
	c.Snapshot(w)
	var again Counts
	again.Snapshot(snapshot.NewReader(w.Bytes()))
	require.NoError(t, w.Err())
	assert.Equal(t, c, again)

	c.Rewind()
	now, _ = c.Window(0, (dawn+330)*second)
	assert.Zero(t, now[0])
	rewound, _ := c.Normal()
	assert.Equal(t, again.normal, rewound)
}

// Normal fades: after two hours at another rate it is that rate.
func TestCountsFade(t *testing.T) {
	well := func(int64) bool { return false }
	var c Counts
	steady(&c, 1_000_000, 1_004_000, 1, well)
	steady(&c, 1_004_000, 1_020_000, 9, well)
	sum, long := c.Normal()
	assert.LessOrEqual(t, long, float64(3600))
	assert.InDelta(t, 9, float64(sum[0])/long, 1)
}
