// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package contrast

import (
	"cmp"
	"slices"
	"unsafe"
)

// plan is what a ranking finds out of the time before its window: most of its work. Everything is in order of
// names, so that sums of floats do not depend on the order in which handles were given.
type plan struct {
	store  *Store
	before span
	not    *suspicion // nil when all before counts
	layout int64

	own         []ownTime
	gaps        []gapTime
	shapes      []shape
	origins     []failure
	contained   []failure
	voices      []voice
	templates   int // of all voices
	unitsBefore int64
	features    int // of all shapes

	ownPeers, gapPeers peers

	minutes []cell // scratch memory
	tallied []tally
	values  []weighted
}

// bytes is about how much memory the plan holds.
func (p *plan) bytes() int64 {
	return int64(cap(p.own))*int64(unsafe.Sizeof(ownTime{})) + int64(cap(p.gaps))*int64(unsafe.Sizeof(gapTime{})) +
		int64(cap(p.shapes))*int64(unsafe.Sizeof(shape{})) + int64(p.features)*int64(unsafe.Sizeof(had{})) +
		int64(cap(p.origins)+cap(p.contained))*int64(unsafe.Sizeof(failure{})) + int64(cap(p.minutes))*cellBytes +
		int64(cap(p.tallied))*tallyBytes + int64(cap(p.values))*int64(unsafe.Sizeof(weighted{})) +
		int64(cap(p.voices))*int64(unsafe.Sizeof(voice{})) + int64(p.templates)*int64(unsafe.Sizeof(spoken{}))
}

// ownTime is a series of own time; a replica with too short a history has its operation's.
type ownTime struct {
	op       Op
	instance Instance
	*durations
	normal normal
	now    cell
}

type gapTime struct {
	Edge
	*durations
	normal normal
	now    cell
}

// shape is an operation and what its spans had.
type shape struct {
	op          Op
	runs        *tallies
	has         []had
	before, now int64
}

type had struct {
	Feature
	*tallies
	before, now int64
}

type failure struct {
	node Node
	*tallies
	before int64
}

// prepare returns the plan for windows that begin at time from, in cell first.
func (s *Store) prepare(from int64, first uint32, facts Facts, reuse bool) *plan {
	p := &s.plan
	before := span{first - min(first, ringCells), cellOf(from - quarantine)}
	not := &s.suspects
	if s.unitsIn(before, not) == 0 {
		not = nil
	}
	if s.unitsIn(before, not) == 0 {
		before.to = cellOf(from)
	}
	if reuse && p.store == s && p.before == before && p.not == not && p.layout == s.layout {
		return p
	}
	*p = plan{
		store: s, before: before, not: not, layout: s.layout, own: p.own[:0], gaps: p.gaps[:0], shapes: p.shapes[:0],
		origins: p.origins[:0], contained: p.contained[:0], voices: p.voices[:0], minutes: p.minutes, tallied: p.tallied, values: p.values,
	}
	p.unitsBefore = s.unitsIn(before, not)
	p.operations(facts)
	p.edges(facts)
	p.failures(facts)
	p.listen(facts)
	return p
}

// unitsIn counts the units of work in the whole of w.
func (s *Store) unitsIn(w span, not *suspicion) (n int64) {
	s.plan.tallied = s.units.minutes(w, not, s.plan.tallied[:0])
	for i := range s.plan.tallied {
		n += int64(s.plan.tallied[i].n)
	}
	return n
}

func (p *plan) count(t *tallies) (n int64) {
	p.tallied = t.minutes(p.before, p.not, p.tallied[:0])
	for i := range p.tallied {
		n += int64(p.tallied[i].n)
	}
	return n
}

func (p *plan) normalOf(d *durations) normal {
	p.minutes = d.minutes(p.before, p.not, p.minutes[:0])
	if cap(p.values) < len(p.minutes) {
		p.values = make([]weighted, 0, 2*len(p.minutes))
	}
	return normalOf(p.minutes, p.values)
}

// named is an operation by its names.
type named struct {
	service, name string
	op            Op
}

