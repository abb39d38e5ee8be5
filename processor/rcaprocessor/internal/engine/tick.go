// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"slices"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/baseline"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/detect"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

// minBad is the least number of hurt units of work that opens a gate.
const minBad = 10

// endSecond closes the second that ends at end: gates, then the incident, then what is remembered.
func (e *Engine) endSecond(end int64) {
	e.now = end
	alarm := e.stepGates(end)
	if alarm.level >= detect.Suspect || len(e.keeper.Open()) > 0 {
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
	level detect.Level
	onset int64 // the earliest of the open gates
	// lapsed is the operation that has broken with a habit for longest, since lapse; 0 when there is none.
	lapsed graph.OpID
	lapse  int64
}

// stepGates takes the second's counts of every entry operation to its gates.
func (e *Engine) stepGates(end int64) alarm {
	var a alarm
	clear(e.levels[:])
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
	a.lapsed, a.lapse = e.stepHabits(end, threshold, e.tainted(baseline.CellOf(end-1)))
	e.stepLag(&a, end, threshold)
	return a
}

func (e *Engine) note(a *alarm, g *detect.Gate, l detect.Level) {
	e.lastBad = max(e.lastBad, g.LastBad()) // a gate that has come to rest meanwhile is not asked
	a.level = max(a.level, l)
	e.levels[l]++
	if l == detect.Open {
		if a.onset == 0 || g.Onset() < a.onset {
			a.onset = g.Onset()
		}
	}
}

func (e *Engine) stepIncident(end int64, a alarm) {
	o := incident.Observation{
		Now: end, Head: e.clock.Head(), Alarm: a.level == detect.Open, Onset: a.onset, Health: e.health,
		Verdicts: func(from int64, open []string) []incident.Verdict { return e.verdicts(from, end, open) },
	}
	if a.level == detect.Quiet && a.lapsed != 0 && len(e.keeper.Open()) == 0 { // nobody is hurt, and something is not as it was
		o.Alarm, o.Onset = true, a.lapse
		o.Verdicts = func(int64, []string) []incident.Verdict { return []incident.Verdict{e.lapsed(a.lapsed, a.lapse, end)} }
	}
	changed := e.keeper.Step(o)
	for i := range changed {
		if in := &changed[i]; in.State == incident.Resolved {
			e.rest(in)
			if in.Stale {
				e.accept()
			}
		}
	}
	if len(changed) > 0 {
		e.publish(e.keeper.Open())
	}
	for i := range changed {
		e.onChange(changed[i])
	}
}

// felt calls yield for the entry operations at which an incident is felt and whose gates are not at rest: all of
// them where it is the only one, for its symptoms wander.
func (e *Engine) felt(in *incident.Incident, yield func(*entryStats)) {
	only := len(e.keeper.Open()) == 1
	for _, op := range e.touched {
		if only || slices.Contains(in.Verdict.Entries, e.OpName(op)) {
			yield(&e.ops[op].entry)
		}
	}
}

// feltLate calls yield for the readers at which an incident is felt and whose gates are not at rest.
func (e *Engine) feltLate(in *incident.Incident, yield func(*readerStats)) {
	only := len(e.keeper.Open()) == 1
	for _, op := range e.lagging {
		if only || slices.Contains(in.Verdict.Entries, e.OpName(op)) {
			yield(e.ops[op].reader)
		}
	}
}

// health returns the latest second that spoke against normal where an incident is felt, and whether most of the
// operations there have not been heard of since: silence is not health.
func (e *Engine) health(in *incident.Incident) (lastBad int64, silent bool) {
	var heard, missed int64 // normal units of work
	e.felt(in, func(en *entryStats) {
		bad := max(en.errors.LastBad(), en.slowness.LastBad())
		lastBad = max(lastBad, bad)
		if en.heard > bad {
			heard += en.allUnits
		} else {
			missed += en.allUnits
		}
	})
	e.feltLate(in, func(r *readerStats) { lastBad = max(lastBad, r.lastBad()) })
	for _, op := range e.lapsing {
		if slices.Contains(in.Verdict.Entries, e.OpName(op)) {
			lastBad = max(lastBad, e.ops[op].habits.gate.LastBad())
		}
	}
	return lastBad, missed > heard
}

// rest closes the gates of an incident that is over, but where another one is felt.
func (e *Engine) rest(in *incident.Incident) {
	open := e.keeper.Open()
	over := func(op graph.OpID) bool {
		name := e.OpName(op)
		return len(open) == 0 || slices.Contains(in.Verdict.Entries, name) &&
			!slices.ContainsFunc(open, func(o *incident.Incident) bool { return slices.Contains(o.Verdict.Entries, name) })
	}
	for _, op := range e.touched {
		if over(op) {
			e.ops[op].entry.errors.Reset()
			e.ops[op].entry.slowness.Reset()
		}
	}
	for _, op := range e.lagging {
		if over(op) {
			e.ops[op].reader.reset()
		}
	}
}

// taint keeps a cell from counting as normal.
func (e *Engine) taint(cell int64) { e.taints[cell%taintCells] = cell }

func (e *Engine) tainted(cell int64) bool {
	return e.taints[cell%taintCells] == cell || cell <= baseline.CellOf(e.now)-taintCells
}

func ratio(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}
