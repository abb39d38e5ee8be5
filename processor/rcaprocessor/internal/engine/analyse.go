// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/baseline"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/blame"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

// analyse takes what came to rest of a trace: it feeds every statistic, and finds where hurt units of work
// began. All of it counts in the second in which the last span ended.
func (e *Engine) analyse(id trace.ID, spans []trace.Span) {
	at := spans[0].End
	for i := range spans {
		at = max(at, spans[i].End)
	}
	at -= at % second
	nodes := e.walker.Walk(spans)
	e.traces++
	e.enter(id, spans, nodes)
	for i := range spans {
		if nodes[i].Duplicate {
			e.counts.Duplicates++
			continue
		}
		e.observe(id, spans, nodes, int32(i), at)
		e.times(spans, nodes, int32(i), at)
		e.structure(spans, nodes, int32(i), at)
	}
	e.walk = blame.Walk{Facts: e, Spans: spans, Nodes: nodes}
	orphans := false
	for i := range spans {
		n := &nodes[i]
		if n.Duplicate {
			continue
		}
		if n.Async || n.Parent < 0 && (!n.Partial || spans[i].Role() == call.RoleConsumer) {
			e.unit(&e.walk, int32(i), id, at)
			continue
		}
		if n.Partial {
			e.counts.Partial++
			orphans = true
		}
		e.contained(&e.walk, int32(i), at)
	}
	e.orphans.Observe(at, 0, orphans, e.tainted)
}

// observe feeds the statistics of one span.
func (e *Engine) observe(id trace.ID, spans []trace.Span, nodes []trace.Node, i int32, at int64) {
	s, n := &spans[i], &nodes[i]
	op := graph.OpID(s.Op)
	st := &e.ops[op]
	o := e.graph.OpAt(op)
	bad := s.Outcome().Bad() && !e.starved(spans, nodes, i)
	hurt := bad || s.Duration() > st.total.SlowThreshold()
	st.total.Observe(at, s.Duration(), bad, e.tainted)

	if s.Role().Outgoing() {
		e.observeOutgoing(spans, n, s, st, o, at, hurt)
		return
	}
	ownFailure := bad
	for c := n.FirstChild; c >= 0; c = nodes[c].NextSibling {
		if !nodes[c].Async && spans[c].Outcome().Bad() {
			ownFailure = false
		}
	}
	st.own.Observe(at, n.Own, ownFailure, e.tainted)
	e.observeNode(o.Node, s.End, hurt)
	e.called = e.callees(spans, nodes, i, e.called[:0])
	if s.Role().Incoming() {
		e.observeInstance(graph.InstanceID(s.Instance), at, bad)
		e.observeHabits(op, s, e.called)
		if s.Role() == call.RoleConsumer && o.Peer != 0 {
			e.graph.Connect(o.Peer, o.Node, at)
		}
		if s.Role() == call.RoleConsumer {
			e.observeReceipt(id, s, st, o, at)
		}
		if p := n.Parent; p >= 0 && !spans[p].Role().Outgoing() {
			e.graph.Connect(e.graph.OpAt(graph.OpID(spans[p].Op)).Node, o.Node, at)
		}
	}
	healthy := !e.tainted(baseline.CellOf(at)) && !st.habits.frozen
	if healthy {
		st.runs++
		if st.runs > awaitCap {
			st.halve()
		}
	}
	e.learnAwaits(st, e.called, at, healthy)
}

func (e *Engine) observeOutgoing(spans []trace.Span, n *trace.Node, s *trace.Span, st *opStats, o *graph.Op, at int64, hurt bool) {
	st.asked++
	e.observeTry(st, s, n.Parent, at)
	if s.Role() == call.RoleProducer && o.Peer != 0 && !s.Outcome().Bad() {
		e.observePublish(o.Peer, s.ID, at)
	}
	callee := o.Peer
	if n.Server >= 0 {
		st.answered++
		e.counts.Paired++
		answer := graph.OpID(spans[n.Server].Op)
		server := e.graph.OpAt(answer).Node
		if callee != server && s.Role() == call.RoleClient {
			e.graph.Answered(callee, server)
		}
		callee = server
		st.own.Observe(at, n.Own, s.Outcome().Bad() && !spans[n.Server].Outcome().Bad(), e.tainted)
	} else {
		e.counts.Unpaired++
		callee = e.graph.Resolve(callee)
		e.observeNode(callee, s.End, hurt)
		if callee != 0 && e.graph.NodeAt(callee).Kind == call.NodeService {
			e.counts.Unanswered++
			// No answer was seen from one who answers: all of it is gap.
			st.own.Observe(at, n.Own, s.Outcome().Bad(), e.tainted)
		}
	}
	if st.asked > awaitCap {
		st.asked, st.answered = st.asked/2, st.answered/2
	}
	e.graph.Connect(o.Node, callee, at)
}

func (e *Engine) observeInstance(i graph.InstanceID, at int64, bad bool) {
	if i == 0 {
		return
	}
	for int(i) >= len(e.instances) {
		e.instances = append(e.instances, instanceStats{})
	}
	e.instances[i].observe(at, bad)
}

// awaitCap: beyond it counts are halved, so that what an operation calls can change.
const awaitCap = 1 << 12

func (st *opStats) halve() {
	st.runs /= 2
	for i := range st.awaits {
		st.awaits[i].n /= 2
		st.awaits[i].calls /= 2
	}
}

