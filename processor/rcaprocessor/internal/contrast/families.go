// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package contrast

import (
	"cmp"
	"math"
	"slices"
)

// sortedOps returns the operations of keys in order of their names.
func sorted[K comparable, V any](m map[K]V, compare func(a, b K) int) []K {
	out := make([]K, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.SortFunc(out, compare)
	return out
}

func (r *ranking) compareOps(a, b Op) int {
	return cmp.Or(cmp.Compare(r.facts.NodeName(r.facts.Owner(a)), r.facts.NodeName(r.facts.Owner(b))),
		cmp.Compare(r.facts.OpName(a), r.facts.OpName(b)), cmp.Compare(a, b))
}

func (r *ranking) compareEdges(a, b Edge) int {
	return cmp.Or(cmp.Compare(r.facts.NodeName(a.From), r.facts.NodeName(b.From)),
		cmp.Compare(r.facts.NodeName(a.To), r.facts.NodeName(b.To)), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
}

// total is all exclusive time in the window, in milliseconds: what end-to-end time is made of.
func (r *ranking) total() float64 {
	sum := 0.0
	add := func(s *series) {
		if c := s.window(r.window); c.n > 0 {
			sum += float64(c.n) * math.Expm1(c.mean())
		}
	}
	for _, k := range sorted(r.store.own, r.compareOwn) {
		add(r.store.own[k])
	}
	for _, k := range sorted(r.store.gaps, r.compareEdges) {
		add(r.store.gaps[k])
	}
	return max(sum, 1e-9)
}

func (r *ranking) compareOwn(a, b ownKey) int {
	return cmp.Or(r.compareOps(a.op, b.op), cmp.Compare(a.instance, b.instance))
}

// ownTime is F1: own time of an operation on a replica against its own history; a replica without one is
// compared with the operation's on all.
func (r *ranking) ownTime() {
	keys := sorted(r.store.own, r.compareOwn)
	total := r.total()
	for _, k := range keys {
		d, ok := r.store.own[k].contrast(r.before, r.window)
		if !ok {
			continue
		}
		share := d.excess / total
		if x := strength(d.z, share); x > 0 {
			n := r.facts.Owner(k.op)
			r.add(n, OwnTime, x)
			r.note(n, Evidence{Family: OwnTime, Op: k.op, Instance: k.instance, Normal: d.normal, Now: d.now,
				Calls: d.n, Z: d.z, Share: share, Strength: x})
		}
	}
}

// gap is F2: the gap of each edge. A node is suspect in so far as all that leads to it is slow, or all that
// leads away from it: its network or its queue shows on every one of its edges, a neighbour's on one.
func (r *ranking) gap() {
	type side struct {
		sum         float64
		slow, edges float64
	}
	var in, out = map[Node]*side{}, map[Node]*side{}
	at := func(m map[Node]*side, n Node) *side {
		if m[n] == nil {
			m[n] = new(side)
		}
		return m[n]
	}
	total := r.total()
	for _, e := range sorted(r.store.gaps, r.compareEdges) {
		d, ok := r.store.gaps[e].contrast(r.before, r.window)
		if !ok {
			continue
		}
		share := d.excess / total
		x := strength(d.z, share)
		for _, s := range []*side{at(in, e.To), at(out, e.From)} {
			s.edges++
			if x > 0 {
				s.slow++
				s.sum += x
			}
		}
		if x > 0 {
			ev := Evidence{Family: Gap, Edge: e, Normal: d.normal, Now: d.now, Calls: d.n, Z: d.z, Share: share, Strength: x}
			r.note(e.To, ev)
			r.note(e.From, ev)
		}
	}
	score := func(s *side) float64 { return s.sum * (s.slow / s.edges) * (s.slow / s.edges) }
	for n, s := range in {
		r.add(n, Gap, calleePrior*score(s))
	}
	for n, s := range out {
		r.add(n, Gap, score(s))
	}
}

// structure is F3: of the spans of an operation, the share that has a feature. It points at the owner of
// the operation whose conditional probability broke, not at whoever got more or fewer calls for it.
func (r *ranking) structure() {
	best := map[Op]Evidence{}
	keys := sorted(r.store.features, func(a, b featureKey) int {
		return cmp.Or(r.compareOps(a.op, b.op), cmp.Compare(a.f.Kind, b.f.Kind), cmp.Compare(a.f.Key, b.f.Key))
	})
	logged, logs := r.logged(keys)
	for _, k := range keys {
		if k.f.Kind == Template && (!logs || !logged[r.facts.Owner(k.op)]) {
			continue
		}
		e, ok := r.feature(k)
		if ok && e.Strength > best[k.op].Strength {
			best[k.op] = e
		}
	}
	for _, op := range sorted(best, r.compareOps) {
		n := r.facts.Owner(op)
		r.add(n, Structure, best[op].Strength)
		r.note(n, best[op])
	}
}

// logged returns the nodes that log lines were seen of before the window, and whether any were seen in it: the
// first line of a node, and the last of all, say something about the way of the logs, not about the system.
func (r *ranking) logged(keys []featureKey) (before map[Node]bool, now bool) {
	before = map[Node]bool{}
	for _, k := range keys {
		if k.f.Kind == Template {
			s := r.store.features[k]
			if s.window(r.before).n > 0 {
				before[r.facts.Owner(k.op)] = true
			}
			now = now || s.window(r.window).n > 0
		}
	}
	return before, now
}

func (r *ranking) feature(k featureKey) (e Evidence, ok bool) {
	runs, has := r.store.runs[k.op], r.store.features[k]
	n0, n1 := float64(runs.window(r.before).n), float64(runs.window(r.window).n)
	k0, k1 := float64(has.window(r.before).n), float64(has.window(r.window).n)
	if n0 < minCalls || n1 < minCalls {
		return e, false
	}
	p0, p1 := k0/n0, k1/n1
	low, high := r.tails(runs, has)
	switch {
	case p0 >= usual && p1 < lapsed*p0 && p1 <= low:
	case p1 > p0 && p0 < lapsed*p1 && p1 >= high && (k.f.Grave || p1 >= usual):
	default:
		return e, false
	}
	z := math.Sqrt(gTest(k0, n0-k0, k1, n1-k1))
	share := math.Abs(p1-p0) * n1 / r.units
	return Evidence{Family: Structure, Op: k.op, Feature: k.f, Normal: p0, Now: p1, Calls: int64(n1), Z: z,
		Share: share, Strength: strength(z, share)}, true
}

// tails returns the low and the high quantile of a feature's share in the minutes before.
func (r *ranking) tails(runs, has *series) (low, high float64) {
	of := has.minutes(r.before)
	var v []weighted
	for _, m := range runs.minutes(r.before) {
		k := int64(0)
		for i := range of {
			if of[i].t == m.t {
				k = of[i].n
			}
		}
		v = append(v, weighted{float64(k) / float64(m.n), min(float64(m.n), fullWeight)})
	}
	return quantile(v, lowTail), quantile(v, 1-lowTail)
}

// gTest is the G statistic of a 2x2 table: rows before and now, columns with and without.
func gTest(a, b, c, d float64) float64 {
	total := a + b + c + d
	g := 0.0
	for _, o := range [...]struct{ seen, row, col float64 }{
		{a, a + b, a + c}, {b, a + b, b + d}, {c, c + d, a + c}, {d, c + d, b + d},
	} {
		if o.seen > 0 {
			g += o.seen * math.Log(o.seen*total/(o.row*o.col))
		}
	}
	return max(0, 2*g)
}

// errors is F4: the share of units of work whose failure began at a node.
func (r *ranking) errors() {
	n0, n1 := float64(r.store.units.window(r.before).n), float64(r.store.units.window(r.window).n)
	if n0 < minCalls || n1 < minCalls {
		return
	}
	nodes := sorted(r.store.origins, func(a, b Node) int {
		return cmp.Or(cmp.Compare(r.facts.NodeName(a), r.facts.NodeName(b)), cmp.Compare(a, b))
	})
	for _, n := range nodes {
		s := r.store.origins[n]
		k0, k1 := float64(s.window(r.before).n), float64(s.window(r.window).n)
		p0, p1 := min(k0/n0, 1), min(k1/n1, 1)
		if p1 <= p0 {
			continue
		}
		z := math.Sqrt(gTest(k0, max(0, n0-k0), k1, max(0, n1-k1)))
		if x := strength(z, p1-p0); x > 0 {
			r.add(n, Errors, x)
			r.note(n, Evidence{Family: Errors, Normal: p0, Now: p1, Calls: int64(n1), Z: z, Share: p1 - p0, Strength: x})
		}
	}
}
