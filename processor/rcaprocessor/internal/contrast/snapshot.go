// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package contrast

import (
	"math"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/snapshot"
)

// Shape is what the cells of a Store mean: state of another shape is of no use.
func Shape() []int64 { return []int64{cellWidth, minuteCells, fineMinutes, ringMinutes, logUnit} }

// latest is the number of the last cell of time that can be.
const latest = uint32(snapshot.MaxTime / cellWidth)

// Handles says which handles stand for something.
type Handles struct {
	Node     func(Node) bool
	Op       func(Op) bool
	Instance func(Instance) bool
}

// SnapshotCore writes to c, or reads from it into a new store, what is no row: units of work and suspicion.
func (s *Store) SnapshotCore(c *snapshot.Codec) {
	s.units.snapshot(c)
	n := 0
	for _, t := range s.suspects {
		if t != 0 {
			n++
		}
	}
	n = c.Count(n, len(s.suspects), "cells under suspicion")
	for i := 0; n > 0 && c.Err() == nil; n-- {
		t := uint32(0)
		if !c.Reading() {
			for s.suspects[i] == 0 {
				i++
			}
			t = s.suspects[i]
			i++
		}
		snapshot.Uint(c, &t, latest)
		s.suspects.add(t)
	}
}

// SnapshotOp passes what is kept of an operation.
func (s *Store) SnapshotOp(c *snapshot.Codec, op Op, h *Handles) {
	row := s.op(op)
	n := c.Count(len(row.own), maxSeries, "replicas of an operation")
	for i := 0; i < n && c.Err() == nil; i++ {
		if c.Reading() {
			row.own = append(row.own, replica{})
		}
		r := &row.own[i]
		snapshot.Uint(c, &r.instance, math.MaxUint32)
		if c.Reading() && (i > 0 && r.instance <= row.own[i-1].instance || r.instance != 0 && !h.Instance(r.instance)) {
			c.Fail("a replica is not there")
		}
		r.durations.snapshot(c)
	}
	row.runs.snapshot(c)
	n = c.Count(len(row.features), maxFeatures, "features of an operation")
	for i := 0; i < n && c.Err() == nil; i++ {
		if c.Reading() {
			row.features = append(row.features, feature{})
		}
		f := &row.features[i]
		snapshot.Uint(c, &f.Kind, Template)
		c.Bool(&f.Grave)
		c.Key(&f.Key)
		if c.Reading() && f.Kind == Child && (f.Key > math.MaxUint32 || !h.Op(Op(f.Key))) {
			c.Fail("a child is no operation")
		}
		f.tallies.snapshot(c)
	}
}

// SnapshotNode passes what is kept of a node, and of the edges that lead from it.
func (s *Store) SnapshotNode(c *snapshot.Codec, n Node, h *Handles) {
	s.node(n).origins.snapshot(c)
	s.node(n).contained.snapshot(c)
	s.node(n).felt.snapshot(c)
	s.node(n).said.snapshot(c, h)
	row := s.nodes[n]
	k := c.Count(len(row.out), maxSeries, "edges of a node")
	for i := 0; i < k && c.Err() == nil; i++ {
		e := Edge{From: n}
		if !c.Reading() {
			e = s.edges[row.out[i]].Edge
		}
		snapshot.Uint(c, &e.To, math.MaxUint32)
		at, ok := int32(0), true
		if !c.Reading() {
			at = row.out[i]
		} else if _, twice := s.byEdge[e]; twice || !h.Node(e.To) {
			c.Fail("an edge leads nowhere")
			return
		} else if at, ok = s.edge(e); !ok {
			return
		}
		s.edges[at].durations.snapshot(c)
	}
}

func (sd *said) snapshot(c *snapshot.Codec, h *Handles) {
	sd.all.snapshot(c)
	sd.joined.snapshot(c)
	for kind := range sd.rows {
		rows := &sd.rows[kind]
		n := c.Count(len(*rows), maxLines+1, "templates of a node")
		for i := 0; i < n && c.Err() == nil; i++ {
			if c.Reading() {
				*rows = append(*rows, lineRow{})
			}
			r := &(*rows)[i]
			c.Key(&r.template)
			snapshot.Uint(c, &r.instance, math.MaxUint32)
			if c.Reading() && (i > 0 && (*rows)[i-1].compare(r.lineKey) >= 0 || r.instance != 0 && (kind == 0 || !h.Instance(r.instance))) {
				c.Fail("a row of lines is not there")
			}
			r.tallies.snapshot(c)
		}
	}
}

func (s *series[C, P]) snapshot(c *snapshot.Codec) {
	tier[C, P](c, &s.coarse, ringMinutes, latest/minuteCells)
	tier[C, P](c, &s.fine, fineMinutes*minuteCells, latest)
	if !c.Reading() || c.Err() != nil {
		return
	}
	// The tiers are what observing would have made of them.
	if k := len(s.coarse); k > 0 && len(s.fine) > 0 && P(&s.coarse[k-1]).head().t > P(&s.fine[0]).head().t/minuteCells {
		c.Fail("a minute lies after its cells")
	}
	s.fold()
}

// tier passes cells in order of time, each time as the difference from the one before.
func tier[C any, P summed[C]](c *snapshot.Codec, cells *[]C, limit int, latest uint32) {
	n := c.Count(len(*cells), limit, "cells of a series")
	if c.Reading() && n > 0 {
		*cells = make([]C, 0, n)
	}
	last := uint32(0)
	for i := 0; i < n && c.Err() == nil; i++ {
		if c.Reading() {
			*cells = append(*cells, *new(C))
		}
		p := P(&(*cells)[i])
		d := p.head().t - last
		snapshot.Uint(c, &d, latest-last)
		if c.Reading() {
			p.head().t = last + d
		}
		last += d
		snapshot.Uint(c, &p.head().n, math.MaxUint32)
		p.snapshot(c)
		if c.Reading() && (i > 0 && d == 0 || !p.plausible()) {
			c.Fail("a cell is impossible")
		}
	}
}

func (c *tally) snapshot(*snapshot.Codec) {}

func (c *cell) snapshot(k *snapshot.Codec) {
	k.Time(&c.sum)
	k.Time(&c.sq)
}

// Restored takes stock of what was read.
func (s *Store) Restored() { s.count() }
