// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package contrast

import (
	"cmp"
	"math"
	"slices"
)

// sorted returns the keys of m in order.
func sorted[K comparable, V any](m map[K]V, compare func(a, b K) int) []K {
	out := make([]K, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.SortFunc(out, compare)
	return out
}

func (r *ranking) compareNodes(a, b Node) int {
	return cmp.Or(cmp.Compare(r.facts.NodeName(a), r.facts.NodeName(b)), cmp.Compare(a, b))
}

func (r *ranking) compareOps(a, b Op) int {
	return cmp.Or(cmp.Compare(r.facts.NodeName(r.facts.Service(a)), r.facts.NodeName(r.facts.Service(b))),
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

// ownTime is F1: own time of an operation on a replica against its own history, a new replica's against that
// of all. Operations with too few calls to say anything alone speak together, per owner.
func (r *ranking) ownTime() {
	total, peers := r.total(), r.peers(r.store.ownSeries())
	pools, all := map[Node]*pool{}, r.replicas()
	for _, k := range sorted(r.store.own, r.compareOwn) {
		n, s := r.facts.Owner(k.op), r.store.own[k]
		b := s.normal(r.before)
		if b.n < minCalls {
			b = all[k.op].normal(r.before)
		}
		d, ok := s.contrast(b, r.window, peers)
		if !ok || n == 0 {
			continue
		}
		e := Evidence{Family: OwnTime, Op: k.op, Instance: k.instance}
		if d.n < minCalls {
			join(pools, n, d, e)
			continue
		}
		if e.measure(d, total); e.Strength > 0 {
			r.add(n, OwnTime, e.Strength)
			r.note(n, e)
		}
	}
	for _, n := range sorted(pools, r.compareNodes) {
		if e, ok := pools[n].evidence(total); ok {
			r.add(n, OwnTime, e.Strength)
			r.note(n, e)
		}
	}
}

// replicas returns own time by operation, all replicas together.
func (r *ranking) replicas() map[Op]*series {
	all := map[Op]*series{}
	for k, s := range r.store.own {
		if all[k.op] == nil {
			all[k.op] = &series{}
		}
		for _, c := range s.cells {
			all[k.op].observe(c)
		}
	}
	return all
}

// side is the edges into a node, or those out of it.
type side struct {
	sum         float64
	slow, edges float64
}

func (s *side) add(edges int, strength float64) {
	s.edges += float64(edges)
	if strength > 0 {
		s.slow += float64(edges)
		s.sum += strength
	}
}

// score: a node is suspect in so far as all that leads to it is slow.
func (s *side) score() float64 { return s.sum * (s.slow / s.edges) * (s.slow / s.edges) }

// gap is F2: the gap of each edge. A node is suspect in so far as all that leads to it is slow, or all that
// leads away from it: its network or its queue shows on every one of its edges, a neighbour's on one.
func (r *ranking) gap() {
	var sides, pools = [2]map[Node]*side{{}, {}}, [2]map[Node]*pool{{}, {}}
	at := func(k int, n Node) *side {
		if sides[k][n] == nil {
			sides[k][n] = new(side)
		}
		return sides[k][n]
	}
	total, peers := r.total(), r.peers(r.store.gapSeries())
	for _, edge := range sorted(r.store.gaps, r.compareEdges) {
		d, ok := r.store.gaps[edge].contrast(r.store.gaps[edge].normal(r.before), r.window, peers)
		if !ok {
			continue
		}
		e := Evidence{Family: Gap, Edge: edge}
		e.measure(d, total)
		for k, n := range [2]Node{edge.To, edge.From} {
			if d.n < minCalls {
				join(pools[k], n, d, e)
				continue
			}
			at(k, n).add(1, e.Strength)
			if e.Strength > 0 {
				r.note(n, e)
			}
		}
	}
	for k, prior := range [2]float64{calleePrior, 1} {
		for _, n := range sorted(pools[k], r.compareNodes) {
			p := pools[k][n]
			if e, ok := p.evidence(total); ok {
				at(k, n).add(p.series, e.Strength)
				if e.Strength > 0 {
					r.note(n, e)
				}
			}
		}
		for _, n := range sorted(sides[k], r.compareNodes) {
			r.add(n, Gap, prior*sides[k][n].score())
		}
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
		switch {
		case !ok || e.Strength <= 0:
		case k.f.Kind == Child && e.Now > e.Normal && r.facts.Calls(Op(k.f.Key)): // a bare call: its answer is missing, see there
		case r.unanswered(k, &e):
			n := r.facts.Service(Op(k.f.Key))
			r.add(n, Structure, e.Strength)
			r.note(n, e)
		case e.Strength > best[k.op].Strength:
			best[k.op] = e
		}
	}
	for _, op := range sorted(best, r.compareOps) {
		n := r.facts.Owner(op)
		r.add(n, Structure, best[op].Strength)
		r.note(n, best[op])
	}
}

// unanswered says that a child of another service vanished because calls to it went unanswered: the bare call
// has come in its place. That speaks against the callee.
func (r *ranking) unanswered(k featureKey, e *Evidence) bool {
	if k.f.Kind != Child || e.Now > e.Normal || r.facts.Service(Op(k.f.Key)) == r.facts.Service(k.op) {
		return false
	}
	runs := r.store.runs[k.op]
	n0, n1 := float64(runs.window(r.before).n), float64(runs.window(r.window).n)
	rise := 0.0
	for g, s := range r.store.features {
		if g.op == k.op && g.f.Kind == Child && r.facts.Calls(Op(g.f.Key)) && r.facts.Service(Op(g.f.Key)) == r.facts.Service(k.op) {
			rise = max(rise, float64(s.window(r.window).n)/n1-float64(s.window(r.before).n)/n0)
		}
	}
	return rise >= replaced*(e.Normal-e.Now)
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
	if n0 < minCalls || n1 < leastCalls {
		return e, false
	}
	p0, p1 := k0/n0, k1/n1
	low, high := r.tails(runs, has)
	switch {
	case p0 >= usual && p1 < lapsed*p0 && p1 < low:
	case p1 > p0 && p0 < lapsed*p1 && p1 > high && (k.f.Grave || p1 >= usual):
	default:
		return e, false
	}
	z := math.Sqrt(gTest(k0, n0-k0, k1, n1-k1))
	share := math.Abs(p1-p0) * n1 / r.units
	return Evidence{Family: Structure, Op: k.op, Feature: k.f, Normal: p0, Now: p1, Calls: int64(n1), Z: z,
		Share: share, Strength: few(n1) * strength(z, share)}, true
}

// shares returns the share of runs that had something, minute by minute before the window.
func (r *ranking) shares(runs, has *series) []weighted {
	of := has.minutes(r.before)
	var v []weighted
	for _, m := range runs.minutes(r.before) {
		k := int64(0)
		for i := range of {
			if of[i].t == m.t {
				k = of[i].n
			}
		}
		v = append(v, weighted{min(float64(k)/float64(m.n), 1), min(float64(m.n), fullWeight)})
	}
	return v
}

// tails returns the low and the high quantile of a feature's share in the minutes before.
func (r *ranking) tails(runs, has *series) (low, high float64) {
	v := r.shares(runs, has)
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

// errors is F4: the share of units of work whose failure began at a node; a failure that a caller coped with
// counts little.
func (r *ranking) errors() {
	r.failures(r.store.origins, 1)
	r.failures(r.store.contain, coped)
}

func (r *ranking) failures(of map[Node]*series, weight float64) {
	n0, n1 := float64(r.store.units.window(r.before).n), float64(r.store.units.window(r.window).n)
	if n0 < minCalls || n1 < minCalls {
		return
	}
	for _, n := range sorted(of, r.compareNodes) {
		k0, k1 := float64(of[n].window(r.before).n), float64(of[n].window(r.window).n)
		p0, p1 := min(k0/n0, 1), min(k1/n1, 1)
		if p1 <= p0 {
			continue
		}
		e := Evidence{Family: Errors, Normal: p0, Now: p1, Calls: int64(n1), Share: weight * (p1 - p0)}
		e.Z = min(math.Sqrt(gTest(p0*n0, n0-p0*n0, p1*n1, n1-p1*n1)), r.bursts(of[n], p0, p1, n0, n1))
		if e.Strength = strength(e.Z, e.Share); e.Strength > 0 {
			r.add(n, Errors, e.Strength)
			r.note(n, e)
		}
	}
}

// bursts is the z of a share when failures come in bursts: their minutes differ more than single ones would.
func (r *ranking) bursts(has *series, p0, p1, n0, n1 float64) float64 {
	v := r.shares(&r.store.units, has)
	median := quantile(v, 0.5)
	for i := range v {
		v[i].x = math.Abs(v[i].x - median)
	}
	spread := madSigma * quantile(v, 0.5)
	p := (p0*n0 + p1*n1) / (n0 + n1)
	return (p1 - median) / math.Sqrt(spread*spread+p*(1-p)*(1/n0+1/n1)+1e-12)
}
