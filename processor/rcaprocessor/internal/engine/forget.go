// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"slices"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

// leastIdle is how long handles are kept at the least: what a verdict looks back at must still have its name.
const leastIdle = 2 * ledgerSeconds * second

// evict forgets what has been idle, and all that is kept under a handle that became free.
func (e *Engine) evict(end int64) {
	e.evictedAt = end
	e.suspect()
	e.study.store.Sweep()
	nodes, all := 0, 0
	idle := &e.counts.Idle
	_, _, edges := e.graph.Size()
	e.graph.Evict(end-max(e.set.IdleAfter, leastIdle), func(n graph.NodeID) {
		nodes++
		all++
		idle.Nodes++
		delete(e.parts, n)
		if int(n) < len(e.nodes) {
			e.sideBytes -= e.nodes[n].topic.bytes()
			e.nodes[n] = nodeStats{}
		}
		e.sent.Forget(n)
	}, func(op graph.OpID) {
		all++
		idle.Ops++
		if int(op) < len(e.ops) {
			e.sideBytes -= e.ops[op].bytes()
			e.ops[op] = opStats{}
		}
	}, func(i graph.InstanceID) {
		all++
		idle.Replicas++
		if int(i) < len(e.instances) {
			e.instances[i] = instanceStats{}
		}
	})
	_, _, left := e.graph.Size()
	idle.Edges += int64(edges - left)
	if all > 0 {
		e.study.forget(e.graph)
	}
	e.touched = slices.DeleteFunc(e.touched, func(op graph.OpID) bool { return !e.ops[op].entry.listed })
	e.lapsing = slices.DeleteFunc(e.lapsing, func(op graph.OpID) bool { return !e.ops[op].habits.listed })
	e.lagging = slices.DeleteFunc(e.lagging, func(op graph.OpID) bool { return e.ops[op].reader == nil })
	for i := range e.sources { // of a batch that is still being read
		e.sources[i].known = false
	}
	if nodes == 0 {
		return
	}
	for i := range e.ops {
		for k := range e.ops[i].awaits {
			if a := &e.ops[i].awaits[k]; a.node != 0 && e.graph.NodeAt(a.node).Kind == call.NodeUnknown {
				*a = await{}
			}
		}
	}
}

// rewind voids what belongs to a time that turned out wrong: the clock was set back by this much. The graph, and
// what is known to be normal, stay.
func (e *Engine) rewind() {
	e.table.Clear(func(trace.ID, []trace.Span) {})
	e.ledger.Reset()
	head := e.clock.Head()
	e.now, e.evictedAt, e.lastBad = 0, head, 0
	e.touched, e.lapsing = e.touched[:0], e.lapsing[:0]
	e.rewindLag()
	clear(e.taints[:])
	e.orphans.Rewind(head)
	for i := range e.ops {
		st := &e.ops[i]
		st.total.Rewind(head)
		st.own.Rewind(head)
		st.entry, st.habits = entryStats{}, habits{}
		st.rewindCalls()
	}
	clear(e.instances)
	e.study.store.Rewind(head)
	e.study.logs.clear()
	e.graph.Rewind(head)
	e.keeper.Rewind(head)
}
