// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"slices"
	"unsafe"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/baseline"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/blame"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

// Watch follows the traces that look bad while an incident is suspected or open: what was hurt in them, and where it
// began. With it items that were held back get the verdict that is known when they go on. It changes nothing of what
// the engine finds.
type Watch struct {
	engine     *Engine
	young, old map[trace.ID]*watched // two generations, so that the older half is forgotten at once
	limit      int                   // traces of a generation
	dropped    int64
	walker     trace.Walker
	spans      []trace.Span
}

// More operations, and more units of work, of one trace say nothing new.
const watchedOps, watchedOrigins = 4, 4

// watched is what is known of a trace.
type watched struct {
	ops     [watchedOps]graph.OpID        // hurt ones; 0 where there are fewer
	origins [watchedOrigins]watchedOrigin // of its units of work that came to rest; span 0 where there are fewer
}

// watchedOrigin is where a hurt unit of work began.
type watchedOrigin struct {
	span        uint64
	node, waits graph.NodeID
}

// NewWatch makes the one Watch of an engine, of at most limit traces.
func NewWatch(e *Engine, limit int) *Watch {
	w := &Watch{engine: e, young: map[trace.ID]*watched{}, old: map[trace.ID]*watched{}, limit: (limit + 1) / 2}
	e.visit = func(id trace.ID, spans []trace.Span) {
		e.analyse(id, spans)
		if t := w.find(id); t != nil {
			t.follow(&e.walk)
		}
	}
	return w
}

// Of says whether it is the Watch of e.
func (w *Watch) Of(e *Engine) bool { return w != nil && w.engine == e }

// Bytes is about how much memory it takes.
func (w *Watch) Bytes() int64 {
	if w == nil {
		return 0
	}
	const one, span = int64(unsafe.Sizeof(watched{})) + 48, int64(unsafe.Sizeof(trace.Span{})) // with their places in a map
	return one*int64(len(w.young)+len(w.old)) + span*int64(cap(w.spans))
}

// Dropped is how many traces were forgotten for want of room.
func (w *Watch) Dropped() int64 {
	if w == nil {
		return 0
	}
	return w.dropped
}

// Suspecting says that an incident is suspected or open.
func (w *Watch) Suspecting() bool {
	e := w.engine
	cell := baseline.CellOf(e.now - 1)
	return len(e.keeper.Open()) > 0 || e.now != 0 && e.taints[cell%taintCells] == cell
}

// Note adds the traces of hurt calls of a batch that was just learned.
func (w *Watch) Note(b *call.Batch) {
	for i := range b.Calls {
		c := &b.Calls[i]
		op := w.op(b, c)
		if op == 0 || !w.hurt(c, op) {
			continue
		}
		t := w.add(trace.ID(c.TraceID))
		if k := slices.Index(t.ops[:], 0); k >= 0 && !slices.Contains(t.ops[:k], op) {
			t.ops[k] = op
		}
	}
}

// Has says that a trace looked bad.
func (w *Watch) Has(id trace.ID) bool { return w.find(id) != nil }

// Mark appends what Learn would for the calls of a batch that was learned before, as of now. In a trace whose
// trouble is known to have begun at an open incident's root, the span at which it did has the role RootCause,
// and the others are part of that incident.
func (w *Watch) Mark(b *call.Batch, marks []Mark) []Mark {
	e := w.engine
	if e.parts == nil {
		return marks
	}
	var last trace.ID
	var known blamed
	for i := range b.Calls {
		c := &b.Calls[i]
		op := w.op(b, c)
		if op == 0 {
			continue
		}
		if id := trace.ID(c.TraceID); i == 0 || id != last {
			last, known = id, w.verdict(id)
		}
		n := len(marks)
		marks = e.mark(c, op, int32(i), marks)
		switch {
		case known.began(c.SpanID):
			marks = append(marks[:n], Mark{int32(i), RootCause, known.incident})
		case len(marks) > n && known.incident != nil && marks[n].Incident != known.incident:
			marks[n].Role, marks[n].Incident = Symptom, known.incident
		}
	}
	return marks
}

