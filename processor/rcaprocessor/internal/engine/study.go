// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"unsafe"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/baseline"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/blame"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/contrast"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

// study is what an Engine keeps to tell a window of time from the time before it.
type study struct {
	store  *contrast.Store
	logs   logJoiner
	shapes []shape
	calls  []calls   // by operation
	lines  []logLine // of the trace at hand
}

// shape is what a span is in its trace, by services alone: span kinds may be wrong or missing.
type shape struct {
	node     graph.NodeID
	answer   int32 // the only child, of another service: the span is the caller's side of that call; -1
	children int32
	foreign  int32 // children of other services
	failed   int32 // children that did
}

// calls is what was seen of an operation as the caller's side of a call. Order does not matter.
type calls struct {
	answered bool
	busy     bool         // had more or other children at times: it is no mere call
	several  bool         // more than one answered
	callee   graph.NodeID // who answered
}

func (c *calls) answer(n graph.NodeID) {
	c.several = c.several || c.answered && c.callee != n
	if !c.answered || c.callee > n { // whoever came first
		c.callee = n
	}
	c.answered = true
}

// enter begins with a trace at rest.
func (e *Engine) enter(id trace.ID, spans []trace.Span, nodes []trace.Node) {
	st := &e.study
	st.lines = st.logs.take(id, st.lines[:0])
	for i := range st.lines {
		if l := &st.lines[i]; l.node != 0 {
			st.store.Joined(l.at, contrast.Node(l.node))
		}
	}
	for len(st.calls) < e.graph.NumOps() {
		st.calls = append(st.calls, calls{})
	}
	st.shapes = st.shapes[:0]
	for i := range spans {
		st.shapes = append(st.shapes, shape{node: e.graph.OpAt(graph.OpID(spans[i].Op)).Node, answer: -1})
	}
	for i := range spans {
		p := nodes[i].Parent
		if p < 0 || nodes[i].Duplicate || nodes[i].Async {
			continue
		}
		sh := &st.shapes[p]
		sh.children++
		if spans[i].Outcome().Bad() {
			sh.failed++
		}
		if sh.node != st.shapes[i].node {
			sh.foreign++
			sh.answer = int32(i)
		}
	}
	for i := range st.shapes {
		sh, c := &st.shapes[i], &st.calls[spans[i].Op]
		if sh.children != 1 || sh.foreign != 1 || spans[i].Role().Incoming() {
			sh.answer = -1
			c.busy = c.busy || sh.children > 0
			continue
		}
		c.answer(st.shapes[sh.answer].node)
	}
}

// times files the own time of span i, or the gap of a call.
func (e *Engine) times(spans []trace.Span, nodes []trace.Node, i int32, at int64) {
	sp, sh := &spans[i], &e.study.shapes[i]
	op := contrast.Op(sp.Op)
	if sh.answer >= 0 {
		gap := max(0, sp.Duration()-spans[sh.answer].Duration())
		edge := contrast.Edge{From: contrast.Node(sh.node), To: contrast.Node(e.study.shapes[sh.answer].node)}
		e.study.store.Gap(at, op, edge, gap)
		return
	}
	own := nodes[i].Own
	if sh.foreign > 0 || nodes[i].Server >= 0 {
		own = e.ownTime(spans, nodes, i)
	}
	e.study.store.Own(at, op, contrast.Instance(sp.Instance), own)
}

// ownTime is a span's duration less the union of its children. A child of another service ran by another clock:
// where it sticks out it is taken to lie in the middle.
func (e *Engine) ownTime(spans []trace.Span, nodes []trace.Node, i int32) int64 {
	sp, shapes := &spans[i], e.study.shapes
	covered, reach := int64(0), sp.Start()
	for c := nodes[i].FirstChild; c >= 0; c = nodes[c].NextSibling {
		if nodes[c].Async {
			continue
		}
		from, to := spans[c].Start(), spans[c].End
		if shapes[c].node != shapes[i].node && (from < sp.Start() || to > sp.End) {
			from = sp.Start() + max(0, sp.Duration()-spans[c].Duration())/2
			to = from + spans[c].Duration()
		}
		from, to = max(from, reach), min(to, sp.End)
		if to > from {
			covered += to - from
			reach = to
		}
	}
	return sp.Duration() - covered
}

// structure files which children and log lines span i has. What a span does after a call failed is another
// matter: its failure has an origin.
func (e *Engine) structure(spans []trace.Span, nodes []trace.Node, i int32, at int64) {
	st := &e.study
	for range st.shapes[i].failed {
		st.store.Felt(at, contrast.Node(st.shapes[i].node))
	}
	if nodes[i].Partial || st.shapes[i].failed > 0 || st.shapes[i].answer >= 0 {
		return
	}
	op := contrast.Op(spans[i].Op)
	st.store.Run(at, op)
	for c := nodes[i].FirstChild; c >= 0; c = nodes[c].NextSibling {
		child := c
		if a := st.shapes[c].answer; a >= 0 {
			child = a
		}
		st.store.Has(at, op, contrast.Feature{Kind: contrast.Child, Key: uint64(spans[child].Op)})
	}
	for _, l := range st.lines {
		if l.span == spans[i].ID {
			st.store.Has(at, op, contrast.Feature{Kind: contrast.Template, Key: l.template, Grave: l.grave})
		}
	}
}

