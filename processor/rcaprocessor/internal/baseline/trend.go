// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package baseline

import "math"

// Trend is how durations move over a stretch of minutes.
type Trend struct {
	Minutes int     // that had enough calls to count
	Growth  float64 // of the typical duration: by which part of it a minute, 0.05 is 5 %; negative when it falls
	Gradual bool    // it grows all the while, rather than in one step or by chance
}

const (
	// trendCalls is what a minute needs to count.
	trendCalls = 5
	// trendSure is the z of the Mann-Kendall test beyond which a growth is none by chance: one in a hundred. Six
	// minutes are the fewest that reach it.
	trendSure = 2.326
)

// Trend returns how durations move in the minutes that overlap [from, to): normal ones of the last hour, and all
// recent ones. Growth is the slope of a weighted least-squares line through the mean logs. Gradual takes a
// Mann-Kendall test for growth (Mann 1945, Kendall 1975), and that the line fits better than any single step does.
func (s *Series) Trend(from, to int64) Trend {
	var all [hour + Recent/perMinute + 1]point
	ps := all[:0]
	first, last := CellOf(from)/perMinute, (CellOf(to-1))/perMinute
	newest := max(s.minute, s.cell/perMinute)
	for m := max(0, first, newest-int64(cap(ps))+1); m <= min(last, newest); m++ {
		var c Cell
		if m <= s.minute && m > s.minute-hour {
			c = s.past[m%hour]
		}
		recent := s.Window(m*perMinute*CellWidth, (m+1)*perMinute*CellWidth)
		if c.Add(&recent); c.N >= trendCalls {
			ps = append(ps, point{float64(m - newest), c.mean(), float64(min(c.N, fullWeight))})
		}
	}
	if len(ps) < 2 {
		return Trend{Minutes: len(ps)}
	}
	slope, line := fitLine(ps)
	return Trend{
		Minutes: len(ps), Growth: math.Expm1(slope),
		Gradual: mannKendall(ps) >= trendSure && line < fitStep(ps),
	}
}

// point is a minute: its number, its mean log duration, its weight.
type point struct{ x, y, w float64 }

// mannKendall returns the z of the test for growth.
func mannKendall(ps []point) float64 {
	s := 0.0
	for i := range ps {
		for j := range i {
			switch d := ps[i].y - ps[j].y; {
			case d > 0:
				s++
			case d < 0:
				s--
			}
		}
	}
	n := float64(len(ps))
	return (s - 1) / math.Sqrt(n*(n-1)*(2*n+5)/18)
}

// moments are weighted sums over points.
type moments struct{ w, x, y, xx, xy, yy float64 }

func (m *moments) add(p point, sign float64) {
	w := p.w * sign
	m.w += w
	m.x += w * p.x
	m.y += w * p.y
	m.xx += w * p.x * p.x
	m.xy += w * p.x * p.y
	m.yy += w * p.y * p.y
}

// rest is the squared error about the mean.
func (m *moments) rest() float64 { return m.yy - m.y*m.y/m.w }

// fitLine returns the slope of the least-squares line, and its squared error.
func fitLine(ps []point) (slope, rest float64) {
	var m moments
	for _, p := range ps {
		m.add(p, 1)
	}
	sxx, sxy := m.xx-m.x*m.x/m.w, m.xy-m.x*m.y/m.w
	slope = sxy / sxx
	return slope, m.rest() - slope*sxy
}

// fitStep returns the squared error of the best step: one level up to a minute, another after it.
func fitStep(ps []point) float64 {
	var before, after moments
	for _, p := range ps {
		after.add(p, 1)
	}
	best := after.rest()
	for _, p := range ps[:len(ps)-1] {
		before.add(p, 1)
		after.add(p, -1)
		best = min(best, before.rest()+after.rest())
	}
	return best
}