// MarkLog is Engine.MarkLog for a record that was held back; span is 0 for a record that names none.
func (w *Watch) MarkLog(r *call.Resource, id trace.ID, span uint64, grave bool) (Role, *incident.Incident) {
	if w.engine.parts == nil {
		return 0, nil
	}
	known := w.verdict(id)
	if known.began(span) {
		return RootCause, known.incident
	}
	role, in := w.engine.MarkLog(r, id, grave)
	if role != 0 && known.incident != nil && in != known.incident {
		return Symptom, known.incident
	}
	return role, in
}

// blamed is what is known of one trace: the incident whose root its trouble began at, nil when that is not known,
// and the spans at which it did.
type blamed struct {
	incident *incident.Incident
	spans    [watchedOrigins]uint64
}

func (v *blamed) began(span uint64) bool {
	return v.incident != nil && span != 0 && slices.Contains(v.spans[:], span)
}

// verdict returns what is known of a trace, and takes it for hurt when something of an open incident is hurt in it.
func (w *Watch) verdict(id trace.ID) (v blamed) {
	t := w.find(id)
	if t == nil {
		return v
	}
	e := w.engine
	if slices.ContainsFunc(t.ops[:], func(op graph.OpID) bool { return op != 0 && e.part(op).role != 0 }) {
		e.hurt.add(id)
	}
	origins := t.origins
	if origins[0].span == 0 {
		origins = w.peek(id)
	}
	for i, o := range origins {
		for _, n := range [...]graph.NodeID{o.node, o.waits} {
			if p := e.parts[n]; p.role == RootCause && (v.incident == nil || v.incident == p.incident) {
				v.incident = p.incident
				if n == o.node {
					v.spans[i] = o.span
				}
			}
		}
	}
	return v
}

// peek follows what has come so far of a trace that is not at rest.
func (w *Watch) peek(id trace.ID) [watchedOrigins]watchedOrigin {
	var t watched
	if w.spans = w.engine.table.Peek(id, w.spans[:0]); len(w.spans) > 0 {
		t.follow(&blame.Walk{Facts: w.engine, Spans: w.spans, Nodes: w.walker.Walk(w.spans)})
	}
	return t.origins
}

// follow notes where the hurt units of work of a trace began.
func (t *watched) follow(walk *blame.Walk) {
	e := walk.Facts.(*Engine)
	for i := range walk.Spans {
		s, n := &walk.Spans[i], &walk.Nodes[i]
		if n.Duplicate || !n.Async && n.Parent >= 0 || !s.Outcome().Bad() && s.Duration() <= e.ops[s.Op].total.SlowThreshold() {
			continue
		}
		k := slices.IndexFunc(t.origins[:], func(o watchedOrigin) bool { return o.span == 0 })
		if k < 0 {
			return
		}
		o := walk.Origin(int32(i))
		t.origins[k] = watchedOrigin{walk.Spans[o.Span].ID, o.Node, o.Waits}
	}
}

// op returns the operation of a call that was learned, 0 when it is not known any more.
func (w *Watch) op(b *call.Batch, c *call.Call) graph.OpID {
	g := w.engine.graph
	node := g.Lookup(b.Resources[c.Resource].Key())
	if node == 0 {
		return 0
	}
	var peer graph.NodeID
	if c.Peer.Kind != call.NodeUnknown {
		peer = g.Lookup(c.Peer.Key())
	}
	return g.LookupOp(node, c.Role, peer, c.Operation.Key())
}

func (w *Watch) hurt(c *call.Call, op graph.OpID) bool {
	return c.Outcome.Bad() || c.Duration() > w.engine.ops[op].total.SlowThreshold()
}

func (w *Watch) find(id trace.ID) *watched {
	if t := w.young[id]; t != nil {
		return t
	}
	return w.old[id]
}

func (w *Watch) add(id trace.ID) *watched {
	t := w.find(id)
	if t == nil {
		if len(w.young) >= w.limit {
			w.dropped += int64(len(w.old))
			w.old, w.young = w.young, w.old
			clear(w.young)
		}
		t = new(watched)
		w.young[id] = t
	}
	return t
}
