// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package baseline knows what is normal: per series of durations a history of ten-second cells and a
// histogram, from which times under suspicion are kept out.
package baseline

import (
	"math"
	"slices"

	"github.com/firebreak-otel/firebreak/internal/window"
)

const (
	second = int64(1e9)
	// CellWidth is the length of a cell in nanoseconds.
	CellWidth = 10 * second
	// Recent is how many cells are kept of the immediate past, the one being filled included.
	Recent = 12
	// quarantine is how many whole cells must pass after a cell's end before it counts as normal: what
	// was the start of an incident is then known to be one.
	quarantine = 2
	history    = 30
	// histogramCap: a histogram with more is halved, so that the normal of last week fades.
	histogramCap = 1 << 16
	logUnit      = 1 << 10
)

// Cell is the sums of one cell.
type Cell struct {
	N, Bad uint32
	Log    int64 // sum of log2(1+us), in 1/1024
}

// Add adds other's sums.
func (c *Cell) Add(other *Cell) {
	c.N += other.N
	c.Bad += other.Bad
	c.Log += other.Log
}

// Typical returns the geometric mean of the cell's durations in nanoseconds; 0 when empty.
func (c *Cell) Typical() int64 {
	if c.N == 0 {
		return 0
	}
	return int64((math.Exp2(float64(c.Log)/float64(c.N)/logUnit) - 1) * 1000)
}

// mean is the mean of the natural logs of the cell's durations.
func (c *Cell) mean() float64 {
	return float64(c.Log) / float64(c.N) / logUnit * math.Ln2
}

// Log returns a duration's contribution to Cell.Log.
func Log(ns int64) int64 {
	return int64(math.Log2(1+float64(ns)/1000) * logUnit)
}

// Series is the durations and failures of one thing. The zero value is ready to use.
type Series struct {
	recent  [Recent]Cell
	spreads [Recent]Spread // of the recent cells
	cell    int64          // number of the newest recent cell

	past  [history]Cell // cells that count as normal
	pasts int

	// young is being filled, waiting is in quarantine, normal counts.
	young, waiting, normal window.Histogram
	slow                   int64 // cached SlowThreshold
}

// Taint says whether a cell, by number, was under suspicion and must not count as normal.
type Taint func(cell int64) bool

// CellOf returns the number of the cell that a time belongs to.
func CellOf(at int64) int64 { return at / CellWidth }

// Observe counts a duration in the cell of at, which must not lie before that of an earlier call by more than Recent cells.
func (s *Series) Observe(at, ns int64, bad bool, taint Taint) {
	k := CellOf(at)
	if k > s.cell {
		s.roll(k, taint)
	} else if k <= s.cell-Recent {
		return
	}
	c := &s.recent[k%Recent]
	c.N++
	l := Log(ns)
	c.Log += l
	s.spreads[k%Recent].add(l, ns > s.SlowThreshold())
	if bad {
		c.Bad++
	}
	s.young.Observe(ns, 1)
}

// roll moves on to cell k; what leaves quarantine untainted becomes normal.
func (s *Series) roll(k int64, taint Taint) {
	if s.cell == 0 || k-s.cell > 4*Recent {
		s.Rewind()
		s.cell = k
		return
	}
	for s.cell < k {
		// The cell that has now sat out the quarantine.
		if old := s.cell - quarantine; old > 0 && !taint(old) && !taint(old+1) && !taint(s.cell) {
			if c := s.recent[old%Recent]; c.N > 0 {
				s.past[s.pasts%history] = c
				s.pasts++
			}
		}
		if s.cell%quarantine == 0 {
			if !taint(s.cell) && !taint(s.cell-1) && !taint(s.cell-2) && !taint(s.cell-3) {
				s.normal.Add(&s.waiting)
				if s.normal.Count() > histogramCap {
					s.normal.Halve()
				}
			}
			s.waiting, s.young = s.young, window.Histogram{}
			s.slow = 0
		}
		s.cell++
		s.recent[s.cell%Recent], s.spreads[s.cell%Recent] = Cell{}, Spread{}
	}
}

// Rewind gives up the recent cells: the clock was wrong, and times before them come next. What is normal stays.
func (s *Series) Rewind() {
	s.recent, s.spreads, s.young, s.waiting = [Recent]Cell{}, [Recent]Spread{}, window.Histogram{}, window.Histogram{}
	s.cell = 0
}

// Window adds up the recent cells that overlap [from, to).
func (s *Series) Window(from, to int64) Cell {
	var sum Cell
	for k := max(CellOf(from), s.cell-Recent+1); k <= min(CellOf(to-1), s.cell); k++ {
		sum.Add(&s.recent[k%Recent])
	}
	return sum
}

// Normal adds up the cells that count as normal.
func (s *Series) Normal() Cell {
	var sum Cell
	for i := range min(s.pasts, history) {
		sum.Add(&s.past[i])
	}
	return sum
}

// minSamples is what a baseline needs before anything is compared with it.
const minSamples = 20

// SlowThreshold returns the duration beyond which a call is slow: 1.5 x p95 or 2 x p50 of normal, whichever
// is more, and 5 ms beyond p50 at the least; MaxInt64 while too little is known.
func (s *Series) SlowThreshold() int64 {
	if s.slow == 0 {
		s.slow = math.MaxInt64
		if s.normal.Count() >= minSamples {
			p50, p95 := s.normal.Quantile(.5), s.normal.Quantile(.95)
			s.slow = max(p95+p95/2, 2*p50, p50+5e6)
		}
	}
	return s.slow
}

// Median returns the normal median in nanoseconds; 0 while nothing is known.
func (s *Series) Median() int64 { return s.normal.Quantile(.5) }

// Known says that there is enough of normal to compare with.
func (s *Series) Known() bool { return s.normal.Count() >= minSamples }

// Deviation compares a window with normal: z of its mean log duration against the median and MAD of the
// normal cells, with a floor of 0.35^2/n + 0.08^2 for sampling (log units), and how much time a call
// takes beyond normal in nanoseconds (negative when less). Both 0 while too little is known.
func (s *Series) Deviation(c Cell) (z float64, excess int64) {
	n := min(s.pasts, history)
	if n < 2 || c.N < 3 {
		return 0, 0
	}
	means := make([]float64, 0, history)
	for i := range n {
		means = append(means, s.past[i].mean())
	}
	med := median(means)
	for i, m := range means {
		means[i] = math.Abs(m - med)
	}
	mad := 1.4826 * median(means)
	v := mad*mad + 0.35*0.35/float64(c.N) + 0.08*0.08
	return (c.mean() - med) / math.Sqrt(v), c.Typical() - int64(math.Expm1(med)*1000)
}

// BadRatio returns the normal share of bad calls, 0..1.
func (s *Series) BadRatio() float64 {
	if c := s.Normal(); c.N > 0 {
		return float64(c.Bad) / float64(c.N)
	}
	return 0
}

func median(xs []float64) float64 {
	slices.Sort(xs)
	if n := len(xs); n%2 == 0 {
		return (xs[n/2-1] + xs[n/2]) / 2
	}
	return xs[len(xs)/2]
}
