// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/blame"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/contrast"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

// Study is an Engine that also keeps what Explain needs. NewStudy makes one.
type Study struct {
	*Engine
	store  *contrast.Store
	walker trace.Walker
	logs   logJoiner
	shapes []shape
	calls  []calls // by operation
	seen   map[contrast.Feature]struct{}
}

// NewStudy makes a Study; it costs more a span than the Engine alone.
func NewStudy(set Settings, onChange func(incident.Incident)) *Study {
	s := &Study{Engine: New(set, onChange), store: contrast.New(), logs: newLogJoiner(joinLogs), seen: map[contrast.Feature]struct{}{}}
	s.visit = s.visitTrace
	return s
}

func (s *Study) visitTrace(id trace.ID, spans []trace.Span) {
	s.analyse(id, spans)
	s.study(id, spans)
}

// shape is what a span is in its trace, by services alone: span kinds may be wrong or missing.
type shape struct {
	node     graph.NodeID
	answer   int32 // the only child, of another service: the span is the caller's side of that call; -1
	children int32
	foreign  int32 // children of other services
	failed   bool  // one of the children did
}

// calls is what was seen of an operation as the caller's side of a call. Order does not matter.
type calls struct {
	answered bool
	busy     bool         // had more or other children at times: it is no mere call
	callee   graph.NodeID // who answered
	several  bool         // more than one did
}

func (c *calls) answer(n graph.NodeID) {
	c.several = c.several || c.answered && c.callee != n
	c.answered, c.callee = true, n
}

// study files what a trace at rest says.
func (s *Study) study(id trace.ID, spans []trace.Span) {
	at := spans[0].End
	for i := range spans {
		at = max(at, spans[i].End)
	}
	nodes := s.walker.Walk(spans)
	s.shape(spans, nodes)
	lines := s.logs.take(id)
	w := blame.Walk{Facts: s.Engine, Spans: spans, Nodes: nodes}
	for i := range spans {
		n := &nodes[i]
		if n.Duplicate {
			continue
		}
		s.times(spans, nodes, int32(i), at)
		s.structure(spans, nodes, int32(i), at, lines)
		bad := spans[i].Outcome().Bad()
		switch {
		case n.Async || n.Parent < 0 && !n.Partial:
			s.store.Unit(at)
			if bad {
				s.store.Origin(at, s.origin(&w, int32(i)))
			}
		case bad && n.Parent >= 0 && !spans[n.Parent].Outcome().Bad():
			s.store.Contained(at, s.origin(&w, int32(i)))
		}
	}
}

// origin returns where the failure of span i began. The walk goes by span kinds and by what a call says of its
// callee; where both are silent, whoever answers such calls is the callee.
func (s *Study) origin(w *blame.Walk, i int32) contrast.Node {
	o := w.Origin(i)
	op := contrast.Op(w.Spans[o.Span].Op)
	if f := (facts{s}); f.Calls(op) && o.Node == s.shapes[o.Span].node {
		if a := s.shapes[o.Span].answer; a >= 0 {
			return contrast.Node(s.shapes[a].node)
		}
		if n := f.Owner(op); n != 0 {
			return n
		}
	}
	return contrast.Node(o.Node)
}

func (s *Study) shape(spans []trace.Span, nodes []trace.Node) {
	s.shapes = s.shapes[:0]
	for i := range spans {
		s.shapes = append(s.shapes, shape{node: s.graph.OpAt(graph.OpID(spans[i].Op)).Node, answer: -1})
	}
	for i := range spans {
		p := nodes[i].Parent
		if p < 0 || nodes[i].Duplicate || nodes[i].Async {
			continue
		}
		sh := &s.shapes[p]
		sh.children++
		sh.failed = sh.failed || spans[i].Outcome().Bad()
		if sh.node != s.shapes[i].node {
			sh.foreign++
			sh.answer = int32(i)
		}
	}
	for len(s.calls) < s.graph.NumOps() {
		s.calls = append(s.calls, calls{})
	}
	for i := range s.shapes {
		sh, c := &s.shapes[i], &s.calls[spans[i].Op]
		if sh.children != 1 || sh.foreign != 1 || spans[i].Role().Incoming() {
			sh.answer = -1
			c.busy = c.busy || sh.children > 0
			continue
		}
		c.answer(s.shapes[sh.answer].node)
	}
}

// times files own time and gaps.
func (s *Study) times(spans []trace.Span, nodes []trace.Node, i int32, at int64) {
	sp, sh := &spans[i], &s.shapes[i]
	if sh.answer >= 0 {
		gap := max(0, sp.Duration()-spans[sh.answer].Duration())
		s.store.Gap(at, contrast.Edge{From: contrast.Node(sh.node), To: contrast.Node(s.shapes[sh.answer].node)}, gap)
		return
	}
	s.store.Own(at, contrast.Op(sp.Op), contrast.Instance(sp.Instance), s.own(spans, nodes, i))
}

