// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/baseline"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

// Merge adds to e what other has learned from other traces of the same system, under the same settings. Traces that
// wait for the rest of their spans are looked at first, as Idle does, by both and up to the later of both; what ends
// before that and comes later is late. e keeps its own incident where it has one. other is used up.
func (e *Engine) Merge(other *Engine) {
	head := max(e.Head(), other.Head())
	if head == 0 {
		return
	}
	for _, one := range []*Engine{e, other} {
		one.clock.Reach(head)
		one.table.Expire(one.clock.Mark()+one.set.Quiet+2*second, one.visit, one.tick)
	}
	if e.table.Told() == 0 {
		e.table.Resume(other.table.Told())
	}
	if e.began == 0 || other.began != 0 && other.began < e.began {
		e.began = other.began
	}
	e.now, e.evictedAt, e.lastBad = max(e.now, other.now), max(e.evictedAt, other.evictedAt), max(e.lastBad, other.lastBad)
	e.units += other.units
	for i, cell := range other.taints {
		e.taints[i] = max(e.taints[i], cell)
	}
	e.orphans.Merge(&other.orphans, e.tainted)
	t := e.graph.Merge(other.graph)
	e.mergeRows(other, &t)
	e.ledger.Merge(other.ledger, &t)
	node := func(n graph.NodeID) graph.NodeID { return t.Nodes[n] }
	e.study.merge(&other.study, node, func(op graph.OpID) graph.OpID { return t.Ops[op] },
		func(i graph.InstanceID) graph.InstanceID { return t.Instances[i] })
	e.sent.Merge(other.sent, node)
	e.receipts.Lost += other.receipts.Lost
	e.study.logs.dropped += other.study.logs.dropped
	e.keeper.Merge(&other.keeper)
	e.publish(e.keeper.Open())
	e.hurt.merge(&other.hurt, e.parts != nil)
	e.counts.Add(other.counts)
	e.counts.Cycles += other.walker.Cycles()
	e.counts.Incidents.Add(other.keeper.Beyond)
}

// mergeRows adds what is kept under handles.
func (e *Engine) mergeRows(other *Engine, t *graph.Translation) {
	e.ops = grown(e.ops, e.graph.NumOps())
	for i := range other.ops {
		if op := t.Ops[i]; op != 0 {
			st := &e.ops[op]
			lapsing := st.habits.listed
			if st.merge(&other.ops[i], t, e.tainted) {
				e.touched = append(e.touched, op)
			}
			e.mergeCalls(op, &other.ops[i])
			if st.habits.listed && !lapsing {
				e.lapsing = append(e.lapsing, op)
			}
		}
	}
	e.nodes = grown(e.nodes, e.graph.NumNodes())
	for i := range other.nodes {
		if n := t.Nodes[i]; n != 0 {
			e.nodes[n].merge(&other.nodes[i])
			if t := other.nodes[i].topic; t != nil {
				e.mergeTopic(n, t)
			}
		}
	}
	e.instances = grown(e.instances, e.graph.NumInstances())
	for i := range other.instances {
		if in := t.Instances[i]; in != 0 {
			e.instances[in].merge(&other.instances[i])
		}
	}
}

func grown[T any](rows []T, n int) []T {
	return append(rows, make([]T, max(0, n-len(rows)))...)
}

// merge adds the statistics of other; it returns true when st becomes an entry to be listed.
func (st *opStats) merge(other *opStats, t *graph.Translation, taint baseline.Taint) (listed bool) {
	st.total.Merge(&other.total, taint)
	st.own.Merge(&other.own, taint)
	k := max(st.called, other.called)
	st.advanceCalls(k)
	other.advanceCalls(k)
	st.mergeAwaits(other, t)
	st.habits.merge(&other.habits, st, other, t)
	st.runs += other.runs
	for st.runs > awaitCap {
		st.halve()
	}
	st.asked, st.answered = st.asked+other.asked, st.answered+other.answered
	for st.asked > awaitCap {
		st.asked, st.answered = st.asked/2, st.answered/2
	}
	return st.entry.merge(&other.entry)
}

// mergeAwaits adds up the callees, and keeps those that are called most.
func (st *opStats) mergeAwaits(other *opStats, t *graph.Translation) {
	all := slices.Clone(st.awaits[:])
	for _, a := range other.awaits {
		if a.node = t.Nodes[a.node]; a.node == 0 {
			continue
		}
		a.mark = 0 // a serial of the other engine
		if i := slices.IndexFunc(all, func(b await) bool { return b.node == a.node }); i >= 0 {
			all[i].n += a.n
			all[i].calls += a.calls
			for k, n := range a.recent {
				all[i].recent[k] += n
			}
		} else {
			all = append(all, a)
		}
	}
	if len(all) > len(st.awaits) {
		slices.SortStableFunc(all, func(a, b await) int { return cmp.Compare(b.n, a.n) })
	}
	copy(st.awaits[:], all)
}

func (en *entryStats) merge(other *entryStats) (listed bool) {
	en.units, en.bad, en.slow = en.units+other.units, en.bad+other.bad, en.slow+other.slow
	en.allUnits, en.allBad, en.allSlow = en.allUnits+other.allUnits, en.allBad+other.allBad, en.allSlow+other.allSlow
	en.errors.Merge(&other.errors)
	en.slowness.Merge(&other.slowness)
	en.heard = max(en.heard, other.heard)
	listed = other.listed && !en.listed
	en.listed = en.listed || other.listed
	return listed
}

func (s *nodeStats) merge(other *nodeStats) {
	for i := range s.seconds {
		switch a, b := &s.seconds[i], &other.seconds[i]; {
		case b.second > a.second:
			*a = *b
		case b.second == a.second:
			a.calls, a.hurt = a.calls+b.calls, a.hurt+b.hurt
		}
	}
}

func (s *instanceStats) merge(other *instanceStats) {
	to := max(s.cell, other.cell) * baseline.CellWidth
	s.advance(to)
	other.advance(to)
	for i := range s.cells {
		s.cells[i].calls += other.cells[i].calls
		s.cells[i].bad += other.cells[i].bad
	}
	s.last = max(s.last, other.last)
}

// merge adds other's ids, if they are of use, and its count of forgotten ones.
func (h *hurtTraces) merge(other *hurtTraces, wanted bool) {
	h.dropped += other.dropped
	if !wanted {
		return
	}
	for _, ids := range []map[trace.ID]struct{}{other.old, other.young} {
		sorted := make([]trace.ID, 0, len(ids))
		for id := range ids {
			sorted = append(sorted, id)
		}
		slices.SortFunc(sorted, func(a, b trace.ID) int { return bytes.Compare(a[:], b[:]) })
		for _, id := range sorted {
			h.add(id)
		}
	}
}
