// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package baseline knows what is normal: per series of durations an hour of history and a histogram, from
// which times under suspicion are kept out.
package baseline

import (
	"cmp"
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
	// perMinute cells that leave Recent are added up to one of the last hour's minutes.
	perMinute = 6
	hour      = 60
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
	return int64(window.Log2(1+float64(max(ns, 0))/1000) * logUnit)
}

// Series is the durations and failures of one thing. The zero value is ready to use. All of it but cached values is
// sums by time, so that two add up (Merge).
type Series struct {
	recent  [Recent]Cell
	spreads [Recent]Spread // of the recent cells
	cell    int64          // number of the newest recent cell; 0 for none

	// What was normal: recent cells while they are recent, then minutes, by number modulo hour. They age by the
	// newest of them, so that no time under suspicion and no silence wears normal away.
	past   [hour]Cell
	minute int64 // number of the newest

	// young is being filled, waiting is in quarantine, normal counts.
	young, waiting, normal window.Histogram
	usual                  usual // of normal; the zero one when that has changed

	good uint16 // which of recent count as normal: a bit each
}

const allGood = 1<<Recent - 1

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
	if s.cell == 0 {
		s.cell = k
		return
	}
	for last := s.cell + Recent + 2*quarantine; s.cell < k; {
		if s.cell > last { // nothing recent is left
			s.cell, s.good = k, 0
			return
		}
		// The cell that has now sat out the quarantine.
		if old := s.cell - quarantine; old > 0 && !suspected(old, taint) {
			s.good |= 1 << (old % Recent)
		}
		if s.cell%quarantine == 0 {
			if !taint(s.cell) && !taint(s.cell-1) && !taint(s.cell-2) && !taint(s.cell-3) {
				s.normal.Add(&s.waiting)
				if s.normal.Count() > histogramCap {
					s.normal.Halve()
				}
			}
			s.waiting, s.young = s.young, window.Histogram{}
			s.usual = usual{}
		}
		s.cell++
		s.retire(s.cell - Recent)
	}
}

// suspected says that a cell, or what followed while it was in quarantine, was under suspicion.
func suspected(cell int64, taint Taint) bool {
	for k := cell; k <= cell+quarantine; k++ {
		if taint(k) {
			return true
		}
	}
	return false
}

// retire empties the place of recent cell k; what was normal goes to its minute.
func (s *Series) retire(k int64) {
	i := (k + Recent) % Recent
	if c := &s.recent[i]; s.good>>i&1 != 0 && c.N > 0 {
		s.remember(k/perMinute, c)
	}
	s.recent[i], s.spreads[i] = Cell{}, Spread{}
	s.good &^= 1 << i
}

// remember adds normal calls to minute m of the last hour.
func (s *Series) remember(m int64, c *Cell) {
	if m-s.minute >= hour {
		s.past, s.minute = [hour]Cell{}, m
	}
	for s.minute < m {
		s.minute++
		s.past[s.minute%hour] = Cell{}
	}
	if m > s.minute-hour {
		s.past[m%hour].Add(c)
	}
}

// Rewind gives up the recent cells: the clock was wrong, and times from to on come next. What is normal stays, as if
// of the time before.
func (s *Series) Rewind(to int64) {
	for k := max(0, s.cell-Recent+1); k <= s.cell; k++ {
		s.retire(k)
	}
	s.recent, s.spreads, s.good, s.cell = [Recent]Cell{}, [Recent]Spread{}, 0, 0
	s.young, s.waiting = window.Histogram{}, window.Histogram{}
	minute := max(0, CellOf(to)/perMinute-1)
	var past [hour]Cell
	for back := range int64(hour) {
		past[(minute+hour-back)%hour] = s.past[(s.minute+hour-back)%hour]
	}
	s.past, s.minute = past, minute
}