// own is a span's duration less the union of its children. A child of another service ran by another clock:
// where it sticks out it is taken to lie in the middle.
func (s *Study) own(spans []trace.Span, nodes []trace.Node, i int32) int64 {
	sp := &spans[i]
	covered, reach := int64(0), sp.Start()
	for c := nodes[i].FirstChild; c >= 0; c = nodes[c].NextSibling {
		if nodes[c].Async {
			continue
		}
		from, to := spans[c].Start(), spans[c].End
		if s.shapes[c].node != s.shapes[i].node && (from < sp.Start() || to > sp.End) {
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
func (s *Study) structure(spans []trace.Span, nodes []trace.Node, i int32, at int64, lines []logLine) {
	if nodes[i].Partial || s.shapes[i].failed || s.shapes[i].answer >= 0 {
		return
	}
	op := contrast.Op(spans[i].Op)
	s.store.Run(at, op)
	clear(s.seen)
	has := func(f contrast.Feature) {
		if _, ok := s.seen[f]; !ok {
			s.seen[f] = struct{}{}
			s.store.Has(at, op, f)
		}
	}
	for c := nodes[i].FirstChild; c >= 0; c = nodes[c].NextSibling {
		child := c
		if a := s.shapes[c].answer; a >= 0 {
			child = a
		}
		has(contrast.Feature{Kind: contrast.Child, Key: uint64(spans[child].Op)})
	}
	for _, l := range lines {
		if l.span == spans[i].ID {
			has(contrast.Feature{Kind: contrast.Template, Key: l.template, Grave: l.grave})
		}
	}
}

// LearnLog files a log record that was written while a span ran: it counts when the span's trace is at rest.
func (s *Study) LearnLog(id trace.ID, span uint64, body string, grave bool) {
	s.logs.add(id, logLine{span: span, template: contrast.TemplateOf(body), grave: grave})
}

// Explain ranks who is to blame for what happened in [from, to), the likeliest first, gate or no gate.
func (s *Study) Explain(from, to int64, opt contrast.Options) []Suspect {
	s.Idle()
	var out []Suspect
	for _, c := range s.store.Rank(from, to, facts{s}, opt) {
		n := s.graph.NodeAt(graph.NodeID(c.Node))
		out = append(out, Suspect{Name: n.Name, Service: n.Kind == call.NodeService, Candidate: c})
	}
	return out
}

// Lost is what was seen and could not be used.
type Lost struct {
	Spans        int64 // late, of a time that was not believed, or beyond a limit
	Observations int64 // of series or features beyond a limit
	Logs         int64 // whose trace did not come
}

// Lost returns what could not be used so far.
func (s *Study) Lost() Lost {
	c := s.Counts()
	return Lost{Spans: c.Late + c.Future + c.TraceFull + c.Unplaced, Observations: s.store.Dropped(), Logs: s.logs.dropped}
}

// Suspect is a node under suspicion, by name.
type Suspect struct {
	Name    string
	Service bool // it emits spans of its own; else a database, a topic, an external party
	contrast.Candidate
}

// facts is what the study knows of the engine's handles.
type facts struct{ s *Study }

// Owner returns the service of an operation. Of a call that got no answer it is the one called: whom the
// span names, or who else answers such calls, or nobody when that may be one of several.
func (f facts) Owner(op contrast.Op) contrast.Node {
	o := f.s.graph.OpAt(graph.OpID(op))
	if o.Role.Outgoing() && o.Peer != 0 {
		return contrast.Node(f.s.graph.Resolve(o.Peer))
	}
	switch c := f.s.calls[op]; {
	case !f.Calls(op):
		return contrast.Node(o.Node)
	case c.several:
		return 0
	default:
		return contrast.Node(c.callee)
	}
}

// Calls says that an operation is the caller's side of calls that others answer, as a rule.
func (f facts) Calls(op contrast.Op) bool {
	c := f.s.calls[op]
	return c.answered && !c.busy
}

// Service returns whose spans an operation's are.
func (f facts) Service(op contrast.Op) contrast.Node {
	return contrast.Node(f.s.graph.OpAt(graph.OpID(op)).Node)
}

func (f facts) NodeName(n contrast.Node) string { return f.s.NodeName(graph.NodeID(n)) }
func (f facts) OpName(op contrast.Op) string    { return f.s.OpName(graph.OpID(op)) }
