// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package contrast

import (
	"cmp"
	"math"
	"slices"
)

// Family is a kind of evidence.
type Family uint8

const (
	OwnTime   Family = iota // F1: own time of an operation grew
	Gap                     // F2: calls took longer than their answers
	Structure               // F3: what spans of an operation have vanished, or is new
	Errors                  // F4: failures began there
	Logs                    // F5: its log lines are others, where they do not name spans
	Families  = 5
)

func (f Family) String() string {
	return [...]string{"own_time", "gap", "structure", "errors", "logs"}[f]
}

// Facts is what the ranking must know of handles.
type Facts interface {
	// Owner returns the node that an operation's own time and structure speak of, 0 when that is not known.
	Owner(Op) Node
	// Service returns whose spans an operation's are.
	Service(Op) Node
	// Calls says that an operation is the caller's side of calls that others answer, as a rule.
	Calls(Op) bool
	// NodeName and OpName are names, by which ties are broken.
	NodeName(Node) string
	OpName(Op) string
}

// Options of a ranking. The zero value is the way to rank.
type Options struct {
	// Without leaves families out, to measure what each is worth.
	Without [Families]bool
	// Reuse what the last ranking of a window with the same beginning found out of the time before it.
	Reuse bool
}

// Evidence is one deviation.
type Evidence struct {
	Family      Family
	Op          Op       // OwnTime, Structure
	Instance    Instance // OwnTime, Logs
	Edge        Edge     // Gap
	Feature     Feature  // Structure, Logs
	Normal, Now float64  // milliseconds, or shares of spans, or lines per unit of work
	Calls       int64    // in the window
	Z           float64
	Share       float64 // of end-to-end time, or of units of work
	Strength    float64 // (Z - significant) * sqrt(Share)
}

// Candidate is a node under suspicion.
type Candidate struct {
	Node     Node
	Score    float64           // 0..1
	Family   [Families]float64 // what each family says, 0..1
	Evidence []Evidence        // strongest first
}

// Rank compares [from, to) with the time before and returns the nodes that anything speaks against, the
// likeliest first. The cells that begin in the window count, and while these are few the one that it begins in. Normal is what ended a quarantine before it and was not
// under suspicion; where there is no such time, what was; where there is nothing so old, all before the window.
func (s *Store) Rank(from, to int64, facts Facts, opt Options) []Candidate {
	r := ranking{store: s, facts: facts, scores: map[Node]*[Families]float64{}, evidence: map[Node][]Evidence{}}
	r.window = span{cellOf(from + cellWidth - 1), cellOf(to + cellWidth - 1)}
	if r.window.from+wholeCells > r.window.to {
		r.window = span{cellOf(from), cellOf(to + cellWidth - 1)}
	}
	r.plan = s.prepare(from, r.window.from, facts, opt.Reuse)
	r.units = float64(max(s.units.window(r.window).n, 1))
	for i := range r.own {
		r.own[i].now = r.own[i].window(r.window)
	}
	for i := range r.gaps {
		r.gaps[i].now = r.gaps[i].window(r.window)
	}
	for i := range r.shapes {
		r.shapes[i].count(r.window)
	}
	run := [Families]func(){r.ownTime, r.gap, r.structure, r.errors, r.logs}
	for f, rank := range run {
		if !opt.Without[f] {
			rank()
		}
	}
	return r.result()
}

type ranking struct {
	store *Store
	facts Facts
	*plan
	window   span
	units    float64
	scores   map[Node]*[Families]float64
	evidence map[Node][]Evidence
}

func (r *ranking) add(n Node, f Family, score float64) {
	if n == 0 || score <= 0 {
		return
	}
	p := r.scores[n]
	if p == nil {
		p = new([Families]float64)
		r.scores[n] = p
	}
	p[f] += score
}

func (r *ranking) note(n Node, e Evidence) { r.evidence[n] = append(r.evidence[n], e) }

// strength: a deviation must be significant, and it must matter to those who wait.
func strength(z, share float64) float64 {
	return max(0, z-significant) * math.Sqrt(min(max(share, 0), 1))
}

// ceiling is the most that a family can say of one node.
func ceiling(f Family) float64 {
	if f == Logs {
		return corroborating
	}
	return top
}

// result joins the families: how strong a family's evidence is at all, shared among those it speaks against.
func (r *ranking) result() []Candidate {
	nodes := sorted(r.scores, r.compareNodes)
	var sum, most [Families]float64
	for _, n := range nodes {
		for f, x := range r.scores[n] {
			sum[f] += x
			most[f] = max(most[f], x)
		}
	}
	var out []Candidate
	for _, n := range nodes {
		c := Candidate{Node: n, Evidence: r.evidence[n]}
		rest := 1.0
		for f, x := range r.scores[n] {
			if x > 0 {
				c.Family[f] = ceiling(Family(f)) * (1 - math.Exp(-most[f]/scale)) * x / sum[f]
				rest *= 1 - c.Family[f]
			}
		}
		c.Score = 1 - rest
		slices.SortStableFunc(c.Evidence, func(a, b Evidence) int { return cmp.Compare(b.Strength, a.Strength) })
		out = append(out, c)
	}
	slices.SortStableFunc(out, func(a, b Candidate) int { return cmp.Compare(b.Score, a.Score) })
	return out
}
