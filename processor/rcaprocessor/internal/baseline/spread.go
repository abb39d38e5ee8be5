// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package baseline

import "math"

// Spread is the sums of one cell that tell a shift of all durations from trouble with some of them. Slow is counted
// against the threshold that was known at the time: merged, it is what each side saw for itself.
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

// Rate returns the calls a second that are normal: of the recent cells that count as normal where these are some, else
// of the middle one of the minutes before; 0 while nothing is known.
func (s *Series) Rate() float64 {
	var calls, cells int64
	for k := max(0, s.cell-Recent+1); k <= s.cell; k++ {
		c := &s.recent[k%Recent]
		if s.good>>(k%Recent)&1 == 0 || c.N == 0 && calls == 0 && s.minutes() == 0 { // before it was first called
			continue
		}
		calls += int64(c.N)
		cells++
	}
	if cells >= someCells {
		return float64(calls) / float64(cells*CellWidth/second)
	}
	var minutes []weighed
	for i := range s.past {
		if n := s.past[i].N; n > 0 {
			minutes = append(minutes, weighed{float64(n), 1})
		}
	}
	return median(minutes) / float64(perMinute*CellWidth/second)
}

// someCells are enough to tell a rate.
const someCells = 3

// grown is the growth over its minutes beyond which a trend is a drift.
const grown = 1.5

// Drift says that the typical duration has been growing since long before onset, rather than in a step.
func (s *Series) Drift(onset, to int64) bool {
	t := s.Trend(onset-hour*perMinute*CellWidth, to)
	return t.Gradual && math.Pow(1+t.Growth, float64(t.Minutes)) >= grown
}
