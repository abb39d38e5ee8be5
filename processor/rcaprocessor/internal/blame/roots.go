// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package blame

import (
	"slices"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

const (
	// maxRoots is the most causes named at once.
	maxRoots = 4
	// A further root explains at least so much of the trouble, by so many units of work, and its own record strays
	// at least as far as RootStrength.
	rootShare, rootUnits = 0.15, 10
	RootStrength         = 0.5
	// passive: a candidate most of whose units only stood in line, or were shed, gives way to a component below it
	// that explains at least so much of what it does itself.
	passive, active = 0.6, 0.3
)

// Cause is what stands for a root: one node, or a place and the nodes that are hurt there.
type Cause struct {
	Nodes []graph.NodeID
	Place Place
}

// roots picks the causes that stand for themselves, greedily: the likeliest candidate, then each that explains
// enough of the rest and neither follows from one picked before nor is felt through it.
func (r *ranking) roots(known []Cause) []Candidate {
	if len(r.candidates) == 0 {
		return nil
	}
	r.giveWay()
	var roots []Candidate
	causes := slices.Clone(known)
	for i := range r.candidates {
		c := &r.candidates[i]
		if len(roots) == maxRoots {
			break
		}
		if c.among(known) || len(causes) == 0 || r.standsAlone(c, causes) {
			roots = append(roots, *c)
			causes = append(causes, c.cause())
		}
	}
	for i := range roots {
		rest := r.total
		for k := range roots {
			if k != i {
				rest -= roots[k].excess
			}
		}
		roots[i].Score = r.score(&roots[i], rest)
	}
	return roots
}

// among says that the candidate is one of causes.
func (c *Candidate) among(causes []Cause) bool {
	return slices.ContainsFunc(causes, func(k Cause) bool {
		return c.Place == k.Place && (c.Node == 0 || slices.Contains(k.Nodes, c.Node))
	})
}

// giveWay moves a component ahead of the first candidate when that only waits for it.
func (r *ranking) giveWay() {
	top := &r.candidates[0]
	if float64(top.Reasons[Saturation]+top.Reasons[Shed]) < passive*float64(top.Units) {
		return
	}
	for i := 1; i < len(r.candidates); i++ {
		c := r.candidates[i]
		if c.Node != 0 && r.Reaches(top.Node, c.Node) && c.Support.Strength() >= RootStrength && float64(c.excess) >= active*float64(top.excess) {
			r.candidates = slices.Insert(slices.Delete(r.candidates, i, i+1), 0, c)
			return
		}
	}
}

func (r *ranking) standsAlone(c *Candidate, causes []Cause) bool {
	if float64(c.excess) < rootShare*float64(r.total) || c.Units < rootUnits || c.Support.Strength() < RootStrength {
		return false
	}
	return !slices.ContainsFunc(causes, func(k Cause) bool { return r.follows(c, k) })
}

// follows says that the candidate is felt at a cause, or the other way round, or has its place in common with it. A
// component above another may fail by itself all the same, for reasons that no waiting explains.
func (r *ranking) follows(c *Candidate, k Cause) bool {
	if r.at(c, k.Place) {
		return true
	}
	for _, n := range c.cause().Nodes {
		for _, m := range k.Nodes {
			if n == m || r.Reaches(m, n) || r.Reaches(n, m) && !c.ByItself() {
				return true
			}
		}
	}
	return false
}

// at says that most of a candidate's trouble whose place is known began at place p.
func (r *ranking) at(c *Candidate, p Place) bool {
	here, located := int64(0), int64(0)
	for i, n := range c.Replicas {
		if _, where := r.Replica(i); where != (Place{}) {
			located += n
			if p.Host != "" && where.Host == p.Host || p.Zone != "" && where.Zone == p.Zone {
				here += n
			}
		}
	}
	return 2*here > located
}

// ByItself says that nearly all of the candidate's units failed in its own code.
func (c *Candidate) ByItself() bool { return float64(c.Reasons[Errors]) >= 0.9*float64(c.Units) }

// cause returns what a candidate stands for.
func (c *Candidate) cause() Cause {
	if c.Node != 0 {
		return Cause{Nodes: []graph.NodeID{c.Node}}
	}
	return Cause{c.Nodes, c.Place}
}
