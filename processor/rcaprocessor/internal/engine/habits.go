// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/blame"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/cause"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/detect"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

const (
	// A call is a habit of an operation that so many in ten of so many runs made, and is broken where it is left out
	// though the run ended well. Design 2.6 (F3) asks for three in ten; nobody waits here, so it takes more.
	habitTenths, habitRuns = 9, 50
	// broken is the share of runs that leave it out when a habit is broken for good.
	broken = 0.9
	// brokenFor is how long that must have lasted: behaviour that changed for good does not hurry.
	brokenFor = 20 * second
	// rolledOut is how long after a new version's first call its habits may differ: that is what it was made for.
	rolledOut = 600 * second
	// leastBroken is the least number of runs without it.
	leastBroken = 50
	// tornTimes the normal share of traces with orphans, and tornShare more, means that spans get lost on their way.
	// The simulator's loss of 2 % is well below.
	tornTimes, tornShare = 2, 0.05
	// instead is how much more often another is called where it has taken the place of a habit.
	instead = 0.4
	// lapseScore is how sure it is at the most that somebody wants to know. Simulator: not one silent run has it.
	lapseScore = 0.7
)

// habits is how well an operation keeps to what it usually calls.
type habits struct {
	runs, broken       int64            // in the current second
	allRuns, allBroken int64            // in healthy times
	left, with         [maxAwaits]int64 // of the broken runs since the gate was at rest: that left a callee out, that called it
	gate               detect.Gate
	listed             bool
	frozen             bool // under suspicion: the operation learns no habits
}

// observeHabits looks at a run of an incoming operation that ended well. One that calls somebody new instead is no
// evidence: things get new names.
func (e *Engine) observeHabits(op graph.OpID, s *trace.Span, callees []graph.NodeID) {
	st := &e.ops[op]
	if st.runs < habitRuns || s.Outcome() != call.OK {
		return
	}
	var called [maxAwaits]bool
	novel := false
	for _, n := range callees {
		if k := st.usual(n); k >= 0 {
			called[k] = true
		} else {
			novel = true
		}
	}
	h := &st.habits
	h.runs++
	left := false
	for k := range st.awaits {
		if st.habit(k) && !called[k] && !novel {
			h.left[k]++
			left = true
		}
	}
	if !left {
		return
	}
	h.broken++
	for k := range st.awaits {
		if called[k] {
			h.with[k]++
		}
	}
	if !h.listed {
		h.listed = true
		e.lapsing = append(e.lapsing, op)
	}
}

// replaced says that runs without a habit call somebody else far more often than usual.
func (st *opStats) replaced() bool {
	_, runs := st.habits.gate.Counts()
	for k := range st.awaits {
		if ratio(st.habits.with[k], runs) > ratio(int64(st.awaits[k].n), int64(st.runs))+instead {
			return true
		}
	}
	return false
}

// usual returns the place of a callee that is called now and then at the least, -1 when it has none.
func (st *opStats) usual(n graph.NodeID) int {
	for k := range st.awaits {
		if a := &st.awaits[k]; a.node == n && a.n*16 >= st.runs {
			return k
		}
	}
	return -1
}

func (st *opStats) habit(k int) bool {
	return st.awaits[k].n*10 >= st.runs*habitTenths && st.runs >= habitRuns
}

// stepHabits takes the second's counts to the gates of operations whose habits lapse. It returns the onset of the
// earliest that has been open for long enough, and its operation; 0 when there is none.
func (e *Engine) stepHabits(end int64, threshold float64, tainted bool) (op graph.OpID, onset int64) {
	rest := e.lapsing[:0]
	for _, at := range e.lapsing {
		h := &e.ops[at].habits
		p0 := max(ratio(h.allBroken, h.allRuns), 0.02)
		level := h.gate.Step(end, h.runs, h.broken, detect.Test{P0: min(p0, 0.5), P1: broken}, threshold, leastBroken)
		if !tainted {
			h.allRuns += h.runs
			h.allBroken += h.broken
			if h.allRuns > 1<<16 {
				h.allRuns, h.allBroken = h.allRuns/2, h.allBroken/2
			}
		}
		h.runs, h.broken = 0, 0
		since := h.gate.Onset()
		h.frozen = level >= detect.Suspect && end-since < rolledOut // then it is the new way of doing things
		if level == detect.Open && end-since >= brokenFor && !e.ops[at].replaced() && !e.torn(since, end) && (op == 0 || since < onset || since == onset && e.OpName(at) < e.OpName(op)) &&
			!e.rolledOut(at, since) && e.essential(e.graph.OpAt(at).Node) {
			op, onset = at, since
		}
		if h.gate.AtRest() {
			h.listed, h.frozen, h.left, h.with = false, false, [maxAwaits]int64{}, [maxAwaits]int64{}
		} else {
			rest = append(rest, at)
		}
	}
	e.lapsing = rest
	return op, onset
}

