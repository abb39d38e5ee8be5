// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package contrast tells a window of time from the time before it, series by series, and ranks who is to
// blame. It sees exclusive features only: own time per operation and replica, the gap of each edge, what an
// operation's spans have below and beside them (children, log templates), and where failures began. A
// caller's own time does not grow because its callee is slow, so each deviation points at its owner.
//
// All statistics are integer sums in cells of event time: they merge by addition and do not depend on the
// order of arrival. Nodes, operations and replicas are handles of whoever fills the store.
package contrast

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

type ownKey struct {
	op       Op
	instance Instance
}

// Edge is a call relation between services.
type Edge struct{ From, To Node }

type featureKey struct {
	op Op
	f  Feature
}

// Store is the statistics. New makes one. It is not safe for concurrent use.
type Store struct {
	own      map[ownKey]*series     // own time of spans
	gaps     map[Edge]*series       // what calls took beyond their answers
	runs     map[Op]*series         // spans that features were counted of
	features map[featureKey]*series // spans that had the feature
	held     map[Op]int             // features kept of an operation
	origins  map[Node]*series       // units of work whose failure began there
	contain  map[Node]*series       // failures that began there and went no further than a caller
	units    series                 // units of work
	dropped  int64
}

// New makes an empty store.
func New() *Store {
	return &Store{
		own: map[ownKey]*series{}, gaps: map[Edge]*series{}, runs: map[Op]*series{},
		features: map[featureKey]*series{}, held: map[Op]int{}, origins: map[Node]*series{}, contain: map[Node]*series{},
	}
}

// Dropped returns how many observations found no room.
func (s *Store) Dropped() int64 { return s.dropped }

// Series returns how many series are held.
func (s *Store) Series() int {
	return len(s.own) + len(s.gaps) + len(s.runs) + len(s.features) + len(s.origins) + len(s.contain)
}

func put[K comparable](s *Store, m map[K]*series, k K, c cell) bool {
	p := m[k]
	if p == nil {
		if s.Series() >= maxSeries {
			s.dropped++
			return false
		}
		p = &series{}
		m[k] = p
	}
	p.observe(c)
	return true
}

// Own counts the own time of a span, in nanoseconds, at event time at.
func (s *Store) Own(at int64, op Op, in Instance, ns int64) {
	put(s, s.own, ownKey{op, in}, duration(at, ns))
}

// Gap counts how much longer a call took its caller than its callee.
func (s *Store) Gap(at int64, e Edge, ns int64) { put(s, s.gaps, e, duration(at, ns)) }

// Run counts a span whose features are told; Has one that had the feature, once a span.
func (s *Store) Run(at int64, op Op) { put(s, s.runs, op, event(at)) }

// Has counts a span of op that had feature f.
func (s *Store) Has(at int64, op Op, f Feature) {
	k := featureKey{op, f}
	if s.features[k] == nil {
		if s.held[op] >= maxFeatures {
			s.dropped++
			return
		}
		s.held[op]++
	}
	put(s, s.features, k, event(at))
}

// Unit counts a unit of work.
func (s *Store) Unit(at int64) { s.units.observe(event(at)) }

// Origin counts a unit of work whose failure began at node n.
func (s *Store) Origin(at int64, n Node) { put(s, s.origins, n, event(at)) }

// Contained counts a failure that began at node n and that a caller coped with.
func (s *Store) Contained(at int64, n Node) { put(s, s.contain, n, event(at)) }

// Merge adds other's sums. Handles must mean the same in both.
func (s *Store) Merge(other *Store) {
	merge(s, s.own, other.own)
	merge(s, s.gaps, other.gaps)
	merge(s, s.runs, other.runs)
	for k, p := range other.features {
		if s.features[k] == nil {
			s.held[k.op]++
		}
		for _, c := range p.cells {
			put(s, s.features, k, c)
		}
	}
	merge(s, s.origins, other.origins)
	merge(s, s.contain, other.contain)
	for _, c := range other.units.cells {
		s.units.observe(c)
	}
	s.dropped += other.dropped
}

func merge[K comparable](s *Store, into, from map[K]*series) {
	for k, p := range from {
		for _, c := range p.cells {
			put(s, into, k, c)
		}
	}
}

func (s *Store) ownSeries() []*series { return values(s.own) }
func (s *Store) gapSeries() []*series { return values(s.gaps) }

// values in no order: what is made of them must not depend on it.
func values[K comparable](m map[K]*series) []*series {
	out := make([]*series, 0, len(m))
	for _, p := range m {
		out = append(out, p)
	}
	return out
}
