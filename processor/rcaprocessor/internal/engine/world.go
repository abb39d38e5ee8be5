// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"math"
	"slices"
	"strings"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/baseline"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/blame"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/contrast"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

// world is what a ranking of the time [from, to) asks of the engine. It implements blame.World.
type world struct {
	*Engine
	from, to int64
	ops      map[graph.NodeID][]graph.OpID   // that a node's own record is made of
	calls    map[graph.NodeID][]graph.NodeID // whom a node asks, or what sends to it
	suspects []contrast.Candidate            // by the evidence windows
}

func (e *Engine) world(from, to int64) *world {
	w := &world{Engine: e, from: from, to: to, ops: map[graph.NodeID][]graph.OpID{}, calls: map[graph.NodeID][]graph.NodeID{}}
	w.suspects = e.Suspects(from, to)
	for i := 1; i < len(e.ops); i++ {
		op := graph.OpID(i)
		o := e.graph.OpAt(op)
		n := o.Node
		if o.Role.Outgoing() {
			n = e.Callee(op)
		}
		w.ops[n] = append(w.ops[n], op)
	}
	e.graph.Edges(func(edge graph.Edge) {
		to := e.graph.Resolve(edge.To)
		w.calls[edge.From] = append(w.calls[edge.From], to)
		if e.graph.NodeAt(edge.From).Kind == call.NodeMessaging || e.graph.NodeAt(to).Kind == call.NodeMessaging {
			w.calls[to] = append(w.calls[to], edge.From) // floods and lag go the other way
		}
	})
	return w
}

// Reaches says that a asks b, directly or not, or that records go from one to the other.
func (w *world) Reaches(a, b graph.NodeID) bool {
	seen := map[graph.NodeID]bool{a: true}
	for next := []graph.NodeID{a}; len(next) > 0; {
		n := next[len(next)-1]
		next = next[:len(next)-1]
		for _, m := range w.calls[n] {
			if m == b {
				return true
			}
			if !seen[m] {
				seen[m] = true
				next = append(next, m)
			}
		}
	}
	return false
}

// Replica returns whose replica an instance is, and where it runs.
func (w *world) Replica(i graph.InstanceID) (graph.NodeID, blame.Place) {
	in := w.graph.InstanceAt(i)
	return in.Node, blame.Place{Host: in.Host, Zone: in.Zone}
}

// Replicas returns where those of a node's replicas run that took calls lately.
func (w *world) Replicas(n graph.NodeID) (out []blame.Place) {
	for _, i := range w.replicas(n, w.from-recentSpan) {
		_, p := w.Replica(i)
		out = append(out, p)
	}
	return out
}

// noChance is by how many standard deviations fewer than expected it takes: one in a thousand.
const noChance = 3

// zone returns the zone in which nearly all of a node's trouble began, where several replicas tell the same and there
// are others elsewhere, or from which nobody reached a node without spans; "" when there is none.
func (w *world) zone(c *blame.Candidate) string {
	units, replicas := map[string]int64{}, map[string]int{}
	owners := map[graph.NodeID]int64{}
	var all int64
	for i, n := range c.Replicas {
		owner, p := w.Replica(i)
		if n > 0 && p.Zone != "" {
			units[p.Zone] += n
			replicas[p.Zone]++
			owners[owner] += n
		}
		all += n
	}
	for zone, n := range units {
		if float64(n) < standsOut*float64(all) || replicas[zone] < 2 && w.graph.NodeAt(c.Node).Kind == call.NodeService {
			continue
		}
		expected := 0.0 // elsewhere, by the spread of the replicas
		for owner, units := range owners {
			at := w.Replicas(owner)
			away := slices.DeleteFunc(slices.Clone(at), func(p blame.Place) bool { return p.Zone == zone || p.Zone == "" })
			if len(away) == 0 {
				expected = 0
				break
			}
			expected += float64(units) * float64(len(away)) / float64(len(at))
		}
		if expected-noChance*math.Sqrt(expected) > float64(all-n) {
			return zone
		}
	}
	return ""
}

// Broker returns the messaging system of a topic.
func (w *world) Broker(n graph.NodeID) string {
	if w.graph.NodeAt(n).Kind != call.NodeMessaging {
		return ""
	}
	system, _, _ := strings.Cut(w.NodeName(n), "/")
	return system
}

// Support returns a node's own record: of its operations, or of the calls to it where it emits no spans, the one
// that strayed furthest.
func (w *world) Support(n graph.NodeID) blame.Support {
	var best blame.Support
	most := -1.0
	for _, op := range w.ops[n] {
		series := w.record(n, op)
		c := series.Window(w.from, w.to)
		if c.N == 0 {
			continue
		}
		z, excess := series.Deviation(c)
		if excess < 1e6 {
			z = min(z, 3)
		}
		s := blame.Support{
			Op: op, Calls: int64(c.N), Bad: int64(c.Bad), NormalBad: series.BadRatio(),
			Z: z, Typical: c.Typical(), Normal: normal(series),
		}
		// What strays far matters by the time and the calls that it cost.
		weight := s.Strength() * math.Sqrt(float64(s.Bad)+float64(c.N)*max(0, float64(excess))/1e6+1)
		if weight > most || weight == most && w.OpName(op) < w.OpName(best.Op) {
			best, most = s, weight
		}
	}
	for _, s := range w.suspects {
		if graph.NodeID(s.Node) == n {
			best.Evidence = s.Score
		}
	}
	return best
}

// record returns what an operation says of node n: own time, the gap of calls to it, or the whole of the calls to
// one that emits no spans.
func (w *world) record(n graph.NodeID, op graph.OpID) *baseline.Series {
	st := &w.Engine.ops[op]
	if w.graph.OpAt(op).Role.Outgoing() && w.graph.NodeAt(n).Kind != call.NodeService {
		return &st.total
	}
	return &st.own
}

func normal(s *baseline.Series) int64 {
	c := s.Normal()
	return c.Typical()
}
