// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/baseline"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

// try is the last call of an operation in the trace at hand: a call by the same parent after it failed repeats it.
type try struct {
	trace  uint32 // serial
	parent int32
	end    int64
	bad    bool
}

// startPrecision: a skeleton may begin up to so many nanoseconds early.
const startPrecision = 1 << 12

// observeTry tells first attempts from repeated ones.
func (e *Engine) observeTry(st *opStats, s *trace.Span, parent int32, at int64) {
	last := st.try
	st.try = try{trace: e.traces, parent: parent, end: s.End, bad: s.Outcome().Bad()}
	repeats := s.Attempt() > 0 || parent >= 0 && last.bad && last.trace == e.traces && last.parent == parent && s.Start() > last.end-startPrecision
	n := [3]uint32{1, 0}
	if repeats {
		n[1] = 1
		e.countRetries(st)
	}
	if st.retries != nil {
		st.retries.Add(at, n, e.tainted)
	}
}

// countRetries begins to, unless it is done already.
func (e *Engine) countRetries(st *opStats) {
	if st.retries == nil {
		st.retries = new(baseline.Counts)
		e.sideBytes += countsBytes
	}
}

// amplification returns how many attempts a service makes for each call that it means to make to a callee, in
// [from, to) and normally; 1 where nothing was repeated.
func (e *Engine) amplification(edge graph.Edge, from, to int64) (now, normal float64) {
	var is, was baseline.Tally
	for i := 1; i < len(e.ops); i++ {
		o := e.graph.OpAt(graph.OpID(i))
		if o.Node != edge.From || !o.Role.Outgoing() || e.Callee(graph.OpID(i)) != edge.To {
			continue
		}
		st := &e.ops[i]
		is[0] += int64(st.total.Window(from, to).N)
		usual := st.total.Normal()
		was[0] += int64(usual.N)
		if st.retries == nil {
			continue
		}
		n, _ := st.retries.Window(from, to)
		is[1] += n[1]
		past, _ := st.retries.Normal()
		// The baseline of durations reaches less far back.
		was[1] += int64(ratio(past[1], past[0]) * float64(usual.N))
	}
	return perCall(is), perCall(was)
}

func perCall(n baseline.Tally) float64 {
	if n[0] <= n[1] {
		return 1
	}
	return float64(n[0]) / float64(n[0]-n[1])
}

// learnAwaits counts the callees of a span, and in healthy times what is usual.
func (e *Engine) learnAwaits(st *opStats, called []graph.NodeID, at int64, healthy bool) {
	e.serial++
	k := baseline.CellOf(at)
	st.advanceCalls(k)
	for _, n := range called {
		a := st.await(n, healthy)
		if a == nil {
			continue
		}
		if k > st.called-baseline.Recent {
			a.recent[k%baseline.Recent]++
		}
		if healthy {
			if a.mark != e.serial {
				a.mark = e.serial
				a.n++
			}
			a.calls++
		}
	}
}

// await returns the place where calls to n are counted, nil when there is none. In healthy times n may take that of a
// callee that is called in less than one of 16 runs.
func (st *opStats) await(n graph.NodeID, healthy bool) *await {
	least := &st.awaits[0]
	for k := range st.awaits {
		a := &st.awaits[k]
		if a.node == n {
			return a
		}
		if a.n < least.n || a.n == least.n && a.node == 0 && least.node != 0 {
			least = a
		}
	}
	if least.node != 0 && !(healthy && (least.n == 0 || least.n*16 < st.runs)) {
		return nil
	}
	*least = await{node: n}
	return least
}

// advanceCalls moves the counts of calls on to cell k.
func (st *opStats) advanceCalls(k int64) {
	if k <= st.called {
		return
	}
	if k-st.called > baseline.Recent {
		st.called = k - baseline.Recent
	}
	for st.called < k {
		st.called++
		for i := range st.awaits {
			st.awaits[i].recent[st.called%baseline.Recent] = 0
		}
	}
}

// rewindCalls gives up the counts of calls: the clock was wrong.
func (st *opStats) rewindCalls() {
	st.called, st.try = 0, try{}
	for i := range st.awaits {
		st.awaits[i].recent = [baseline.Recent]uint32{}
	}
	if st.retries != nil {
		st.retries.Rewind()
	}
}

// fanOut returns how many calls to callee an operation makes each time that it runs, in [from, to) and normally.
func (e *Engine) fanOut(op graph.OpID, callee graph.NodeID, from, to int64) (now, normal float64) {
	st := &e.ops[op]
	for i := range st.awaits {
		a := &st.awaits[i]
		if a.node == 0 || a.node != callee {
			continue
		}
		calls := int64(0)
		for k := max(baseline.CellOf(from), st.called-baseline.Recent+1); k <= min(baseline.CellOf(to-1), st.called); k++ {
			calls += int64(a.recent[k%baseline.Recent])
		}
		return ratio(calls, int64(st.own.Window(from, to).N)), ratio(int64(a.calls), int64(st.runs))
	}
	return 0, 0
}
