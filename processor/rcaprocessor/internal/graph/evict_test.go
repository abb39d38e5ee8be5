// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/firebreak-otel/firebreak/internal/call"
)

// freed is what an eviction gave up.
type freed struct {
	nodes     []NodeID
	ops       []OpID
	instances []InstanceID
}

func evict(g *Graph, before int64) (f freed) {
	g.Evict(before,
		func(n NodeID) { f.nodes = append(f.nodes, n) },
		func(o OpID) { f.ops = append(f.ops, o) },
		func(i InstanceID) { f.instances = append(f.instances, i) })
	return f
}

func TestEvictForgetsWhatIsIdle(t *testing.T) {
	g := New(roomy)
	a, b := service(g, "a", 1), service(g, "b", 100)
	address := node(g, call.NodeExternal, "10.0.0.1", 100)
	old := op(g, a, call.RoleServer, 0, "GET", 1)
	op(g, b, call.RoleClient, address, "GET", 100)
	gone := replica(g, a, "1", "", 1)
	replica(g, b, "1", "", 100)
	for range aliasAnswers {
		g.Answered(address, a)
	}
	g.Connect(b, a, 100)
	g.Connect(a, b, 1)
	require.Equal(t, a, g.Resolve(address))

	assert.Empty(t, evict(g, 1), "what was seen at the time is not before it")
	assert.Equal(t, freed{[]NodeID{a}, []OpID{old}, []InstanceID{gone}}, evict(g, 50))
	assert.Equal(t, address, g.Resolve(address), "an alias of what is gone is none")
	assert.Empty(t, find(g, "a"))
	nodes, ops, edges := g.Size()
	assert.Equal(t, [3]int{2, 1, 0}, [3]int{nodes, ops, edges}, "an edge ends with its ends")

	c := service(g, "c", 101)
	assert.Equal(t, a, c, "its handle is free")
	assert.Equal(t, old, op(g, c, call.RoleServer, 0, "GET", 101))
	assert.Equal(t, gone, replica(g, c, "1", "", 101))
	assert.Equal(t, "c", g.NodeAt(c).Name)
	assert.Equal(t, address, g.Resolve(address))
}

func TestEvictMakesRoom(t *testing.T) {
	g := New(Limits{Nodes: 3, Ops: 2, Instances: 2, Edges: 2})
	for now := int64(0); now < 100; now++ {
		n := service(g, fmt.Sprint(now%10, "a"), now)
		m := service(g, fmt.Sprint(now%10, "b"), now)
		require.NotZero(t, n)
		require.NotZero(t, m)
		require.NotZero(t, op(g, n, call.RoleClient, m, "GET", now))
		require.NotZero(t, replica(g, n, "1", "", now))
		require.True(t, g.Connect(n, m, now))
		evict(g, now+1)
	}
	assert.Zero(t, g.Overflow)
	assert.LessOrEqual(t, len(g.nodes), 1+3)
	assert.LessOrEqual(t, g.NumOps(), 1+2)
	assert.LessOrEqual(t, g.NumInstances(), 1+2)
	assert.Empty(t, g.byKey)
}

// Whatever comes and goes: limits hold, counts agree, and nothing that is held refers to what was freed.
func TestGraphHoldsTogether(t *testing.T) {
	limits := Limits{Nodes: 6, Ops: 3, Instances: 2, Edges: 5}
	rapid.Check(t, func(t *rapid.T) {
		g := New(limits)
		name := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g", "h"})
		for now := range int64(rapid.IntRange(1, 60).Draw(t, "steps")) {
			if rapid.IntRange(0, 9).Draw(t, "what") == 0 {
				f := evict(g, now-rapid.Int64Range(0, 20).Draw(t, "idle"))
				for _, n := range f.nodes {
					require.Equal(t, Node{}, *g.NodeAt(n))
				}
				for _, o := range f.ops {
					require.Equal(t, Op{}, *g.OpAt(o))
				}
			} else {
				from := service(g, name.Draw(t, "from"), now)
				kind := rapid.SampledFrom([]call.NodeKind{call.NodeService, call.NodeExternal}).Draw(t, "kind")
				to := node(g, kind, name.Draw(t, "to"), now)
				if from != 0 {
					op(g, from, call.RoleClient, to, name.Draw(t, "op"), now)
					replica(g, from, name.Draw(t, "replica"), "", now)
					g.Connect(from, to, now)
					g.Answered(to, from)
				}
			}
			checkGraph(t, g, limits)
		}
	})
}

func checkGraph(t *rapid.T, g *Graph, limits Limits) {
	nodes, ops, edges := g.Size()
	require.LessOrEqual(t, nodes, limits.Nodes)
	require.LessOrEqual(t, edges, limits.Edges)
	opsOf, replicas, held := map[NodeID]int{}, map[NodeID]int{}, 0
	live := func(n NodeID) bool { return n != 0 && g.nodes[n].key != 0 }
	for i := 1; i < len(g.ops); i++ {
		if o := &g.ops[i]; o.key != 0 {
			opsOf[o.Node]++
			held++
			require.True(t, live(o.Node), "an operation of a node that is gone")
			require.True(t, o.Peer == 0 || live(o.Peer), "an operation whose peer is gone")
			require.Equal(t, uint32(i), g.byKey[o.key])
		}
	}
	require.Equal(t, ops, held)
	for i := 1; i < len(g.instances); i++ {
		if in := &g.instances[i]; in.key != 0 {
			replicas[in.Node]++
			held++
			require.True(t, live(in.Node), "a replica of a node that is gone")
		}
	}
	for i := 1; i < len(g.nodes); i++ {
		n := NodeID(i)
		if !live(n) {
			continue
		}
		held++
		require.Equal(t, opsOf[n], g.nodes[n].ops)
		require.LessOrEqual(t, opsOf[n], 2*limits.Ops)
		require.Equal(t, replicas[n], g.nodes[n].replicas)
		require.LessOrEqual(t, replicas[n], limits.Instances)
		require.True(t, live(g.Resolve(n)), "an alias of a node that is gone")
	}
	require.Len(t, g.byKey, held)
	g.Edges(func(e Edge) { require.True(t, live(e.From) && live(e.To), "an edge of a node that is gone") })
}

// What was cached of an edge is forgotten with it, and when time is set back.
func TestEdgesComeAgain(t *testing.T) {
	g := New(Limits{Nodes: 9, Ops: 9, Instances: 9, Edges: 9})
	a := g.Node(1, call.NodeService, 100, func() string { return "a" })
	b := g.Node(2, call.NodeService, 100, func() string { return "b" })
	edge := Edge{a, b}
	g.Connect(a, b, 50)
	g.Evict(60, func(NodeID) {}, func(OpID) {}, func(InstanceID) {})
	assert.NotContains(t, g.edges, edge)
	g.Connect(a, b, 50)
	assert.Contains(t, g.edges, edge)
	g.Rewind(40)
	assert.EqualValues(t, 40, g.edges[edge])
	g.Connect(a, b, 50)
	assert.EqualValues(t, 50, g.edges[edge])
}
