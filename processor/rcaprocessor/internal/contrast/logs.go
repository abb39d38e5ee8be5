// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package contrast

import (
	"cmp"
	"math"
	"slices"
)

// voice is the log lines of a node, and how many there were before the window.
type voice struct {
	node Node
	*nodeRow
	before, joined, felt int64
	templates            []spoken
}

// spoken is the lines of a template; several rows are its replicas.
type spoken struct {
	Feature
	rows   []lineRow
	before int64
}

// listen plans for the nodes whose log lines do not find their spans, as a rule.
func (p *plan) listen(facts Facts) {
	for i := range p.store.nodes {
		row := &p.store.nodes[i]
		v := voice{node: Node(i), nodeRow: row, before: p.count(&row.said.all), joined: p.count(&row.said.joined)}
		if v.before < minCalls || 2*v.joined >= v.before {
			continue
		}
		v.felt = p.count(&row.felt)
		for kind, rows := range row.said.rows {
			for len(rows) > 0 {
				n := 1
				for n < len(rows) && rows[n].template == rows[0].template {
					n++
				}
				s := spoken{Feature: Feature{Kind: Template, Key: rows[0].template, Grave: kind == 1}, rows: rows[:n]}
				for k := range s.rows {
					s.before += p.count(&s.rows[k].tallies)
				}
				v.templates = append(v.templates, s)
				rows = rows[n:]
			}
		}
		p.templates += cap(v.templates)
		p.voices = append(p.voices, v)
	}
	names := nodeNames{facts: facts}
	slices.SortFunc(p.voices, func(a, b voice) int { return names.compare(a.node, b.node) })
}

// work is by how much the operations of a node changed that lost most and that grew most: the window against the time
// before. Lines come with some operation; with which is not known.
type work struct{ least, most float64 }

func (r *ranking) works() map[Node]*work {
	units := r.units / max(float64(r.unitsBefore), 1)
	of := map[Node]*work{}
	for i := range r.shapes {
		sh := &r.shapes[i]
		if float64(sh.before)*units < minCalls {
			continue
		}
		n := r.facts.Service(sh.op)
		w := of[n]
		if w == nil {
			w = &work{least: math.Inf(1), most: units}
			of[n] = w
		}
		change := float64(sh.now) / float64(sh.before)
		w.least, w.most = min(w.least, change), max(w.most, change)
	}
	return of
}

// logs is F5: what a node's log lines say that name no span, or whose traces do not come. A grave line that is new or
// comes far more often, beyond one for each of the node's calls that failed; a line that was always there and is missing,
// though the node still works. Others may be hurt and say so, too: it supports what other families say.
func (r *ranking) logs() {
	if r.unitsBefore < minCalls {
		return
	}
	works := r.works()
	for i := range r.voices {
		v := &r.voices[i]
		w := works[v.node]
		if w == nil || v.said.all.window(r.window).n == 0 { // it does not work, or the way of the logs is cut
			continue
		}
		felt := int64(v.nodeRow.felt.window(r.window).n)
		best := Evidence{}
		for k := range v.templates {
			s := &v.templates[k]
			var e Evidence
			if s.Grave {
				e = r.surge(s, w.most, max(0, s.before-v.felt), felt)
			} else {
				e = r.lapse(s, w.least)
			}
			if e.Strength > best.Strength {
				best = e
			}
		}
		if best.Strength > 0 {
			r.add(v.node, Logs, best.Strength)
			r.note(v.node, best)
		}
	}
}

// surge compares the grave lines of a template in the window, less explained ones, with before of them.
func (r *ranking) surge(s *spoken, change float64, before, explained int64) Evidence {
	now, most := int64(0), 0
	in := Instance(0)
	for i := range s.rows {
		n := int(s.rows[i].window(r.window).n)
		now += int64(n)
		if n > most {
			most, in = n, s.rows[i].instance
		}
	}
	if float64(most) < oneReplica*float64(now) {
		in = 0
	}
	k0, k1 := float64(before), float64(max(0, now-explained))
	if k1 < leastCalls || lapsed*k1 <= change*k0 {
		return Evidence{}
	}
	rates := r.rates(s)
	if k1/r.units <= quantile(rates, 1) {
		return Evidence{}
	}
	e := r.lines(s, k0, k1, change, rates)
	e.Instance = in
	e.Strength *= few(k1)
	return e
}

// lapse compares the lines of a template in the window with before, when it was hardly ever missing.
func (r *ranking) lapse(s *spoken, change float64) Evidence {
	k0, k1 := float64(s.before), 0.0
	if change*k0 < minCalls {
		return Evidence{}
	}
	for i := range s.rows {
		k1 += float64(s.rows[i].window(r.window).n)
	}
	if k1 >= lapsed*change*k0 {
		return Evidence{}
	}
	rates := r.rates(s)
	if k1/r.units >= quantile(rates, lowTail) { // it came at times only
		return Evidence{}
	}
	return r.lines(s, k0, k1, change, rates)
}

// lines is the evidence of k1 lines where change times k0 were to be expected.
func (r *ranking) lines(s *spoken, k0, k1, change float64, rates []weighted) Evidence {
	off := k1 - change*k0
	median := quantile(rates, 0.5)
	for i := range rates {
		rates[i].x = math.Abs(rates[i].x - median)
	}
	spread := madSigma * quantile(rates, 0.5) * r.units
	bursts := math.Abs(off) / math.Sqrt(spread*spread+(k0+k1)*change)
	e := Evidence{Family: Logs, Feature: s.Feature, Normal: change * k0 / r.units, Now: k1 / r.units, Calls: int64(r.units),
		Z: min(math.Sqrt(poissonG(k0, k1, change)), bursts), Share: min(math.Abs(off)/r.units, 1)}
	e.Strength = strength(e.Z, e.Share)
	return e
}

// poissonG is the G statistic of two counts, the second of which had times the exposure of the first.
func poissonG(a, b, times float64) float64 {
	g := 0.0
	for _, o := range [...]struct{ seen, share float64 }{{a, 1 / (1 + times)}, {b, times / (1 + times)}} {
		if o.seen > 0 {
			g += o.seen * math.Log(o.seen/((a+b)*o.share))
		}
	}
	return max(0, 2*g)
}

// rates returns how many lines of a template came with a unit of work, minute by minute before the window.
func (r *ranking) rates(s *spoken) []weighted {
	minutes := map[uint32]uint32{}
	for i := range s.rows {
		for _, m := range s.rows[i].minutes(r.before, r.not, nil) {
			minutes[m.t] += m.n
		}
	}
	var v []weighted
	for _, m := range r.store.units.minutes(r.before, r.not, nil) {
		v = append(v, weighted{float64(minutes[m.t]) / float64(m.n), min(float64(m.n), fullWeight)})
	}
	slices.SortFunc(v, func(a, b weighted) int { return cmp.Compare(a.x, b.x) })
	return v
}
