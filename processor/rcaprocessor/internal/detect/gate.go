// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package detect says when something is not normal any more: sequential tests on what users and
// consumers of a queue get to feel.
package detect

import "math"

// Level is how far a Gate is open.
type Level uint8

const (
	// Quiet: nothing to see.
	Quiet Level = iota
	// Suspect: half the evidence that it takes. Baselines are kept from learning.
	Suspect
	// Open: there is a symptom.
	Open
)

// Test is the hypothesis of a Gate: the share of bad units of work is P0 when healthy, P1 when not.
type Test struct{ P0, P1 float64 }

// ErrorTest returns the test for failures, given their normal share. Where nine in ten fail normally there is nothing
// left to test for: both hypotheses are one, and no failure speaks for either.
func ErrorTest(normal float64) Test {
	p0 := min(max(normal, 0.005), 0.9)
	return Test{p0, min(max(4*p0, p0+0.05), 0.9)}
}

// SlowTest returns the test for slow units, given their normal share. Slowness is defined by a quantile,
// so a share of it is normal, and comes in bursts.
func SlowTest(normal float64) Test {
	p0 := min(max(normal, 0.03), 0.5)
	return Test{p0, min(max(4*p0, p0+0.15), 0.9)}
}

// LagTest returns the test for records that lay in a topic for too long, given their normal share. A queue delays
// whatever stands behind one slow record, so that healthy ones come in long bursts: it takes more of them. Fitted on
// scenario 26, whose consumer is half busy when all is well.
func LagTest(normal float64) Test {
	p0 := min(max(normal, 0.1), 0.5)
	return Test{p0, min(max(4*p0, 0.5), 0.9)}
}

// Gate is a Bernoulli CUSUM over seconds: S = max(0, S + bad ln(p1/p0) + good ln((1-p1)/(1-p0))), with the
// time at which S last was noise as the estimate of the onset (Page 1954; Moustakides 1986 for its optimality).
type Gate struct {
	s      float64
	onset  int64   // end of the last second at which S was noise
	bad    int64   // since onset
	units  int64   // since onset
	heal   float64 // the test the other way round
	bottom int64   // end of the last second at which heal was 0
	recent int64   // bottom, as of the last second of an open gate
	opened bool    // since onset
}

const second = int64(1e9)

const (
	// ceiling bounds the sum, so that it falls as soon as things are well again.
	ceiling = 3
	// noise is a likelihood ratio of 20 to 1: a healthy system wanders so far all the time.
	noise = 3
	// healed bounds heal, so that a relapse is noticed soon.
	healed = 10
)

// Step takes the counts of the second that ends at end, and returns the level. threshold is the sum at which
// the gate opens; minBad the bad units that it takes at the least.
func (g *Gate) Step(end int64, units, bad int64, t Test, threshold float64, minBad int64) Level {
	if g.s == 0 { // a gate at rest is not told of every second
		g.onset = end - second
	}
	if units > 0 {
		step := float64(bad)*math.Log(t.P1/t.P0) + float64(units-bad)*math.Log((1-t.P1)/(1-t.P0))
		g.s = min(max(0, g.s+step), ceiling*threshold)
		if g.s <= noise {
			g.bad, g.units, g.onset, g.heal, g.opened = 0, 0, end, 0, false
		} else {
			g.bad += bad
			g.units += units
			if g.heal = min(max(0, g.heal-step), healed); g.heal == 0 {
				g.bottom = end
			}
		}
	} else if g.s <= noise {
		g.onset = end
	}
	level := g.level(threshold, minBad)
	g.opened = g.opened || level == Open
	if g.opened {
		g.recent = g.bottom
	}
	return level
}

func (g *Gate) level(threshold float64, minBad int64) Level {
	switch {
	case g.s > threshold && g.bad >= minBad:
		return Open
	case g.s > threshold/2:
		return Suspect
	}
	return Quiet
}

// Onset returns the end of the last second before things went wrong.
func (g *Gate) Onset() int64 { return g.onset }

// LastBad returns the end of the last second of an open gate at which nothing spoke for recovery; 0 when there
// was none. What never opened the gate is no reason to keep an incident open.
func (g *Gate) LastBad() int64 { return g.recent }

// Counts returns the units of work, and the bad ones among them, since onset.
func (g *Gate) Counts() (units, bad int64) { return g.units, g.bad }

// Threshold returns the sum at which gates open so that a healthy system of this many units of work a second
// raises about one false alarm a week.
func Threshold(unitsPerSecond float64) float64 {
	const week = 7 * 24 * 3600
	return math.Log(max(unitsPerSecond*week, week))
}

// AtRest says that nothing speaks against normal, so that seconds without units need not be told.
func (g *Gate) AtRest() bool { return g.s == 0 }

// Reset closes the gate: an incident is over.
func (g *Gate) Reset() { g.s, g.bad, g.units, g.heal, g.opened = 0, 0, 0, 0, false }

// Failing says that things went from normal to bad, and not back since: the gate opened, or is about to.
func (g *Gate) Failing() bool { return g.opened || g.bad >= 3 && 2*g.bad > g.units }
