// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package contrast tells a window of time from the time before it, series by series, and ranks who is to
// blame. It sees exclusive features only: own time per operation and replica, the gap of each edge, what an
// operation's spans have below and beside them (children, log templates), and where failures began. A
// caller's own time does not grow because its callee is slow, so each deviation points at its owner.
//
// All statistics are integer sums in cells of event time: they merge by addition and do not depend on the
// order of arrival. Nodes, operations and replicas are handles of whoever fills the store, dense from 1.
package contrast

import (
	"slices"
	"unsafe"
)

// Node, Op and Instance are handles; 0 is none.
type (
	Node     uint32
	Op       uint32
	Instance uint32
)

// Feature is something that spans of an operation have: a child of an operation, or a log line of a template.
type Feature struct {
	Key   uint64 // of the template, or the child's operation
	Kind  FeatureKind
	Grave bool // a log line of severity error or worse
}

// FeatureKind says what a feature is.
type FeatureKind uint8

const (
	Child FeatureKind = iota
	Template
)

// Edge is a call relation between services.
type Edge struct{ From, To Node }

// Store is the statistics. New makes one. It is not safe for concurrent use.
type Store struct {
	ops      []opRow
	nodes    []nodeRow
	edges    []edgeRow
	byEdge   map[Edge]int32
	units    tallies // units of work
	suspects suspicion

	series  int
	serial  uint32 // of the span whose features are told
	dropped int64
	cells   int64 // bytes of cells
	layout  int64 // goes up when a plan made before is none any more
	plan    plan

	lines      int // rows of log lines
	speechless int64
}

// opRow is what is kept of an operation.
type opRow struct {
	own      []replica // in order of replicas
	features []feature
	runs     tallies // spans that features were counted of
	edge     int32   // row of the last gap
}

// replica is own time of spans of an operation on one.
type replica struct {
	instance Instance
	durations
}

// feature is spans that had it; the last one that did is serial mark.
type feature struct {
	Feature
	mark uint32
	tallies
}

// nodeRow is what began at a node: units of work whose failure did, and failures that went no further than a caller;
// and what came to it: spans one of whose calls failed.
type nodeRow struct {
	origins, contained, felt tallies
	said                     said
	out                      []int32 // edges that lead from it
}

// edgeRow is what calls took beyond their answers.
type edgeRow struct {
	Edge
	durations
}

// New makes an empty store.
func New() *Store { return &Store{byEdge: map[Edge]int32{}} }

// Dropped returns how many observations found no room.
func (s *Store) Dropped() int64 { return s.dropped }

// Series returns how many series are held.
func (s *Store) Series() int { return s.series }

const (
	cellBytes   = int64(unsafe.Sizeof(cell{}))
	tallyBytes  = int64(unsafe.Sizeof(tally{}))
	opBytes     = int64(unsafe.Sizeof(opRow{}))
	seriesBytes = int64(unsafe.Sizeof(feature{})) // the largest of those that have a series
	nodeBytes   = int64(unsafe.Sizeof(nodeRow{}))
	lineBytes   = int64(unsafe.Sizeof(lineRow{})) * 4 / 3                      // with the room that append leaves
	edgeBytes   = int64(unsafe.Sizeof(Edge{})+unsafe.Sizeof(int32(0))) * 3 / 2 // of byEdge, with the room that a map leaves
)

// Bytes returns about how much memory the store holds.
func (s *Store) Bytes() int64 {
	return int64(unsafe.Sizeof(*s)) + s.cells + int64(cap(s.ops))*opBytes + int64(cap(s.nodes))*nodeBytes + int64(s.series)*seriesBytes + int64(s.lines)*lineBytes +
		int64(len(s.byEdge))*edgeBytes + s.plan.bytes()
}

// tally and time add to a series: nearly always to its newest cell, without allocation.
func (s *Store) tally(of *tallies, t uint32) {
	if k := len(of.fine); k > 0 && of.fine[k-1].t == t {
		of.fine[k-1].n++
		return
	}
	s.cells += int64(of.observe(&tally{t, 1})) * tallyBytes
}

func (s *Store) time(of *durations, c cell) {
	if k := len(of.fine); k > 0 && of.fine[k-1].t == c.t {
		of.fine[k-1].add(&c)
		return
	}
	o := c
	s.cells += int64(of.observe(&o)) * cellBytes
}

