// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/baseline"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/detect"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

// minBad is the least number of hurt units of work that opens a gate.
const minBad = 10

// endSecond closes the second that ends at end: gates, then the incident, then what is remembered.
func (e *Engine) endSecond(end int64) {
	e.now = end
	alarm := e.stepGates(end)
	if alarm.level >= detect.Suspect || e.keeper.Open() != nil {
		e.taint(baseline.CellOf(end - 1))
	}
	if e.Ready() {
		e.stepIncident(end, alarm)
	}
	if end-e.evictedAt >= evictEvery {
		e.evict(end)
	}
}

type alarm struct {
	level   detect.Level
	onset   int64 // the earliest of the open gates
	lastBad int64 // the latest of all gates
	// Normal units of work of the operations whose gates are not at rest: heard of, or not, since their last bad second.
	heard, missed int64
}

// stepGates takes the second's counts of every entry operation to its gates.
func (e *Engine) stepGates(end int64) alarm {
	var a alarm
	perSecond := float64(e.units) / float64(max(1, (end-e.began)/second))
	threshold := detect.Threshold(perSecond)
	rest := e.touched[:0]
	for _, op := range e.touched {
		st := &e.ops[op]
		en := &st.entry
		errors := detect.ErrorTest(ratio(en.allBad, en.allUnits))
		slowness := detect.SlowTest(ratio(en.allSlow, en.allUnits))
		e.note(&a, &en.errors, en.errors.Step(end, en.units, en.bad, errors, threshold, minBad))
		e.note(&a, &en.slowness, en.slowness.Step(end, en.units, en.slow, slowness, threshold, minBad))
		if en.units > 0 {
			en.heard = end
		}
		if en.heard > max(en.errors.LastBad(), en.slowness.LastBad()) {
			a.heard += en.allUnits
		} else {
			a.missed += en.allUnits
		}
		if !e.tainted(baseline.CellOf(end - 1)) {
			en.allUnits += en.units
			en.allBad += en.bad
			en.allSlow += en.slow
			if en.allUnits > 1<<16 {
				en.allUnits, en.allBad, en.allSlow = en.allUnits/2, en.allBad/2, en.allSlow/2
			}
		}
		en.units, en.bad, en.slow = 0, 0, 0
		if !en.errors.AtRest() || !en.slowness.AtRest() {
			rest = append(rest, op)
		} else {
			en.listed = false
		}
	}
	e.touched = rest
	e.stepLag(&a, end, threshold)
	e.lastBad = max(e.lastBad, a.lastBad) // a gate that has come to rest meanwhile is not asked
	a.lastBad = e.lastBad
	return a
}

func (e *Engine) note(a *alarm, g *detect.Gate, l detect.Level) {
	a.lastBad = max(a.lastBad, g.LastBad())
	a.level = max(a.level, l)
	if l == detect.Open {
		if a.onset == 0 || g.Onset() < a.onset {
			a.onset = g.Onset()
		}
	}
}

func (e *Engine) stepIncident(end int64, a alarm) {
	changed := e.keeper.Step(incident.Observation{
		Now: end, Head: e.clock.Head(), Alarm: a.level == detect.Open, Onset: a.onset, LastBad: a.lastBad, Silent: a.missed > a.heard,
		Verdict: func() incident.Verdict { return e.verdict(e.window(a, end)) },
	})
	if changed == nil {
		return
	}
	if changed.State == incident.Resolved {
		for _, op := range e.touched {
			e.ops[op].entry.errors.Reset()
			e.ops[op].entry.slowness.Reset()
		}
		e.resetLag()
	}
	e.publish(e.keeper.Open())
	e.onChange(*changed)
}

// window returns the time that a verdict looks at: from the onset of the incident, or of the alarm, to the
// last second that was bad.
func (e *Engine) window(a alarm, end int64) (from, to int64) {
	from = a.onset
	if in := e.keeper.Open(); in != nil {
		from = in.Onset
	}
	if a.lastBad > from && end-a.lastBad > 2*second {
		end = a.lastBad
	}
	return max(from, end-ledgerSeconds*second), end
}

// taint keeps a cell from counting as normal.
func (e *Engine) taint(cell int64) { e.taints[cell%int64(len(e.taints))] = cell }

func (e *Engine) tainted(cell int64) bool { return e.taints[cell%int64(len(e.taints))] == cell }

func ratio(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}
