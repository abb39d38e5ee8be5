// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package blame

import (
	"cmp"
	"math"
	"slices"

	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

// Support is what a component's own record says: the operation of it that strayed furthest from its normal.
type Support struct {
	Op              graph.OpID
	Calls, Bad      int64   // in the window
	NormalBad       float64 // normal share of bad calls, 0..1
	Z               float64 // deviation of the mean log duration
	Typical, Normal int64   // typical duration in the window and normally, nanoseconds
}

// Strength is 0..1: how far the record strays from normal, by failures or by time.
func (s Support) Strength() float64 {
	slow := 1 - math.Exp(-max(0, s.Z-3)/3)
	failing := 0.0
	if s.Calls > 0 {
		failing = min(1, max(0, 2*(float64(s.Bad)/float64(s.Calls)-s.NormalBad)))
	}
	return 1 - (1-slow)*(1-failing)
}

// Candidate is a component that may be the cause.
type Candidate struct {
	Node     graph.NodeID
	Reason   Reason
	Score    float64 // 0..1
	Units    int64   // hurt units of work whose trouble began here
	Of       int64   // hurt units of work in the window
	Waiting  int64   // units of work among Units that stood in line for it and never got to it
	Path     Path    // the way that most of them took
	Entry    graph.OpID
	Replicas map[graph.InstanceID]int64 // units of work by the replica that they began at, 0 where that is not known
	Support  Support
	First    int64 // when the earliest call that trouble began with started, unix nanoseconds
	Exemplar trace.ID
	Span     uint64
}

// waitsFor: a component takes over those who stood in line for it when its own record strays at least so far.
const waitsFor = 0.3

type tally struct {
	units, waiting, weight int64
	first                  int64
	reasons                [numReasons]int64
	paths                  map[Path]int64
	entries                map[graph.OpID]int64
	instances              map[graph.InstanceID]int64
	exemplar               Count
	usual                  int64 // weight in the time before
}

// Names breaks ties by name: handles depend on the order in which things were first seen.
type Names interface {
	NodeName(graph.NodeID) string
	OpName(graph.OpID) string
}

// Window is the rows of a stretch of time, and how many seconds long it is.
type Window struct {
	Rows    map[Row]Count
	Seconds int64
}

// Rank sums the rows of a window up into candidates, the likeliest first. What the time before shows to be
// usual is taken off: some requests are always slow. support returns a component's own record.
func Rank(now, before Window, support func(graph.NodeID) Support, names Names) []Candidate {
	r := ranking{support: support, records: make(map[graph.NodeID]Support), tallies: make(map[graph.NodeID]*tally)}
	for row, c := range now.Rows {
		r.add(row, c)
	}
	if before.Seconds > 0 {
		for row, c := range before.Rows {
			n, _ := r.blamed(row)
			if t := r.tallies[n]; t != nil {
				t.usual += c.Weight
			}
		}
	}
	excess := func(t *tally) int64 { // in weight times seconds: integers do not care for the order of a sum
		return max(0, t.weight*max(1, before.Seconds)-t.usual*now.Seconds)
	}
	total := int64(0)
	for _, t := range r.tallies {
		total += excess(t)
	}
	out := make([]Candidate, 0, len(r.tallies))
	for n, t := range r.tallies {
		c := Candidate{Node: n, Units: t.units, Of: r.units, Waiting: t.waiting, Support: r.record(n)}
		if total > 0 {
			c.Score = float64(excess(t)) / float64(total) * (0.6 + 0.4*c.Support.Strength())
		}
		c.Reason = Reason(slices.Index(t.reasons[:], slices.Max(t.reasons[:])))
		c.Path = most(t.paths, func(a, b Path) int {
			return slices.CompareFunc(a[:], b[:], func(x, y graph.NodeID) int { return byName(names.NodeName, x, y) })
		})
		c.Entry = most(t.entries, func(a, b graph.OpID) int { return byName(names.OpName, a, b) })
		c.Replicas = t.instances
		c.First, c.Exemplar, c.Span = t.first, t.exemplar.Exemplar, t.exemplar.Span
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b Candidate) int {
		if a.Score != b.Score {
			return cmp.Compare(b.Score, a.Score)
		}
		return byName(names.NodeName, a.Node, b.Node)
	})
	return out
}

type ranking struct {
	support func(graph.NodeID) Support
	records map[graph.NodeID]Support
	tallies map[graph.NodeID]*tally
	units   int64
}

func (r *ranking) record(n graph.NodeID) Support {
	s, ok := r.records[n]
	if !ok {
		s = r.support(n)
		r.records[n] = s
	}
	return s
}

// blamed returns whom a row counts for: its node, or what the node stood in line for when that strayed itself.
func (r *ranking) blamed(row Row) (n graph.NodeID, waiting bool) {
	if row.Waits != 0 && r.record(row.Waits).Strength() >= waitsFor {
		return row.Waits, true
	}
	return row.Node, false
}

func (r *ranking) add(row Row, c Count) {
	path, reason, waiting := row.Path, row.Reason, int64(0)
	node, waited := r.blamed(row)
	switch {
	case waited:
		reason, waiting = Latency, c.Units
		path.push(node)
	case row.Waits != 0:
		reason = Saturation
	}
	t := r.tallies[node]
	if t == nil {
		t = &tally{paths: map[Path]int64{}, entries: map[graph.OpID]int64{}, instances: map[graph.InstanceID]int64{}}
		r.tallies[node] = t
	}
	r.units += c.Units
	if t.units == 0 || c.First < t.first {
		t.first = c.First
	}
	t.units += c.Units
	t.weight += c.Weight
	t.waiting += waiting
	t.reasons[reason] += c.Units
	t.paths[path] += c.Units
	t.entries[row.Entry] += c.Units
	if waiting == 0 {
		t.instances[row.Instance] += c.Units
		t.exemplar.Add(c)
	}
}

func byName[H any](name func(H) string, a, b H) int { return cmp.Compare(name(a), name(b)) }

func most[K comparable](m map[K]int64, compare func(a, b K) int) K {
	var best K
	n := int64(-1)
	for k, v := range m {
		if v > n || v == n && compare(k, best) < 0 {
			best, n = k, v
		}
	}
	return best
}
