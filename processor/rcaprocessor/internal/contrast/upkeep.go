// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package contrast

import "slices"

// Forget drops what belongs to handles that stand for nothing any more, before they are used again.
func (s *Store) Forget(node func(Node) bool, op func(Op) bool, instance func(Instance) bool) {
	for i := range s.ops {
		row := &s.ops[i]
		if !op(Op(i)) {
			*row = opRow{}
			continue
		}
		row.own = slices.DeleteFunc(row.own, func(r replica) bool { return r.instance != 0 && !instance(r.instance) })
		row.features = slices.DeleteFunc(row.features, func(f feature) bool { return f.Kind == Child && !op(Op(f.Key)) })
	}
	for i := range s.nodes {
		if i > 0 && !node(Node(i)) {
			s.lines -= len(s.nodes[i].said.rows[0]) + len(s.nodes[i].said.rows[1])
			s.nodes[i] = nodeRow{}
		}
		s.nodes[i].out = s.nodes[i].out[:0]
		s.forgetLines(&s.nodes[i].said, instance)
	}
	s.edges = slices.DeleteFunc(s.edges, func(e edgeRow) bool { return !node(e.From) || !node(e.To) })
	clear(s.byEdge)
	for i := range s.edges {
		s.link(int32(i))
	}
	s.count()
}

// Rewind forgets what was seen after event time now: the clock was wrong.
func (s *Store) Rewind(now int64) {
	t := cellOf(now)
	s.eachDurations(func(d *durations) { d.rewind(t) })
	s.eachTallies(func(k *tallies) { k.rewind(t) })
	for i := range s.ops { // a feature without a cell would be there and not be counted
		row := &s.ops[i]
		row.features = slices.DeleteFunc(row.features, func(f feature) bool { return !f.held() })
	}
	for i := range s.nodes {
		for kind, rows := range s.nodes[i].said.rows {
			s.nodes[i].said.rows[kind] = slices.DeleteFunc(rows, func(r lineRow) bool { return !r.held() })
		}
	}
	for i := range s.suspects {
		if s.suspects[i] > t {
			s.suspects[i] = 0
		}
	}
	s.count()
}

func (s *Store) eachDurations(f func(*durations)) {
	for i := range s.ops {
		for k := range s.ops[i].own {
			f(&s.ops[i].own[k].durations)
		}
	}
	for i := range s.edges {
		f(&s.edges[i].durations)
	}
}

func (s *Store) eachTallies(f func(*tallies)) {
	for i := range s.ops {
		f(&s.ops[i].runs)
		for k := range s.ops[i].features {
			f(&s.ops[i].features[k].tallies)
		}
	}
	for i := range s.nodes {
		f(&s.nodes[i].origins)
		f(&s.nodes[i].contained)
		f(&s.nodes[i].felt)
		s.nodes[i].said.each(f)
	}
	f(&s.units)
}

// count takes stock anew of what is held.
func (s *Store) count() {
	s.series, s.cells = 0, 0
	s.eachDurations(func(d *durations) {
		s.series++
		s.cells += int64(d.cells()) * cellBytes
	})
	s.eachTallies(func(k *tallies) {
		if k != &s.units && k.held() {
			s.series++
		}
		s.cells += int64(k.cells()) * tallyBytes
	})
	s.lines = 0
	for i := range s.nodes {
		for _, rows := range s.nodes[i].said.rows {
			s.lines += len(rows)
		}
	}
	s.series -= s.lines
	s.layout++
}

// Merge adds other's sums. node, op and instance say which handle here stands for a handle there; 0 for none,
// whose sums are counted as dropped.
func (s *Store) Merge(other *Store, node func(Node) Node, op func(Op) Op, instance func(Instance) Instance) {
	for i := range other.ops {
		from := &other.ops[i]
		to := op(Op(i))
		if to == 0 {
			s.dropped += int64(len(from.own) + len(from.features))
			continue
		}
		s.mergeOp(to, from, op, instance)
	}
	for i := range other.nodes {
		from := &other.nodes[i]
		to := Node(0)
		if i > 0 {
			to = node(Node(i))
		}
		if to == 0 && i > 0 {
			if from.origins.held() || from.contained.held() {
				s.dropped++
			}
			s.speechless += int64(len(from.said.rows[0]) + len(from.said.rows[1]))
			continue
		}
		s.mergeTallies(&s.node(to).origins, &from.origins)
		s.mergeTallies(&s.node(to).contained, &from.contained)
		s.mergeTallies(&s.node(to).felt, &from.felt)
		s.mergeLines(&s.node(to).said, &from.said, instance)
	}
	for i := range other.edges {
		e := Edge{node(other.edges[i].From), node(other.edges[i].To)}
		if e.From == 0 || e.To == 0 {
			s.dropped++
		} else if k, ok := s.edge(e); ok {
			s.cells += int64(s.edges[k].merge(&other.edges[i].durations)) * cellBytes
		}
	}
	s.cells += int64(s.units.merge(&other.units)) * tallyBytes
	for _, t := range other.suspects {
		s.suspects.add(t)
	}
	s.dropped += other.dropped
	s.speechless += other.speechless
	s.layout++
}

func (s *Store) mergeOp(to Op, from *opRow, op func(Op) Op, instance func(Instance) Instance) {
	for i := range from.own {
		in := from.own[i].instance
		if in != 0 {
			in = instance(in)
		}
		if d := s.replica(to, in); d != nil {
			s.cells += int64(d.merge(&from.own[i].durations)) * cellBytes
		}
	}
	s.op(to)
	s.mergeTallies(&s.ops[to].runs, &from.runs)
	for i := range from.features {
		f := from.features[i].Feature
		if f.Kind == Child {
			if f.Key = uint64(op(Op(f.Key))); f.Key == 0 {
				s.dropped++
				continue
			}
		}
		if k := s.feature(to, f); k != nil {
			s.cells += int64(k.tallies.merge(&from.features[i].tallies)) * tallyBytes
		}
	}
}

func (s *Store) mergeTallies(into, from *tallies) {
	if from.held() && s.fresh(into) {
		s.cells += int64(into.merge(from)) * tallyBytes
	}
}