// callees appends whom span i calls, directly or from internal spans below it.
func (e *Engine) callees(spans []trace.Span, nodes []trace.Node, i int32, to []graph.NodeID) []graph.NodeID {
	for c := nodes[i].FirstChild; c >= 0; c = nodes[c].NextSibling {
		switch {
		case spans[c].Role().Outgoing():
			if n := e.Callee(graph.OpID(spans[c].Op)); n != 0 {
				to = append(to, n)
			}
		case spans[c].Role() == call.RoleInternal:
			to = e.callees(spans, nodes, c, to)
		}
	}
	return to
}

// unit counts a unit of work, and looks for the origin of a hurt one.
func (e *Engine) unit(w *blame.Walk, i int32, id trace.ID, at int64) {
	s := &w.Spans[i]
	op := graph.OpID(s.Op)
	st := &e.ops[op]
	en := &st.entry
	if !en.listed {
		en.listed = true
		e.touched = append(e.touched, op)
	}
	e.units++
	en.units++
	e.study.store.Unit(at)
	bad, slow := s.Outcome().Bad(), s.Duration() > st.total.SlowThreshold()
	if bad {
		en.bad++
	}
	if slow {
		en.slow++
	}
	if !bad && !slow {
		return
	}
	o := w.Origin(i)
	if bad {
		e.study.store.Origin(at, e.beganAt(w, &o))
	}
	e.ledger.Record(at, blame.Row{
		Entry: op, Node: o.Node, Waits: o.Waits, Instance: o.Instance, Reason: o.Reason, Path: o.Path,
	}, blame.Count{Units: 1, Weight: int64(s.Weight()), Exemplar: id, Span: w.Spans[o.Span].ID, First: w.Spans[o.Span].Start()})
	if e.parts != nil {
		e.hurt.add(id)
	}
}

// Service, Callee, Excess, OwnExcess and Awaits make the engine blame.Facts.

// Service returns whose operation op is.
func (e *Engine) Service(op graph.OpID) graph.NodeID { return e.graph.OpAt(op).Node }

// Callee returns whom op calls, 0 for nobody.
func (e *Engine) Callee(op graph.OpID) graph.NodeID {
	if p := e.graph.OpAt(op).Peer; p != 0 {
		return e.graph.Resolve(p)
	}
	return 0
}

// Excess returns by how many nanoseconds a duration exceeds the operation's normal median.
func (e *Engine) Excess(op graph.OpID, total int64) int64 { return excess(&e.ops[op].total, total) }

// OwnExcess is Excess of own time or gap.
func (e *Engine) OwnExcess(op graph.OpID, own int64) int64 { return excess(&e.ops[op].own, own) }

// excess of less than a millisecond is noise.
func excess(s *baseline.Series, d int64) int64 {
	if x := d - s.Median(); s.Known() && x > 1e6 {
		return x
	}
	return 0
}

// Starved says that a call timed out in no more than its normal time, or without being slow while its parent lost
// more by itself.
func (e *Engine) Starved(s *trace.Span, lost int64) bool {
	if s.Reason() != call.ReasonTimeout || !s.Role().Outgoing() {
		return false
	}
	total := &e.ops[s.Op].total
	return total.Known() && (s.Duration() <= total.Median() || s.Duration() <= total.SlowThreshold() && lost > excess(total, s.Duration()))
}

func (e *Engine) starved(spans []trace.Span, nodes []trace.Node, i int32) bool {
	lost := int64(0)
	if p := nodes[i].Parent; p >= 0 {
		lost = e.OwnExcess(graph.OpID(spans[p].Op), nodes[p].Own)
	}
	return e.Starved(&spans[i], lost)
}

// Awaits returns the callee that op calls most nearly always, and of which called counts much fewer calls
// than usual; 0 for none.
func (e *Engine) Awaits(op graph.OpID, called func(graph.NodeID) int) graph.NodeID {
	st := &e.ops[op]
	var best await
	for _, a := range st.awaits {
		if a.n*2 < st.runs || a.n <= 2 || a.n < best.n {
			continue
		}
		if a.n == best.n && e.NodeName(a.node) > e.NodeName(best.node) {
			continue
		}
		if usual := float64(a.calls) / float64(a.n); float64(called(a.node)) < fewer*usual {
			best = a
		}
	}
	return best.node
}

// Multiplies returns the callee of which called counts most more calls than op usually makes; 0 for none.
func (e *Engine) Multiplies(op graph.OpID, called func(graph.NodeID) int) graph.NodeID {
	st := &e.ops[op]
	var best graph.NodeID
	most := float64(multiple)
	for _, a := range st.awaits {
		if a.n <= 2 {
			continue
		}
		n := called(a.node)
		times := float64(n) * float64(a.n) / float64(a.calls)
		if n < leastMultiple || times < most || times == most && e.NodeName(a.node) > e.NodeName(best) {
			continue
		}
		best, most = a.node, times
	}
	return best
}

// An operation multiplies its calls of a callee when it makes so many times the usual, and so many at the least.
// Design 2.13 has 20 times for many queries; three are no chance where the usual number is steady.
const multiple, leastMultiple = 3, 5

// fewer is the share of the usual calls below which an operation did not get to a callee.
const fewer = 0.7