// torn says that traces of [from, to) have lost more of their spans than usual: what is missing may have been lost.
func (e *Engine) torn(from, to int64) bool {
	c := e.orphans.Window(from, to)
	return ratio(int64(c.Bad), int64(c.N)) > tornTimes*e.orphans.BadRatio()+tornShare
}

// rolledOut says that the operation's service got a new version shortly before a time.
func (e *Engine) rolledOut(op graph.OpID, at int64) bool {
	n := e.graph.OpAt(op).Node
	for i := 1; i < e.graph.NumInstances(); i++ {
		in := e.graph.InstanceAt(graph.InstanceID(i))
		if in.Node == n && in.FirstSeen > at-rolledOut && in.FirstSeen > e.began+e.set.WarmUp && e.oldVersion(n, in.Version, in.FirstSeen) {
			return true
		}
	}
	return false
}

// oldVersion says that a node ran another version before.
func (e *Engine) oldVersion(n graph.NodeID, version string, before int64) bool {
	for i := 1; i < e.graph.NumInstances(); i++ {
		if in := e.graph.InstanceAt(graph.InstanceID(i)); in.Node == n && in.Version != version && in.FirstSeen < before {
			return true
		}
	}
	return false
}

// essential says that units of work come in at a node, or that an essential one has the habit of calling it.
func (e *Engine) essential(n graph.NodeID) bool {
	seen := map[graph.NodeID]bool{n: true}
	for next := []graph.NodeID{n}; len(next) > 0; {
		n, next = next[len(next)-1], next[:len(next)-1]
		for i := 1; i < len(e.ops); i++ {
			st, o := &e.ops[i], e.graph.OpAt(graph.OpID(i))
			if o.Node == n && st.entry.allUnits > 0 {
				return true
			}
			for k := range st.awaits {
				if e.graph.Resolve(st.awaits[k].node) == n && st.awaits[k].node != 0 && st.habit(k) && !seen[o.Node] {
					seen[o.Node] = true
					next = append(next, o.Node)
				}
			}
		}
	}
	return false
}

// lapsed is the verdict on an operation that has broken with a habit though nothing fails.
func (e *Engine) lapsed(op graph.OpID, onset, end int64) incident.Verdict {
	st, n := &e.ops[op], e.graph.OpAt(op).Node
	var left string
	most := int64(0)
	for k, runs := range st.habits.left {
		if name := e.NodeName(st.awaits[k].node); runs > most || runs == most && runs > 0 && name < left {
			left, most = name, runs
		}
	}
	units, broken := st.habits.gate.Counts()
	kept := float64(units-broken) / float64(max(units, 1))
	v := incident.Verdict{
		Root: e.NodeName(n), Kind: kindName(e.graph.NodeAt(n).Kind), Reason: blame.Vanished.String(),
		Cause: cause.BehaviourChange.String(), Score: round(lapseScore * (1 - kept)),
		Onset: onset, Path: []string{e.NodeName(n)}, Entries: []string{e.OpName(op)},
	}
	v.Ranked = []incident.Ranked{{Node: v.Root, Score: v.Score}}
	c := st.total.Window(onset, end)
	v.Summary = v.Root + " has changed its behaviour: " + e.OpName(op) + " no longer calls " + left + ", and nothing fails."
	v.Evidence = []string{
		percent(1-kept) + " of the runs of " + e.OpName(op) + " since " + clockTime(onset) + " leave out a call that it always made.",
		e.OpName(op) + ": typically " + duration(normal(&st.total)) + " -> " + duration(c.Typical()) + "; no new version was seen in the ten minutes before.",
	}
	return v
}

// merge adds up the counts; of callees left out those that the operation of h knows.
func (h *habits) merge(other *habits, st, from *opStats, t *graph.Translation) {
	h.runs, h.broken = h.runs+other.runs, h.broken+other.broken
	h.allRuns, h.allBroken = h.allRuns+other.allRuns, h.allBroken+other.allBroken
	for i := range from.awaits {
		for k := range st.awaits {
			if n := t.Nodes[from.awaits[i].node]; n != 0 && st.awaits[k].node == n {
				h.left[k] += other.left[i]
				h.with[k] += other.with[i]
			}
		}
	}
	h.gate.Merge(&other.gate)
	h.listed = h.listed || other.listed
	h.frozen = h.frozen || other.frozen
}
