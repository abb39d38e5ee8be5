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
	Instance graph.InstanceID // where nearly all began, 0 when several share them
	Support  Support
	Exemplar trace.ID
	Span     uint64
}

const (
	// waitsFor: a component takes over those who stood in line for it when its own record strays at least so far.
	waitsFor = 0.3
	// oneInstance is the share of units that makes one instance the culprit.
	oneInstance = 0.9
)

type tally struct {
	units, waiting, weight int64
	reasons                [numReasons]int64
	paths                  map[Path]int64
	entries                map[graph.OpID]int64
	instances              map[graph.InstanceID]int64
	exemplar               Count
}

// Names breaks ties by name: handles depend on the order in which things were first seen.
type Names interface {
	NodeName(graph.NodeID) string
	OpName(graph.OpID) string
	InstanceName(graph.InstanceID) string
}

// Rank sums the rows up into candidates, the likeliest first. support returns a component's own record.
func Rank(rows map[Row]Count, support func(graph.NodeID) Support, names Names) []Candidate {
	tallies := make(map[graph.NodeID]*tally)
	records := make(map[graph.NodeID]Support)
	record := func(n graph.NodeID) Support {
		s, ok := records[n]
		if !ok {
			s = support(n)
			records[n] = s
		}
		return s
	}
	var units, weight int64
	for r, c := range rows {
		node, path, waiting := r.Node, r.Path, int64(0)
		reason := r.Reason
		if r.Waits != 0 && record(r.Waits).Strength() >= waitsFor {
			node, waiting = r.Waits, c.Units
			path.push(r.Waits)
			reason = Latency
		} else if r.Waits != 0 {
			reason = Saturation
		}
		t := tallies[node]
		if t == nil {
			t = &tally{paths: map[Path]int64{}, entries: map[graph.OpID]int64{}, instances: map[graph.InstanceID]int64{}}
			tallies[node] = t
		}
		t.units += c.Units
		t.weight += c.Weight
		t.waiting += waiting
		t.reasons[reason] += c.Units
		t.paths[path] += c.Units
		t.entries[r.Entry] += c.Units
		if waiting == 0 {
			t.instances[r.Instance] += c.Units
			t.exemplar.Add(c)
		}
		units += c.Units
		weight += c.Weight
	}
	out := make([]Candidate, 0, len(tallies))
	for n, t := range tallies {
		c := Candidate{Node: n, Units: t.units, Of: units, Waiting: t.waiting, Support: record(n)}
		c.Score = float64(t.weight) / float64(weight) * (0.6 + 0.4*c.Support.Strength())
		c.Reason = Reason(slices.Index(t.reasons[:], slices.Max(t.reasons[:])))
		c.Path = most(t.paths, func(a, b Path) int {
			return slices.CompareFunc(a[:], b[:], func(x, y graph.NodeID) int { return byName(names.NodeName, x, y) })
		})
		c.Entry = most(t.entries, func(a, b graph.OpID) int { return byName(names.OpName, a, b) })
		if i := most(t.instances, func(a, b graph.InstanceID) int { return byName(names.InstanceName, a, b) }); float64(t.instances[i]) >= oneInstance*float64(t.units) {
			c.Instance = i
		}
		c.Exemplar, c.Span = t.exemplar.Exemplar, t.exemplar.Span
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
