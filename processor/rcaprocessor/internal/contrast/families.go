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

// total is all exclusive time in the window, in milliseconds: what end-to-end time is made of.
func (r *ranking) total() float64 {
	sum := 0.0
	for i := range r.own {
		sum += r.own[i].now.total()
	}
	for i := range r.gaps {
		sum += r.gaps[i].now.total()
	}
	return max(sum, 1e-9)
}

// ownTime is F1: own time of an operation on a replica against its own history, a new replica's against that
// of all. Operations with too few calls to say anything alone speak together, per owner.
func (r *ranking) ownTime() {
	total := r.total()
	pools := map[Node]*pool{}
	for i := range r.own {
		k := &r.own[i]
		n := r.facts.Owner(k.op)
		d, ok := contrast(k.now, &k.normal, r.ownPeers)
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
	total := r.total()
	for i := range r.gaps {
		edge := r.gaps[i].Edge
		d, ok := contrast(r.gaps[i].now, &r.gaps[i].normal, r.gapPeers)
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
	logged, logs := r.logged()
	for i := range r.shapes {
		sh := &r.shapes[i]
		best := Evidence{}
		for j := range sh.has {
			k := &sh.has[j]
			if k.Kind == Template && (!logs || !logged[r.facts.Owner(sh.op)]) {
				continue
			}
			e, ok := r.feature(sh, k)
			switch {
			case !ok || e.Strength <= 0:
			case k.Kind == Child && e.Now > e.Normal && r.facts.Calls(Op(k.Key)): // a bare call: its answer is missing, see there
			case r.unanswered(sh, k, &e):
				n := r.facts.Service(Op(k.Key))
				r.add(n, Structure, e.Strength)
				r.note(n, e)
			case e.Strength > best.Strength:
				best = e
			}
		}
		if best.Strength > 0 {
			n := r.facts.Owner(sh.op)
			r.add(n, Structure, best.Strength)
			r.note(n, best)
		}
	}
}

// unanswered says that a child of another service vanished because calls to it went unanswered: the bare call
// has come in its place. That speaks against the callee.
func (r *ranking) unanswered(sh *shape, k *had, e *Evidence) bool {
	if k.Kind != Child || e.Now > e.Normal || r.facts.Service(Op(k.Key)) == r.facts.Service(sh.op) {
		return false
	}
	rise := 0.0
	for i := range sh.has {
		if g := &sh.has[i]; g.Kind == Child && r.facts.Calls(Op(g.Key)) && r.facts.Service(Op(g.Key)) == r.facts.Service(sh.op) {
			rise = max(rise, float64(g.now)/float64(sh.now)-float64(g.before)/float64(sh.before))
		}
	}
	return rise >= replaced*(e.Normal-e.Now)
}

// logged returns the nodes that log lines were seen of before the window, and whether any were seen in it: the
// first line of a node, and the last of all, say something about the way of the logs, not about the system.
func (r *ranking) logged() (before map[Node]bool, now bool) {
	before = map[Node]bool{}
	for i := range r.shapes {
		for j := range r.shapes[i].has {
			k := &r.shapes[i].has[j]
			if k.Kind != Template {
				continue
			}
			if k.before > 0 {
				before[r.facts.Owner(r.shapes[i].op)] = true
			}
			now = now || k.window(r.window).n > 0
		}
	}
	return before, now
}

func (r *ranking) feature(sh *shape, k *had) (e Evidence, ok bool) {
	n0, n1 := float64(sh.before), float64(sh.now)
	k0, k1 := float64(k.before), float64(k.now)
	if n0 < minCalls || n1 < leastCalls {
		return e, false
	}
	p0, p1 := k0/n0, k1/n1
	switch { // the tails take time: last
	case p0 >= usual && p1 < lapsed*p0:
		if low, _ := r.tails(sh.runs, k.tallies); p1 >= low {
			return e, false
		}
	case p1 > p0 && p0 < lapsed*p1 && (k.Grave || p1 >= usual):
		if _, high := r.tails(sh.runs, k.tallies); p1 <= high {
			return e, false
		}
	default:
		return e, false
	}
	z := math.Sqrt(gTest(k0, n0-k0, k1, n1-k1))
	share := math.Abs(p1-p0) * n1 / r.units
	return Evidence{Family: Structure, Op: sh.op, Feature: k.Feature, Normal: p0, Now: p1, Calls: int64(n1), Z: z,
		Share: share, Strength: few(n1) * strength(z, share)}, true
}

// shares returns the share of runs that had something, minute by minute before the window.
func (r *ranking) shares(runs, has *tallies) []weighted {
	of := has.minutes(r.before, r.not, nil)
	var v []weighted
	i := 0
	for _, m := range runs.minutes(r.before, r.not, nil) {
		for i < len(of) && of[i].t < m.t {
			i++
		}
		k := uint32(0)
		if i < len(of) && of[i].t == m.t {
			k = of[i].n
		}
		v = append(v, weighted{min(float64(k)/float64(m.n), 1), min(float64(m.n), fullWeight)})
	}
	return v
}

// tails returns the low and the high quantile of a feature's share in the minutes before.
func (r *ranking) tails(runs, has *tallies) (low, high float64) {
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
	r.failures(r.origins, 1)
	r.failures(r.contained, coped)
}

func (r *ranking) failures(of []failure, weight float64) {
	n0, n1 := float64(r.unitsBefore), float64(r.store.units.window(r.window).n)
	if n0 < minCalls || n1 < minCalls {
		return
	}
	for i := range of {
		n := of[i].node
		k0, k1 := float64(of[i].before), float64(of[i].window(r.window).n)
		p0, p1 := min(k0/n0, 1), min(k1/n1, 1)
		if p1 <= p0 {
			continue
		}
		e := Evidence{Family: Errors, Normal: p0, Now: p1, Calls: int64(n1), Share: weight * (p1 - p0)}
		e.Z = min(math.Sqrt(gTest(p0*n0, n0-p0*n0, p1*n1, n1-p1*n1)), r.bursts(of[i].tallies, p0, p1, n0, n1))
		if e.Strength = strength(e.Z, e.Share); e.Strength > 0 {
			r.add(n, Errors, e.Strength)
			r.note(n, e)
		}
	}
}

// bursts is the z of a share when failures come in bursts: their minutes differ more than single ones would.
func (r *ranking) bursts(has *tallies, p0, p1, n0, n1 float64) float64 {
	v := r.shares(&r.store.units, has)
	median := quantile(v, 0.5)
	for i := range v {
		v[i].x = math.Abs(v[i].x - median)
	}
	spread := madSigma * quantile(v, 0.5)
	p := (p0*n0 + p1*n1) / (n0 + n1)
	return (p1 - median) / math.Sqrt(spread*spread+p*(1-p)*(1/n0+1/n1)+1e-12)
}
