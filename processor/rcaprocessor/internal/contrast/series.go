// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package contrast

import (
	"math"
	"slices"
	"sort"

	"github.com/firebreak-otel/firebreak/internal/window"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/snapshot"
)

// logUnit is the resolution of summed logarithms: sums of integers merge by addition in any order.
const logUnit = 1 << 12

// tally is how often something was seen in a cell; cell number t is ten seconds, or a minute.
type tally struct{ t, n uint32 }

func (c *tally) head() *tally    { return c }
func (c *tally) add(o *tally)    { c.n += o.n }
func (c *tally) plausible() bool { return c.n > 0 }

// cell is a tally of durations.
type cell struct {
	tally
	sum int64 // of log(1+ms), in 1/logUnit
	sq  int64 // of its square, in 1/logUnit
}

func (c *cell) add(o *cell) {
	c.n += o.n
	c.sum += o.sum
	c.sq += o.sq
}

func (c *cell) plausible() bool { return c.n > 0 && c.sum >= 0 && c.sq >= 0 }

func (c *cell) mean() float64 { return float64(c.sum) / float64(c.n) / logUnit }

// total of the durations in milliseconds, as if each were typical.
func (c *cell) total() float64 {
	if c.n == 0 {
		return 0
	}
	return float64(c.n) * math.Expm1(c.mean())
}

// variance of the single values.
func (c *cell) variance() float64 {
	m := c.mean()
	return max(0, float64(c.sq)/float64(c.n)/logUnit-m*m)
}

func cellOf(at int64) uint32 { return uint32(min(max(at, 0)/cellWidth, math.MaxUint32)) }

// duration is the contribution of one duration.
func duration(at, ns int64) cell {
	l := math.Ln2 * window.Log2(1+float64(max(ns, 0))/1e6)
	return cell{tally{cellOf(at), 1}, int64(l*logUnit + 0.5), int64(l*l*logUnit + 0.5)}
}

// summed is what the sums of a cell can do.
type summed[C any] interface {
	*C
	head() *tally
	add(*C)
	plausible() bool
	snapshot(*snapshot.Codec)
}

// series is the cells of one thing, in order of time, without empty ones: ten seconds each in the newest fineMinutes,
// minutes before them, up to ringMinutes in all. Which cell is in which tier follows from what was seen, not from
// the order in which it came.
type series[C any, P summed[C]] struct{ fine, coarse []C }

type (
	durations = series[cell, *cell]
	tallies   = series[tally, *tally]
)

// observe adds o. It returns by how many cells memory grew.
func (s *series[C, P]) observe(o *C) (grown int) {
	t := P(o).head().t
	if k := len(s.fine); k > 0 && P(&s.fine[k-1]).head().t == t {
		P(&s.fine[k-1]).add(o)
		return 0
	}
	m := t / minuteCells
	if old := s.coarseBefore(); m < old {
		c := *o
		P(&c).head().t = m
		return s.observeMinute(&c)
	}
	grown = insert[C, P](&s.fine, o)
	return grown + s.fold()
}

// observeMinute adds the sums of a minute that lies in the coarse tier.
func (s *series[C, P]) observeMinute(o *C) (grown int) {
	if int64(P(o).head().t) <= s.newestMinute()-ringMinutes {
		return 0
	}
	return insert[C, P](&s.coarse, o)
}

// newestMinute is a minute number, -1 when nothing was seen.
func (s *series[C, P]) newestMinute() int64 {
	if k := len(s.fine); k > 0 {
		return int64(P(&s.fine[k-1]).head().t / minuteCells)
	}
	if k := len(s.coarse); k > 0 {
		return int64(P(&s.coarse[k-1]).head().t)
	}
	return -1
}

// coarseBefore is the first minute of the fine tier.
func (s *series[C, P]) coarseBefore() uint32 {
	first := uint32(max(0, s.newestMinute()-fineMinutes+1))
	if k := len(s.coarse); k > 0 { // after a rewind
		first = max(first, P(&s.coarse[k-1]).head().t+1)
	}
	return first
}