func (p *plan) operations(facts Facts) {
	var ops []named
	for i := range p.store.ops {
		if row := &p.store.ops[i]; len(row.own)+len(row.features) > 0 || row.runs.held() {
			op := Op(i)
			ops = append(ops, named{facts.NodeName(facts.Service(op)), facts.OpName(op), op})
		}
	}
	slices.SortFunc(ops, func(a, b named) int {
		return cmp.Or(cmp.Compare(a.service, b.service), cmp.Compare(a.name, b.name), cmp.Compare(a.op, b.op))
	})
	normals := make([]normal, 0, len(ops))
	for _, o := range ops {
		row := &p.store.ops[o.op]
		first := len(p.own)
		short := false
		for i := range row.own {
			b := p.normalOf(&row.own[i].durations)
			normals = append(normals, b)
			short = short || b.n < minCalls
			p.own = append(p.own, ownTime{op: o.op, instance: row.own[i].instance, durations: &row.own[i].durations, normal: b})
		}
		if short && len(row.own) > 1 {
			p.adopt(p.own[first:])
		}
		if row.runs.held() {
			p.shapes = append(p.shapes, p.shape(o.op, row))
		}
	}
	p.ownPeers = peersOf(normals)
}

// adopt gives replicas with too short a history that of all replicas together.
func (p *plan) adopt(replicas []ownTime) {
	var all durations
	for i := range replicas {
		all.merge(replicas[i].durations)
	}
	b := p.normalOf(&all)
	for i := range replicas {
		if replicas[i].normal.n < minCalls {
			replicas[i].normal = b
		}
	}
}

func (p *plan) shape(op Op, row *opRow) shape {
	sh := shape{op: op, runs: &row.runs, before: p.count(&row.runs), has: make([]had, 0, len(row.features))}
	p.features += len(row.features)
	for i := range row.features {
		f := &row.features[i]
		sh.has = append(sh.has, had{Feature: f.Feature, tallies: &f.tallies, before: p.count(&f.tallies)})
	}
	slices.SortFunc(sh.has, func(a, b had) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Key, b.Key)) })
	return sh
}

func (sh *shape) count(w span) {
	sh.now = int64(sh.runs.window(w).n)
	for i := range sh.has {
		sh.has[i].now = int64(sh.has[i].window(w).n)
	}
}

func (p *plan) edges(facts Facts) {
	var normals []normal
	names := nodeNames{facts: facts}
	for i := range p.store.edges {
		e := &p.store.edges[i]
		b := p.normalOf(&e.durations)
		normals = append(normals, b)
		p.gaps = append(p.gaps, gapTime{Edge: e.Edge, durations: &e.durations, normal: b})
	}
	slices.SortFunc(p.gaps, func(a, b gapTime) int {
		return cmp.Or(names.compare(a.From, b.From), names.compare(a.To, b.To))
	})
	p.gapPeers = peersOf(normals)
}

func (p *plan) failures(facts Facts) {
	of := func(list []failure, n Node, t *tallies) []failure {
		if !t.held() {
			return list
		}
		return append(list, failure{n, t, p.count(t)})
	}
	for i := range p.store.nodes {
		row := &p.store.nodes[i]
		p.origins, p.contained = of(p.origins, Node(i), &row.origins), of(p.contained, Node(i), &row.contained)
	}
	names := nodeNames{facts: facts}
	byName := func(a, b failure) int { return names.compare(a.node, b.node) }
	slices.SortFunc(p.origins, byName)
	slices.SortFunc(p.contained, byName)
}

// nodeNames asks for each name once: it may have to be made.
type nodeNames struct {
	facts Facts
	of    []string
}

func (n *nodeNames) name(k Node) string {
	n.of = reach(n.of, int(k))
	if n.of[k] == "" {
		n.of[k] = n.facts.NodeName(k)
	}
	return n.of[k]
}

func (n *nodeNames) compare(a, b Node) int {
	return cmp.Or(cmp.Compare(n.name(a), n.name(b)), cmp.Compare(a, b))
}
