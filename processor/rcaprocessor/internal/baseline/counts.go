// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package baseline

import (
	"math"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/snapshot"
)

// Tally is counts of one thing: what they are is its owner's.
type Tally [3]int64

// Counts is how often something happened, per cell and normally. The zero value is ready to use.
type Counts struct {
	recent [Recent][3]uint32
	cell   int64 // number of the newest recent cell
	since  int64 // number of the first, which is not there as a whole
	normal Tally // over the cells that count as normal
	cells  int64
}

// countsCells is how many cells count as normal, an hour: with more, normal is halved, so that it fades.
const countsCells = 360

// Add counts in the cell of at.
func (c *Counts) Add(at int64, n [3]uint32, taint Taint) {
	c.Advance(at, taint)
	k := CellOf(at)
	if k <= c.cell-Recent {
		return
	}
	r := &c.recent[k%Recent]
	for i := range n {
		r[i] += n[i]
	}
}

// Advance moves on to the cell of at; what leaves quarantine untainted becomes normal, as in a Series. A cell in which
// nothing happened is one of zeros.
func (c *Counts) Advance(at int64, taint Taint) {
	k := CellOf(at)
	if c.cell == 0 || k-c.cell > 4*Recent {
		c.recent, c.cell, c.since = [Recent][3]uint32{}, k, k
		return
	}
	for ; c.cell < k; c.recent[c.cell%Recent] = [3]uint32{} {
		if old := c.cell - quarantine; old > c.since && !taint(old) && !taint(old+1) && !taint(c.cell) {
			c.settle(&c.recent[old%Recent])
		}
		c.cell++
	}
}

func (c *Counts) settle(n *[3]uint32) {
	if c.cells == countsCells {
		for i := range c.normal {
			c.normal[i] /= 2
		}
		c.cells /= 2
	}
	for i := range n {
		c.normal[i] += int64(n[i])
	}
	c.cells++
}

// Window adds up the recent cells that overlap [from, to), and says how long they are, in seconds, up to to.
func (c *Counts) Window(from, to int64) (sum Tally, seconds float64) {
	lo := max(CellOf(from), CellOf(to-1)-Recent+1)
	for k := max(lo, c.cell-Recent+1); k <= min(CellOf(to-1), c.cell); k++ {
		for i, n := range c.recent[k%Recent] {
			sum[i] += int64(n)
		}
	}
	return sum, float64(to-lo*CellWidth) / float64(second)
}

// Normal adds up the cells that count as normal, and says how long they are, in seconds; 0 when there is none.
func (c *Counts) Normal() (sum Tally, seconds float64) {
	return c.normal, float64(c.cells * CellWidth / second)
}

// Rewind gives up the recent cells: the clock was wrong. What is normal stays.
func (c *Counts) Rewind() { c.recent, c.cell, c.since = [Recent][3]uint32{}, 0, 0 }

// Merge adds what other counted of the same time, up to the later of both. other is moved on in time, nothing else.
func (c *Counts) Merge(other *Counts, taint Taint) {
	if other.cell == 0 {
		return
	}
	now := max(c.cell, other.cell) * CellWidth
	if c.cell == 0 {
		*c = *other
		return
	}
	c.Advance(now, taint)
	other.Advance(now, taint)
	for i := range c.recent {
		for k, n := range other.recent[i] {
			c.recent[i][k] += n
		}
	}
	for i, n := range other.normal {
		c.normal[i] += n
	}
	c.since, c.cells = min(c.since, other.since), max(c.cells, other.cells)
}

// Snapshot writes the counts to k, or reads them from it.
func (c *Counts) Snapshot(k *snapshot.Codec) {
	k.Time(&c.cell)
	k.Time(&c.since)
	if c.cell > snapshot.MaxTime/CellWidth || c.since > c.cell {
		k.Fail("a cell lies beyond all times")
		c.cell = 0
	}
	if c.cell != 0 {
		for i := range c.recent {
			for j := range c.recent[i] {
				snapshot.Uint(k, &c.recent[i][j], math.MaxUint32)
			}
		}
	}
	for i := range c.normal {
		k.Time(&c.normal[i])
	}
	if k.Time(&c.cells); c.cells > countsCells {
		k.Fail("too many cells are normal")
	}
}
