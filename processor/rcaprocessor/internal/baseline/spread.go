// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package baseline

import "math"

// Spread is the sums of one cell that tell a shift of all durations from trouble with some of them.
type Spread struct {
	Slow    uint32 // beyond SlowThreshold
	Squares int64  // sum of (log2(1+us))^2, in 1/1024
}

func (p *Spread) add(log int64, slow bool) {
	p.Squares += log * log / logUnit
	if slow {
		p.Slow++
	}
}

// Whole returns the stretch of whole cells in [from, to), so that what lies before and after does not blur it. The cell
// of now, which is being filled, counts as whole; an end stays where it is when less than half a cell would be left.
func Whole(from, to, now int64) (start, end int64) {
	start, end = (from+CellWidth-1)/CellWidth*CellWidth, to/CellWidth*CellWidth
	if CellOf(to) == CellOf(now) {
		end = to
	}
	if end-start >= CellWidth/2 {
		return start, end
	}
	if to-start >= CellWidth/2 {
		return start, to
	}
	return from, to
}

// Spread returns the share of the recent durations in [from, to) that were slow, and the standard deviation of their
// natural logs; both 0 when there are none.
func (s *Series) Spread(from, to int64) (slow, deviation float64) {
	var n, slows, sum, squares int64
	for k := max(CellOf(from), s.cell-Recent+1); k <= min(CellOf(to-1), s.cell); k++ {
		c, p := &s.recent[k%Recent], &s.spreads[k%Recent]
		n += int64(c.N)
		slows += int64(p.Slow)
		sum += c.Log
		squares += p.Squares
	}
	if n == 0 {
		return 0, 0
	}
	mean := float64(sum) / float64(n) / logUnit
	v := float64(squares)/float64(n)/logUnit - mean*mean
	return float64(slows) / float64(n), math.Sqrt(max(0, v)) * math.Ln2
}

// Rate returns the calls a second that are normal; 0 while nothing is known.
func (s *Series) Rate() float64 {
	if n := min(s.pasts, history); n > 0 {
		c := s.Normal()
		return float64(c.N) / (float64(n) * float64(CellWidth/second))
	}
	return 0
}

// Drift tells growth from a step: the share, 0..1, of the growth of the typical duration until to that came before
// onset, oldest normal cells first; 0 when it grew by less than half, or too few cells lie before.
func (s *Series) Drift(onset, to int64) float64 {
	means := make([]float64, 0, history+Recent)
	n := min(s.pasts, history)
	for i := range n {
		means = append(means, s.past[(s.pasts-n+i)%history].mean())
	}
	c := s.Window(onset, to)
	if len(means) < 4*ends || c.N == 0 {
		return 0
	}
	oldest := median(means[:ends])
	before := median(means[len(means)-ends:]) - oldest
	grown := c.mean() - oldest
	if grown < math.Log(1.5) {
		return 0
	}
	return min(1, max(0, before/grown))
}

// ends is the number of cells that speak for an end of the past.
const ends = 4