// beganAt returns where the failure of a unit of work began that the walk followed to o. The walk goes by span kinds
// and by what a call says of its callee; where both are silent, whoever answers such calls is the callee.
func (e *Engine) beganAt(w *blame.Walk, o *blame.Origin) contrast.Node {
	op := contrast.Op(w.Spans[o.Span].Op)
	if f := (facts{e}); f.Calls(op) && o.Node == e.study.shapes[o.Span].node {
		if a := e.study.shapes[o.Span].answer; a >= 0 {
			return contrast.Node(e.study.shapes[a].node)
		}
		if n := f.Owner(op); n != 0 {
			return n
		}
	}
	return contrast.Node(o.Node)
}

// contained counts a failure of span i that its caller coped with.
func (e *Engine) contained(w *blame.Walk, i int32, at int64) {
	if p := w.Nodes[i].Parent; p < 0 || !w.Spans[i].Outcome().Bad() || w.Spans[p].Outcome().Bad() {
		return
	}
	o := w.Origin(i)
	e.study.store.Contained(at, e.beganAt(w, &o))
}

// suspect keeps cells under suspicion from counting as normal; it must be told before they are too old to be known.
func (e *Engine) suspect() {
	for _, cell := range e.taints {
		if cell != 0 {
			e.study.store.Suspect(cell * baseline.CellWidth)
		}
	}
}

// Suspects ranks who is to blame for what happened in [from, to), the likeliest first. Calls with the same from in
// one cell of time share most of the work.
func (e *Engine) Suspects(from, to int64) []contrast.Candidate {
	e.suspect()
	return e.study.store.Rank(from, to, facts{e}, contrast.Options{Reuse: true})
}

// Explain is Suspects by name, after the fact and of all that came: gate or no gate.
func (e *Engine) Explain(from, to int64, opt contrast.Options) []Suspect {
	e.Idle()
	e.suspect()
	var out []Suspect
	for _, c := range e.study.store.Rank(from, to, facts{e}, opt) {
		n := e.graph.NodeAt(graph.NodeID(c.Node))
		out = append(out, Suspect{Name: n.Name, Service: n.Kind == call.NodeService, Candidate: c})
	}
	return out
}

// Suspect is a node under suspicion, by name.
type Suspect struct {
	Name    string
	Service bool // it emits spans of its own; else a database, a topic, an external party
	contrast.Candidate
}

// forget drops what belongs to handles that became free.
func (st *study) forget(g *graph.Graph) {
	for i := range st.calls {
		if c := &st.calls[i]; !g.HasOp(graph.OpID(i)) || !g.HasNode(c.callee) {
			*c = calls{}
		}
	}
	st.store.Forget(func(n contrast.Node) bool { return g.HasNode(graph.NodeID(n)) },
		func(op contrast.Op) bool { return g.HasOp(graph.OpID(op)) },
		func(i contrast.Instance) bool { return g.HasInstance(graph.InstanceID(i)) })
}

func (st *study) bytes() int64 {
	return st.store.Bytes() + st.logs.bytes() + int64(cap(st.calls))*int64(unsafe.Sizeof(calls{})) +
		int64(cap(st.shapes))*int64(unsafe.Sizeof(shape{}))
}

// merge adds what another engine saw, given which handles here stand for its handles; 0 for none.
func (st *study) merge(other *study, node func(graph.NodeID) graph.NodeID, op func(graph.OpID) graph.OpID,
	instance func(graph.InstanceID) graph.InstanceID,
) {
	for i := range other.calls {
		c, to := other.calls[i], op(graph.OpID(i))
		if to == 0 {
			continue
		}
		for int(to) >= len(st.calls) {
			st.calls = append(st.calls, calls{})
		}
		into := &st.calls[to]
		into.busy, into.several = into.busy || c.busy, into.several || c.several
		if n := node(c.callee); c.answered && n != 0 {
			into.answer(n)
		}
	}
	st.store.Merge(other.store, func(n contrast.Node) contrast.Node { return contrast.Node(node(graph.NodeID(n))) },
		func(o contrast.Op) contrast.Op { return contrast.Op(op(graph.OpID(o))) },
		func(i contrast.Instance) contrast.Instance { return contrast.Instance(instance(graph.InstanceID(i))) })
}

// facts is what an engine knows of the handles that its store is filled with.
type facts struct{ e *Engine }

// Owner returns the service of an operation. Of a call that got no answer it is the one called: whom the
// span names, or who else answers such calls, or nobody when that may be one of several.
func (f facts) Owner(op contrast.Op) contrast.Node {
	o := f.e.graph.OpAt(graph.OpID(op))
	if o.Role.Outgoing() && o.Peer != 0 {
		return contrast.Node(f.e.graph.Resolve(o.Peer))
	}
	switch c := f.calls(op); {
	case !f.Calls(op):
		return contrast.Node(o.Node)
	case c.several:
		return 0
	default:
		return contrast.Node(c.callee)
	}
}

func (f facts) calls(op contrast.Op) (c calls) {
	if int(op) < len(f.e.study.calls) {
		c = f.e.study.calls[op]
	}
	return c
}

// Calls says that an operation is the caller's side of calls that others answer, as a rule.
func (f facts) Calls(op contrast.Op) bool {
	c := f.calls(op)
	return c.answered && !c.busy
}

// Service returns whose spans an operation's are.
func (f facts) Service(op contrast.Op) contrast.Node {
	return contrast.Node(f.e.graph.OpAt(graph.OpID(op)).Node)
}

func (f facts) NodeName(n contrast.Node) string { return f.e.NodeName(graph.NodeID(n)) }
func (f facts) OpName(op contrast.Op) string    { return f.e.OpName(graph.OpID(op)) }