// room makes place for one more series.
func (s *Store) room() bool {
	if s.series >= maxSeries {
		s.dropped++
		return false
	}
	s.series++
	s.layout++
	return true
}

func (s *Store) op(op Op) *opRow {
	s.ops = reach(s.ops, int(op))
	return &s.ops[op]
}

// reach makes a slice long enough for an index.
func reach[T any](s []T, i int) []T {
	if i < len(s) {
		return s
	}
	return append(s, make([]T, i+1-len(s))...)
}

// Own counts the own time of a span, in nanoseconds, at event time at.
func (s *Store) Own(at int64, op Op, in Instance, ns int64) {
	if r := s.replica(op, in); r != nil {
		s.time(r, duration(at, ns))
	}
}

func (s *Store) replica(op Op, in Instance) *durations {
	row := s.op(op)
	lo, hi := 0, len(row.own)
	for lo < hi {
		if mid := (lo + hi) / 2; row.own[mid].instance < in {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == len(row.own) || row.own[lo].instance != in {
		if !s.room() {
			return nil
		}
		row.own = slices.Insert(row.own, lo, replica{instance: in})
	}
	return &row.own[lo].durations
}

// Gap counts how much longer a call, an operation of its caller, took the caller than the callee.
func (s *Store) Gap(at int64, op Op, e Edge, ns int64) {
	row := s.op(op)
	if int(row.edge) >= len(s.edges) || s.edges[row.edge].Edge != e {
		i, ok := s.edge(e)
		if !ok {
			return
		}
		row.edge = i
	}
	s.time(&s.edges[row.edge].durations, duration(at, ns))
}

func (s *Store) edge(e Edge) (int32, bool) {
	i, ok := s.byEdge[e]
	if !ok {
		if !s.room() {
			return 0, false
		}
		i = int32(len(s.edges))
		s.edges = append(s.edges, edgeRow{Edge: e})
		s.link(i)
	}
	return i, true
}

func (s *Store) link(i int32) {
	e := s.edges[i].Edge
	s.byEdge[e] = i
	row := s.node(e.From)
	row.out = append(row.out, i)
}

// Run counts a span whose features are told by Has.
func (s *Store) Run(at int64, op Op) {
	s.serial++
	if r := s.runs(op); r != nil {
		s.tally(r, cellOf(at))
	}
}

func (s *Store) runs(op Op) *tallies {
	if r := &s.op(op).runs; s.fresh(r) {
		return r
	}
	return nil
}

// Has counts that the span told of by Run, of operation op, had feature f; once, however often it is said.
func (s *Store) Has(at int64, op Op, f Feature) {
	k := s.feature(op, f)
	if k == nil || k.mark == s.serial {
		return
	}
	k.mark = s.serial
	s.tally(&k.tallies, cellOf(at))
}

func (s *Store) feature(op Op, f Feature) *feature {
	row := s.op(op)
	for i := range row.features {
		if row.features[i].Feature == f {
			return &row.features[i]
		}
	}
	if k := len(row.features); k >= maxFeatures || k >= plainFeatures && f.Kind == Template && !f.Grave {
		s.dropped++
		return nil
	}
	if !s.room() {
		return nil
	}
	row.features = append(row.features, feature{Feature: f})
	return &row.features[len(row.features)-1]
}

// Unit counts a unit of work.
func (s *Store) Unit(at int64) { s.tally(&s.units, cellOf(at)) }

// Origin counts a unit of work whose failure began at node n.
func (s *Store) Origin(at int64, n Node) { s.failure(at, &s.node(n).origins) }

// Contained counts a failure that began at node n and that a caller coped with.
func (s *Store) Contained(at int64, n Node) { s.failure(at, &s.node(n).contained) }

func (s *Store) node(n Node) *nodeRow {
	s.nodes = reach(s.nodes, int(n))
	return &s.nodes[n]
}

func (s *Store) failure(at int64, of *tallies) {
	if s.fresh(of) {
		s.tally(of, cellOf(at))
	}
}

// fresh makes room for a series unless it is held already.
func (s *Store) fresh(of *tallies) bool { return of.held() || s.room() }

// Suspect keeps the cell of event time at from counting as normal.
func (s *Store) Suspect(at int64) {
	t := cellOf(at)
	if t < s.plan.before.to && !s.suspects.cell(t) {
		s.layout++
	}
	s.suspects.add(t)
}
