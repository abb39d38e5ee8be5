// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package trace

import "github.com/firebreak-otel/firebreak/internal/call"

// Node is what a span means in its trace.
type Node struct {
	// Parent, FirstChild and NextSibling are indexes into the spans; -1 for none. Siblings are in order of start.
	Parent, FirstChild, NextSibling int32
	// Server is the incoming child that answered this outgoing span; -1 when none was seen.
	Server int32
	// Own is the span's duration less the union of its synchronous children, in nanoseconds. Of an
	// outgoing span that was answered it is the gap: its duration less the answering span's. Neither
	// compares clocks of two hosts.
	Own int64
	// Async: the parent did not wait for this span. It starts a unit of work of its own.
	Async bool
	// Partial: the span names a parent that is not there.
	Partial bool
	// Duplicate: the same span came twice; this copy counts nothing and has no place in the tree.
	Duplicate bool
}

// Walker finds the Nodes of one trace after another, reusing its memory.
type Walker struct {
	nodes  []Node
	table  []int32
	state  []uint8
	stack  []int32
	cycles int64
}

// Cycles returns how many parent cycles were cut so far.
func (w *Walker) Cycles() int64 { return w.cycles }

// Walk returns one Node a span. spans must be in (Start, ID) order; the result is valid until the next Walk.
func (w *Walker) Walk(spans []Span) []Node {
	w.build(spans)
	w.cutCycles(spans)
	for i := len(spans) - 1; i >= 0; i-- { // backwards, so that siblings end up in order of start
		if p := w.nodes[i].Parent; p >= 0 {
			w.nodes[i].NextSibling = w.nodes[p].FirstChild
			w.nodes[p].FirstChild = int32(i)
		}
	}
	for i := range spans {
		w.relate(spans, int32(i))
	}
	for i := range spans {
		w.measure(spans, int32(i))
	}
	return w.nodes
}

// build resolves parents by span id in a scratch hash table.
func (w *Walker) build(spans []Span) {
	size := 16
	for size < 2*len(spans) {
		size *= 2
	}
	if cap(w.table) < size {
		w.table = make([]int32, size)
	}
	w.table = w.table[:size]
	for i := range w.table {
		w.table[i] = none
	}
	w.nodes = w.nodes[:0]
	for i := range spans {
		n := Node{Parent: none, FirstChild: none, NextSibling: none, Server: none}
		h := w.slot(spans, spans[i].ID)
		if w.table[h] == none {
			w.table[h] = int32(i)
		} else {
			n.Duplicate = true
		}
		w.nodes = append(w.nodes, n)
	}
	for i := range spans {
		n := &w.nodes[i]
		if n.Duplicate || spans[i].parent == 0 {
			continue
		}
		n.Parent = w.parentOf(spans, int32(i))
		n.Partial = n.Parent == none
	}
}

// slot returns the place of a span's id in the table, empty or held by a span with that id.
func (w *Walker) slot(spans []Span, id uint64) uint32 {
	mask := uint32(len(w.table) - 1)
	h := fold(id) & mask
	for w.table[h] != none && spans[w.table[h]].ID != id {
		h = (h + 1) & mask
	}
	return h
}

// parentOf returns the span that the fold of i's parent stands for. Of two spans with one fold it is the earlier, which
// in a trace of a thousand spans is the wrong one once in ten thousand traces. A span is not its own parent.
func (w *Walker) parentOf(spans []Span, i int32) int32 {
	mask := uint32(len(w.table) - 1)
	for h := spans[i].parent & mask; ; h = (h + 1) & mask {
		if p := w.table[h]; p == none || p != i && fold(spans[p].ID) == spans[i].parent {
			return p
		}
	}
}

// cutCycles makes the earliest span of each parent cycle a root.
func (w *Walker) cutCycles(spans []Span) {
	const unseen, onPath, done = 0, 1, 2
	w.state = append(w.state[:0], make([]uint8, len(spans))...)
	for i := range spans {
		w.stack = w.stack[:0]
		j := int32(i)
		for j != none && w.state[j] == unseen {
			w.state[j] = onPath
			w.stack = append(w.stack, j)
			j = w.nodes[j].Parent
		}
		if j != none && w.state[j] == onPath {
			first := j
			for k := w.nodes[j].Parent; k != j; k = w.nodes[k].Parent {
				first = min(first, k)
			}
			w.nodes[first].Parent, w.nodes[first].Partial = none, true
			w.cycles++
		}
		for _, k := range w.stack {
			w.state[k] = done
		}
	}
}

// relate finds the span that answered an outgoing span, and whether the span's parent waited for it.
func (w *Walker) relate(spans []Span, i int32) {
	s, n := &spans[i], &w.nodes[i]
	if n.Parent == none {
		return
	}
	p := &spans[n.Parent]
	switch {
	case s.Role() == call.RoleConsumer, p.Role() == call.RoleProducer:
		n.Async = true
	case p.Role() == call.RoleClient && s.Role().Incoming():
		// Another host's clock: times do not compare. The first to answer is the answer.
		if w.nodes[n.Parent].Server == none {
			w.nodes[n.Parent].Server = i
		}
	default:
		n.Async = s.Start() >= p.End && s.End > p.End
	}
}

// measure computes the own time of a span, or the gap of a call that was answered.
func (w *Walker) measure(spans []Span, i int32) {
	s, n := &spans[i], &w.nodes[i]
	if n.Server != none {
		n.Own = max(0, s.Duration()-spans[n.Server].Duration())
		return
	}
	covered, reach := int64(0), s.Start()
	for c := n.FirstChild; c != none; c = w.nodes[c].NextSibling {
		if w.nodes[c].Async {
			continue
		}
		from, to := max(spans[c].Start(), reach), min(spans[c].End, s.End)
		if to > from {
			covered += to - from
			reach = to
		}
	}
	n.Own = s.Duration() - covered
}
