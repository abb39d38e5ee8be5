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
	Evidence        float64 // 0..1: what the evidence windows say against it: own time, gaps, structure, errors
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

// Candidate is a component that may be the cause: a node, or the place that replicas of several nodes share.
type Candidate struct {
	Node     graph.NodeID // 0 for a place
	Place    Place
	Nodes    []graph.NodeID // of a place: those that are hurt there, in order of name
	Reason   Reason
	Reasons  [NumReasons]int64 // units of work by reason
	Score    float64           // 0..1: its share of the trouble, less where its own record is normal
	Units    int64             // hurt units of work whose trouble began here
	Of       int64             // hurt units of work in the window
	Waiting  int64             // units of work among Units that stood in line for it and never got to it
	Path     Path              // the way that most of them took
	Entries  map[graph.OpID]int64
	Replicas map[graph.InstanceID]int64 // units of work by the replica that they began at, 0 where that is not known
	Support  Support
	First    int64 // when the earliest call that trouble began with started, unix nanoseconds
	Exemplar trace.ID
	Span     uint64

	excess int64 // beyond what is usual, in weight times seconds: integers do not care for the order of a sum
}

// World is what the ranking must know beside the rows. Names break ties: handles depend on the order in which
// things were first seen.
type World interface {
	NodeName(graph.NodeID) string
	OpName(graph.OpID) string
	// Support returns a component's own record.
	Support(graph.NodeID) Support
	// Reaches says that trouble at b can be felt at a: a calls b, or takes what b sends, directly or not.
	Reaches(a, b graph.NodeID) bool
	// Replica returns whose replica an instance is, and where it runs; Replicas how a node's replicas are spread.
	Replica(graph.InstanceID) (graph.NodeID, Place)
	Replicas(graph.NodeID) []Place
	// Broker returns the messaging system of a topic, "" of other nodes.
	Broker(graph.NodeID) string
}

// Window is the rows of a stretch of time, and how many seconds long it is.
type Window struct {
	Rows    map[Row]Count
	Seconds int64
}

// Ranking is the candidates of a window.
type Ranking struct {
	Candidates []Candidate // the likeliest first
	Roots      []Candidate // those that stand for themselves, each scored as if the others had been dealt with
}

// Rank sums the rows of a window up into candidates. What the time before shows to be usual is taken off: some
// requests are always slow. Of known, causes that were found before, nothing that follows from them is a root.
func Rank(now, before Window, known []Cause, w World) Ranking {
	r := ranking{World: w, now: now, before: before, records: make(map[graph.NodeID]Support), tallies: make(map[component]*tally)}
	r.attribute()
	r.common = r.commonPlace()
	r.sharedBroker()
	r.sum()
	slices.SortFunc(r.candidates, r.compare)
	return Ranking{Candidates: r.candidates, Roots: r.roots(known)}
}

type ranking struct {
	World
	now, before Window
	records     map[graph.NodeID]Support
	refused     map[graph.NodeID][]graph.NodeID // callers by the component that refuses them
	blind       map[graph.NodeID]bool           // callers that find no name at all
	passed      map[graph.NodeID]graph.NodeID   // nodes most of whose own trouble is that they stand in line for another
	common      commonPlace
	brokers     map[graph.NodeID]Place // of topics whose trouble is their broker's
	tallies     map[component]*tally
	units       int64
	total       int64 // excess of all
	candidates  []Candidate
}

// component is what rows count for: a node, or a place.
type component struct {
	node  graph.NodeID
	place Place
}

type tally struct {
	Candidate
	weight, usual int64
	paths         map[Path]int64
	called        []graph.NodeID // of a place: whom its replicas called in vain, or are
	exemplar      Count
}

func (r *ranking) record(n graph.NodeID) Support {
	s, ok := r.records[n]
	if !ok {
		s = r.Support(n)
		r.records[n] = s
	}
	return s
}

