// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package blame

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

// failing is a row of units that failed in the node's own code, slow one of others.
func failing(n graph.NodeID) Row { return Row{Entry: 1, Node: n, Path: Path{n}} }
func slow(n graph.NodeID) Row    { return Row{Entry: 1, Node: n, Path: Path{n}, Reason: Latency} }

func TestRoots(t *testing.T) {
	type rows = map[Row]Count
	type nodes = []graph.NodeID
	type calls = map[graph.NodeID][]graph.NodeID
	type records = map[graph.NodeID]float64
	all := records{1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 1}
	for _, tt := range []struct {
		name   string
		rows   rows
		strong records
		calls  calls
		known  []Cause
		want   nodes
	}{
		{"one", rows{slow(1): many(9)}, nil, nil, nil, nodes{1}},
		{"two that have nothing to do with each other", rows{slow(1): many(60), slow(2): many(40)}, all, nil, nil, nodes{1, 2}},
		{"that have a caller in common", rows{slow(1): many(60), slow(2): many(40)}, all, calls{3: {1, 2}}, nil, nodes{1, 2}},
		{"so much of the trouble", rows{slow(1): many(85), slow(2): many(15)}, all, nil, nil, nodes{1, 2}},
		{"less of it", rows{slow(1): many(86), slow(2): many(14)}, all, nil, nil, nodes{1}},
		{"so many units", rows{slow(1): many(12), slow(2): many(10)}, all, nil, nil, nodes{1, 2}},
		{"fewer", rows{slow(1): many(12), slow(2): many(9)}, all, nil, nil, nodes{1}},
		{"its own record strays so far", rows{slow(1): many(60), slow(2): many(40)}, records{1: 1, 2: .5}, nil, nil, nodes{1, 2}},
		{"less far", rows{slow(1): many(60), slow(2): many(40)}, records{1: 1, 2: .49}, nil, nil, nodes{1}},
		{"four at the most", rows{slow(1): many(15), slow(2): many(15), slow(3): many(15), slow(4): many(15), slow(5): many(15), slow(6): many(15)},
			all, nil, nil, nodes{1, 2, 3, 4}},

		{"a victim below: the cause floods it", rows{slow(1): many(60), slow(2): many(40)}, all, calls{1: {3}, 3: {2}}, nil, nodes{1}},
		{"a victim below that fails", rows{slow(1): many(60), failing(2): many(40)}, all, calls{1: {3}, 3: {2}}, nil, nodes{1}},
		{"a victim above", rows{slow(1): many(60), slow(2): many(40)}, all, calls{2: {3}, 3: {1}}, nil, nodes{1}},
		{"above, but it fails by itself", rows{slow(1): many(60), failing(2): many(40)}, all, calls{2: {3}, 3: {1}}, nil, nodes{1, 2}},
		{"nearly always", rows{slow(1): many(60), failing(2): many(36), slow(2): many(4)}, all, calls{2: {1}}, nil, nodes{1, 2}},
		{"not nearly always", rows{slow(1): many(60), failing(2): many(35), slow(2): many(5)}, all, calls{2: {1}}, nil, nodes{1}},
		{"a victim of the second of two", rows{slow(1): many(40), slow(2): many(35), slow(3): many(25)}, all, calls{3: {2}}, nil, nodes{1, 2}},

		{"one that only stands in line gives way", rows{row(Saturation, 9, 1): many(60), slow(2): many(40)}, all, calls{1: {2}}, nil, nodes{2}},
		{"one that sheds does too", rows{row(Shed, 9, 1): many(60), slow(2): many(40)}, all, calls{1: {2}}, nil, nodes{2}},
		{"most of the time", rows{row(Shed, 9, 1): many(30), row(Saturation, 9, 1): many(6), slow(1): many(24), slow(2): many(40)}, all, calls{1: {2}}, nil, nodes{2}},
		{"not most of it", rows{row(Saturation, 9, 1): many(35), slow(1): many(25), slow(2): many(40)}, all, calls{1: {2}}, nil, nodes{1}},
		{"not to a callee that explains too little", rows{row(Saturation, 9, 1): many(90), slow(2): many(26)}, all, calls{1: {2}}, nil, nodes{1}},
		{"enough", rows{row(Saturation, 9, 1): many(90), slow(2): many(27)}, all, calls{1: {2}}, nil, nodes{2}},
		{"not to one whose record is normal", rows{row(Saturation, 9, 1): many(60), slow(2): many(40)}, records{1: 1, 2: .49}, calls{1: {2}}, nil, nodes{1}},
		{"not to one that it does not call", rows{row(Saturation, 9, 1): many(60), slow(2): many(40)}, all, nil, nil, nodes{1, 2}},

		{"known: nothing that follows from it", rows{slow(2): many(60), slow(3): many(40)}, all, calls{1: {2}, 3: {1}}, []Cause{{Nodes: nodes{1}}}, nil},
		{"known: one beside it", rows{slow(1): many(60), slow(2): many(40)}, all, nil, []Cause{{Nodes: nodes{1}}}, nodes{1, 2}},
		{"known: it is still there, however little", rows{slow(2): many(60), slow(1): many(3)}, records{2: 1}, nil, []Cause{{Nodes: nodes{1}}}, nodes{2, 1}},
		{"known: the likeliest must stand alone too", rows{slow(2): many(60)}, records{2: .49}, nil, []Cause{{Nodes: nodes{1}}}, nil},
		{"known: two", rows{slow(1): many(30), slow(2): many(30), slow(3): many(30)}, all, calls{3: {2}}, []Cause{{Nodes: nodes{1}}, {Nodes: nodes{2}}}, nodes{1, 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := world{names: alphabet, strong: tt.strong, calls: tt.calls}
			assert.Equal(t, tt.want, nodesOf(rank(w, tt.rows, tt.known...).Roots))
		})
	}
}

