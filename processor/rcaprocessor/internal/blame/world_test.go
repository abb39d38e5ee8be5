// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package blame

import (
	"slices"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

// labels names handle n by its n-th letter.
type labels string

func (l labels) at(n int) string {
	if n == 0 {
		return ""
	}
	return string(l[n-1])
}

const alphabet = labels("abcdefghij")

// replica is an instance: whose it is, and where it runs.
type replica struct {
	node graph.NodeID
	at   Place
}

// world is a World of tables. What is not in them is nothing: records are normal, nobody calls anybody.
type world struct {
	names    labels
	strong   map[graph.NodeID]float64 // strength of a record: the share of bad calls is half of it
	calls    map[graph.NodeID][]graph.NodeID
	replicas []replica // instance n is the n-th of them
	brokers  map[graph.NodeID]string
}

var _ World = world{}

func (w world) NodeName(n graph.NodeID) string { return w.names.at(int(n)) }
func (w world) OpName(n graph.OpID) string     { return w.names.at(int(n)) }

func (w world) Support(n graph.NodeID) Support {
	if s, ok := w.strong[n]; ok {
		return Support{Calls: 10_000, Bad: int64(s * 5000)}
	}
	return Support{}
}

func (w world) Reaches(a, b graph.NodeID) bool {
	return slices.ContainsFunc(w.calls[a], func(n graph.NodeID) bool { return n == b || w.Reaches(n, b) })
}

func (w world) Replica(i graph.InstanceID) (graph.NodeID, Place) {
	if i == 0 || int(i) > len(w.replicas) {
		return 0, Place{}
	}
	return w.replicas[i-1].node, w.replicas[i-1].at
}

func (w world) Replicas(n graph.NodeID) (out []Place) {
	for _, r := range w.replicas {
		if r.node == n {
			out = append(out, r.at)
		}
	}
	return out
}

func (w world) Broker(n graph.NodeID) string { return w.brokers[n] }

// ordinary is a world in which nothing strays.
var ordinary = world{names: alphabet}

// strayed is a world in which the records of the given nodes stray as far as can be.
func strayed(nodes ...graph.NodeID) world {
	w := world{names: alphabet, strong: map[graph.NodeID]float64{}}
	for _, n := range nodes {
		w.strong[n] = 1
	}
	return w
}

// rank ranks rows of one second with nothing known of the time before.
func rank(w World, rows map[Row]Count, known ...Cause) Ranking {
	return Rank(at(1, rows), Window{}, known, w)
}

func at(seconds int64, rows map[Row]Count) Window { return Window{Rows: rows, Seconds: seconds} }

// many is n units of work.
func many(n int64) Count { return Count{Units: n, Weight: 16 * n} }

func nodesOf(candidates []Candidate) (out []graph.NodeID) {
	for _, c := range candidates {
		out = append(out, c.Node)
	}
	return out
}