// component returns what a row counts for, and whether that was waited for.
func (r *ranking) component(row Row) (component, bool) {
	n, waited := r.blamed(row)
	if p := r.common.of(r, row, waited); p != (Place{}) {
		return component{place: p}, false
	}
	if p, ok := r.brokers[n]; ok {
		return component{place: p}, false
	}
	return component{node: n}, waited
}

// sum makes a candidate of each component that rows count for.
func (r *ranking) sum() {
	for row, c := range r.now.Rows {
		r.add(row, c)
	}
	for row, c := range r.before.Rows {
		k, _ := r.component(row)
		if t := r.tallies[k]; t != nil {
			t.usual += c.Weight
		}
	}
	for _, t := range r.tallies {
		t.excess = r.excess(t.weight, t.usual)
		r.total += t.excess
	}
	for k, t := range r.tallies {
		c := t.Candidate
		c.Node, c.Place, c.Of = k.node, k.place, r.units
		if k.node != 0 {
			c.Support = r.record(k.node)
		} else {
			if c.Nodes = r.common.owners; c.Place.Broker != "" {
				c.Nodes = r.topics(c.Place)
			}
			c.Support = r.strongest(slices.Concat(c.Nodes, t.called))
		}
		c.Reason = Reason(slices.Index(c.Reasons[:], slices.Max(c.Reasons[:])))
		c.Path = most(t.paths, r.comparePaths)
		c.Exemplar, c.Span = t.exemplar.Exemplar, t.exemplar.Span
		c.Score = r.score(&c, r.total)
		r.candidates = append(r.candidates, c)
	}
}

// strongest returns the record of those of nodes that strays furthest.
func (r *ranking) strongest(nodes []graph.NodeID) (best Support) {
	for _, n := range nodes {
		if s := r.record(n); s.Strength() > best.Strength() || s.Strength() == best.Strength() && byName(r.OpName, s.Op, best.Op) < 0 {
			best = s
		}
	}
	return best
}

// excess of a weight over the usual one, which was counted in the time before.
func (r *ranking) excess(weight, usual int64) int64 {
	if r.before.Seconds <= 0 {
		return weight
	}
	return max(0, weight*r.before.Seconds-usual*r.now.Seconds)
}

// score of a candidate by its share of the trouble.
func (r *ranking) score(c *Candidate, total int64) float64 {
	if total <= 0 {
		return 0
	}
	return float64(c.excess) / float64(total) * (0.6 + 0.4*max(c.Support.Strength(), c.Support.Evidence))
}

func (r *ranking) add(row Row, c Count) {
	k, waited := r.component(row)
	t := r.tallies[k]
	if t == nil {
		t = &tally{paths: map[Path]int64{}, Candidate: Candidate{Entries: map[graph.OpID]int64{}, Replicas: map[graph.InstanceID]int64{}}}
		r.tallies[k] = t
	}
	path, reason := row.Path, row.Reason
	if k.node == 0 && !slices.Contains(t.called, row.Node) {
		t.called = append(t.called, row.Node)
	}
	if waited {
		path.push(k.node)
		t.Waiting += c.Units
	} else {
		t.Replicas[row.Instance] += c.Units
		t.exemplar.Add(c)
	}
	if waited && reason != Auth {
		reason = Latency
	}
	r.units += c.Units
	if t.Units == 0 || c.First < t.First {
		t.First = c.First
	}
	t.Units += c.Units
	t.weight += c.Weight
	t.Reasons[reason] += c.Units
	t.paths[path] += c.Units
	t.Entries[row.Entry] += c.Units
}

func (r *ranking) compare(a, b Candidate) int {
	return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Place.Name(), b.Place.Name()), byName(r.NodeName, a.Node, b.Node))
}

func (r *ranking) comparePaths(a, b Path) int {
	return slices.CompareFunc(a[:], b[:], func(x, y graph.NodeID) int { return byName(r.NodeName, x, y) })
}

// Entry returns the operation at which most of the hurt units of work came in.
func (c *Candidate) Entry(w World) graph.OpID {
	return most(c.Entries, func(a, b graph.OpID) int { return byName(w.OpName, a, b) })
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