// Each root is scored as if the others had been dealt with; what is no root remains its rival.
func TestRootScores(t *testing.T) {
	got := rank(strayed(1, 2), map[Row]Count{slow(1): many(60), slow(2): many(30), slow(3): many(10)})
	require.Equal(t, []graph.NodeID{1, 2}, nodesOf(got.Roots))
	assert.InDelta(t, 60.0/70, got.Roots[0].Score, 1e-9)
	assert.InDelta(t, 30.0/40, got.Roots[1].Score, 1e-9)
	assert.InDelta(t, .6, got.Candidates[0].Score, 1e-9)
}

// What has its trouble at a place that is a cause follows from that.
func TestRootsBesidePlaces(t *testing.T) {
	type rows = map[Row]Count
	trouble := rows{there(1, w): many(50), there(2, w): many(50)}
	host, zone := Place{Host: "w"}, Place{Zone: "p"}
	causes := func(p Place) []Cause { return []Cause{{Nodes: []graph.NodeID{1, 2}, Place: p}} }
	for _, tt := range []struct {
		name  string
		rows  rows
		known []Cause
		want  []string
	}{
		{"the place alone", trouble, nil, []string{"w"}},
		{"and one elsewhere", rows{there(1, w): many(50), there(2, w): many(50), there(3, y): many(40)}, nil, []string{"w", "c"}},
		{"one of those who are hurt there", rows{there(1, w): many(50), there(2, w): many(50), there(1, y): many(30)}, nil, []string{"w"}},
		{"known: it is itself", trouble, causes(host), []string{"w"}},
		{"known: one that is hurt there", rows{there(3, w): many(60), there(3, y): many(40)}, causes(host), nil},
		{"known: one that is not, for the most part", rows{there(3, w): many(40), there(3, y): many(60)}, causes(host), []string{"c"}},
		{"known: one that is hurt nobody knows where", rows{there(3, w): many(60), there(3, 0): many(100)}, causes(host), nil},
		{"known: a zone", rows{there(3, w): many(30), there(3, x): many(30), there(3, y): many(40)}, causes(zone), nil},
		{"known: not that zone", rows{there(3, w): many(30), there(3, z): many(30), there(3, y): many(40)}, causes(zone), []string{"c"}},
		{"known: one of those who are hurt there, elsewhere", rows{there(1, y): many(60)}, causes(host), nil},
		{"known: another place than the one seen", trouble, []Cause{{Nodes: []graph.NodeID{4}, Place: Place{Host: "z"}}}, []string{"w"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			world := strayed(1, 2, 3, 4)
			world.replicas = onHosts()
			var names []string
			for _, c := range rank(world, tt.rows, tt.known...).Roots {
				names = append(names, c.Place.Name()+world.NodeName(c.Node))
			}
			assert.Equal(t, tt.want, names)
		})
	}
	t.Run("known: another place than the one seen, which does not stand alone", func(t *testing.T) {
		w := world{names: alphabet, replicas: onHosts()}
		assert.Empty(t, rank(w, trouble, Cause{Nodes: []graph.NodeID{4}, Place: Place{Host: "z"}}).Roots)
	})
}