// fold moves what is no longer new to the coarse tier, and forgets what is old.
func (s *series[C, P]) fold() (grown int) {
	newest := s.newestMinute()
	k := 0
	for ; k < len(s.fine); k++ {
		h := P(&s.fine[k]).head()
		m := h.t / minuteCells
		if int64(m) > newest-fineMinutes {
			break
		}
		if h.t = m; int64(m) > newest-ringMinutes { // it is deleted below
			grown += insert[C, P](&s.coarse, &s.fine[k])
		}
	}
	s.fine = slices.Delete(s.fine, 0, k)
	k = 0
	for k < len(s.coarse) && int64(P(&s.coarse[k]).head().t) <= newest-ringMinutes {
		k++
	}
	s.coarse = slices.Delete(s.coarse, 0, k)
	return grown
}

// insert adds o to cells in order of time; it returns by how many cells the slice's memory grew.
func insert[C any, P summed[C]](cells *[]C, o *C) (grown int) {
	s, t := *cells, P(o).head().t
	i := len(s)
	for i > 0 && P(&s[i-1]).head().t > t {
		i--
	}
	if i > 0 && P(&s[i-1]).head().t == t {
		P(&s[i-1]).add(o)
		return 0
	}
	if len(s) == cap(s) {
		grown = max(4, min(cap(s), 32))
		s = append(make([]C, 0, cap(s)+grown), s...)
	}
	*cells = slices.Insert(s, i, *o)
	return grown
}

// held says that anything was seen.
func (s *series[C, P]) held() bool { return len(s.fine)+len(s.coarse) > 0 }

// cells is how much memory the series holds.
func (s *series[C, P]) cells() int { return cap(s.fine) + cap(s.coarse) }

// merge adds another's sums.
func (s *series[C, P]) merge(other *series[C, P]) (grown int) {
	for i := len(other.fine) - 1; i >= 0; i-- { // the newest first: it decides on the tiers
		grown += s.observe(&other.fine[i])
	}
	before := s.coarseBefore()
	for i := range other.coarse {
		o := other.coarse[i]
		if P(&o).head().t < before {
			grown += s.observeMinute(&o)
			continue
		}
		P(&o).head().t *= minuteCells // the other was rewound
		grown += s.observe(&o)
	}
	return grown
}

// rewind forgets what was seen after cell t.
func (s *series[C, P]) rewind(t uint32) {
	late := func(cells []C, t uint32) []C {
		k := sort.Search(len(cells), func(i int) bool { return P(&cells[i]).head().t > t })
		return cells[:k]
	}
	s.fine, s.coarse = late(s.fine, t), late(s.coarse, t/minuteCells)
}

// span of cells, [from, to).
type span struct{ from, to uint32 }

// window adds up the cells within w. Of minutes that are no longer told apart those count that begin in it.
func (s *series[C, P]) window(w span) (sum C) {
	for i := len(s.fine) - 1; i >= 0; i-- {
		c := &s.fine[i]
		if t := P(c).head().t; t < w.from {
			return sum
		} else if t < w.to {
			P(&sum).add(c)
		}
	}
	for i := len(s.coarse) - 1; i >= 0; i-- {
		c := &s.coarse[i]
		if t := P(c).head().t * minuteCells; t < w.from {
			break
		} else if t < w.to {
			P(&sum).add(c)
		}
	}
	return sum
}

// minutes appends the sums of the minutes within w, empty ones and those under suspicion left out.
func (s *series[C, P]) minutes(w span, not *suspicion, out []C) []C {
	for i := range s.coarse {
		c := &s.coarse[i]
		m := P(c).head().t
		if t := m * minuteCells; t >= w.from && t+minuteCells <= w.to && !not.minute(m) {
			out = append(out, *c)
		}
	}
	for i := range s.fine {
		c := &s.fine[i] // no copy: that would be an allocation
		t := P(c).head().t
		if t < w.from || t >= w.to || not.cell(t) {
			continue
		}
		m := t / minuteCells
		if k := len(out); k > 0 && P(&out[k-1]).head().t == m {
			P(&out[k-1]).add(c)
			continue
		}
		out = append(out, *c)
		P(&out[len(out)-1]).head().t = m
	}
	return out
}

// suspicion is the cells that must not count as normal, by number modulo the length; nil is none.
type suspicion [512]uint32

func (s *suspicion) cell(t uint32) bool { return s != nil && t != 0 && s[t%uint32(len(s))] == t }

// minute says that any cell of a minute is under suspicion.
func (s *suspicion) minute(m uint32) bool {
	for t := m * minuteCells; t < (m+1)*minuteCells; t++ {
		if s.cell(t) {
			return true
		}
	}
	return false
}

func (s *suspicion) add(t uint32) { s[t%uint32(len(s))] = max(s[t%uint32(len(s))], t) }