// Accept takes the two minutes before now for normal, whatever was so before: a new level has come to stay. It
// returns their sums. Where nothing was seen in them, or calls took less than normal, it does nothing: calls that
// fail at once are no standard for those that come after.
func (s *Series) Accept(now int64) Cell {
	level := s.Window(now-Recent*CellWidth, math.MaxInt64)
	if level.N == 0 || level.Typical() < s.Median() {
		return level
	}
	s.past, s.minute, s.good = [hour]Cell{}, 0, allGood
	s.normal = s.waiting
	s.normal.Add(&s.young)
	s.waiting, s.young, s.usual = window.Histogram{}, window.Histogram{}, usual{}
	return level
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
	for i := range s.recent {
		if s.good>>i&1 != 0 {
			sum.Add(&s.recent[i])
		}
	}
	for i := range s.past {
		sum.Add(&s.past[i])
	}
	return sum
}

// minSamples is what a baseline needs before anything is compared with it.
const minSamples = 20

// usual is what every comparison asks of normal: it is counted up once.
type usual struct {
	slow, median int64
	known        bool // there is enough of normal
	counted      bool
}

func (s *Series) asUsual() *usual {
	if s.usual.counted {
		return &s.usual
	}
	s.usual = usual{slow: math.MaxInt64, median: s.normal.Quantile(.5), known: s.normal.Count() >= minSamples, counted: true}
	if s.usual.known {
		p50, p95 := s.usual.median, s.normal.Quantile(.95)
		s.usual.slow = max(p95+p95/2, 2*p50, p50+5e6)
	}
	return &s.usual
}

// SlowThreshold returns the duration beyond which a call is slow: 1.5 x p95 or 2 x p50 of normal, whichever
// is more, and 5 ms beyond p50 at the least; MaxInt64 while too little is known.
func (s *Series) SlowThreshold() int64 { return s.asUsual().slow }

// Median returns the normal median in nanoseconds; 0 while nothing is known.
func (s *Series) Median() int64 { return s.asUsual().median }

// Known says that there is enough of normal to compare with.
func (s *Series) Known() bool { return s.asUsual().known }

// Deviation compares a window with normal: z of its mean log duration against the median and MAD of the
// normal cells, weighted by their calls up to 20, with a floor of 0.35^2/n + 0.08^2 for sampling (log units), and how
// much time a call takes beyond normal in nanoseconds (negative when less). Both 0 while too little is known.
func (s *Series) Deviation(c Cell) (z float64, excess int64) {
	var all [Recent + hour]weighed
	means := all[:0]
	for i := range s.recent {
		if s.good>>i&1 != 0 {
			means = weigh(means, &s.recent[i])
		}
	}
	for i := range s.past {
		means = weigh(means, &s.past[i])
	}
	if len(means) < 2 || c.N < 3 {
		return 0, 0
	}
	med := median(means)
	for i := range means {
		means[i].x = math.Abs(means[i].x - med)
	}
	mad := 1.4826 * median(means)
	v := mad*mad + 0.35*0.35/float64(c.N) + 0.08*0.08
	return (c.mean() - med) / math.Sqrt(v), c.Typical() - int64(math.Expm1(med)*1000)
}

// weighed is the mean of a cell, and what it counts for.
type weighed struct {
	x float64
	w int64
}

// fullWeight: with so many calls a cell counts for as much as any. Design 2.3.
const fullWeight = 20

func weigh(to []weighed, c *Cell) []weighed {
	if c.N == 0 {
		return to
	}
	return append(to, weighed{c.mean(), int64(min(c.N, fullWeight))})
}

// BadRatio returns the normal share of bad calls, 0..1.
func (s *Series) BadRatio() float64 {
	if c := s.Normal(); c.N > 0 {
		return float64(c.Bad) / float64(c.N)
	}
	return 0
}

// median returns the value with half the weight on either side, the middle where two share that; it sorts xs.
func median(xs []weighed) float64 {
	slices.SortFunc(xs, func(a, b weighed) int { return cmp.Compare(a.x, b.x) })
	total := int64(0)
	for i := range xs {
		total += xs[i].w
	}
	below := int64(0)
	for i := range xs {
		switch below += xs[i].w; {
		case 2*below == total:
			return (xs[i].x + xs[i+1].x) / 2
		case 2*below > total:
			return xs[i].x
		}
	}
	return 0
}
