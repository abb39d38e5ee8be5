// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/internal/call"
)

var roomy = Limits{Nodes: 100, Ops: 100, Instances: 100, Edges: 100}

func named(s string) func() string { return func() string { return s } }

// node makes or finds the node whose key is that of its name.
func node(g *Graph, kind call.NodeKind, name string, at int64) NodeID {
	p := call.Peer{Kind: kind, Name: name, Address: name}
	return g.Node(p.Key(), kind, at, named(name))
}

func service(g *Graph, name string, at int64) NodeID { return node(g, call.NodeService, name, at) }

func op(g *Graph, n NodeID, role call.Role, peer NodeID, name string, at int64) OpID {
	o := call.Operation{Target: name}
	return g.Op(n, role, peer, o.Key(), at, named(name))
}

func replica(g *Graph, n NodeID, name, version string, at int64) InstanceID {
	o := call.Operation{Verb: name, Target: version}
	return g.Instance(n, o.Key(), at, &call.Resource{Instance: name, Version: version})
}

func find(g *Graph, name string) (found []NodeID) {
	g.Named(name, func(n NodeID) { found = append(found, n) })
	return found
}

func TestHandlesAreStable(t *testing.T) {
	g := New(roomy)
	a, db := service(g, "a", 1), node(g, call.NodeDatabase, "db", 1)
	get := op(g, a, call.RoleServer, 0, "GET", 1)
	query := op(g, a, call.RoleClient, db, "GET", 1)
	i1, i2 := replica(g, a, "1", "v1", 5), replica(g, a, "1", "v2", 5)
	all := []uint32{uint32(a), uint32(db)}
	assert.Equal(t, []uint32{1, 2}, all)
	assert.NotEqual(t, get, query, "a name is another operation on another side of a call")
	assert.NotEqual(t, i1, i2, "a version is another replica")

	assert.Equal(t, a, service(g, "a", 9))
	assert.Equal(t, get, op(g, a, call.RoleServer, 0, "GET", 9))
	assert.Equal(t, query, op(g, a, call.RoleClient, db, "GET", 3))
	assert.Equal(t, i1, replica(g, a, "1", "v1", 2))

	assert.Equal(t, int64(9), g.NodeAt(a).LastSeen)
	assert.Equal(t, int64(3), g.OpAt(query).LastSeen)
	in := g.InstanceAt(i1)
	assert.Equal(t, [2]int64{2, 5}, [2]int64{in.FirstSeen, in.LastSeen}, "late spans widen what was seen")
	assert.Equal(t, "1 v1", in.Name+" "+in.Version)
	address := node(g, call.NodeExternal, "a", 1)
	assert.Equal(t, []NodeID{a, address}, find(g, "a"))
	assert.Empty(t, find(g, "b"))
	assert.Empty(t, find(g, ""), "none has no name")
	p := call.Peer{Kind: call.NodeService, Name: "a"}
	assert.Equal(t, a, g.Lookup(p.Key()))
}

// No two operations share a handle: neither those of neighbouring nodes, roles and peers, nor the rest beyond the limit.
func TestOperationsAreToldApart(t *testing.T) {
	for _, limit := range []int{1000, 1} {
		g := New(Limits{Nodes: 40, Ops: limit, Instances: 9, Edges: 9})
		seen := map[OpID]string{}
		for i := range 30 {
			n := service(g, fmt.Sprint("n", i), 1)
			for role := call.RoleInternal; role <= call.RoleConsumer; role++ {
				for peer := range NodeID(4) {
					who := fmt.Sprint(n, " ", role, " ", peer)
					o := op(g, n, role, peer, "x", 1)
					if limit == 1 && o == 0 {
						continue
					}
					require.Empty(t, seen[o], "the handle of %s", who)
					seen[o] = who
					require.Equal(t, [3]any{n, role, peer}, [3]any{g.OpAt(o).Node, g.OpAt(o).Role, g.OpAt(o).Peer})
				}
			}
		}
	}
}

// What is beyond a limit is counted and makes nothing; what was there before goes on.
func TestLimits(t *testing.T) {
	t.Run("nodes", func(t *testing.T) {
		g := New(Limits{Nodes: 2, Ops: 9, Instances: 9, Edges: 9})
		a, b := service(g, "a", 1), service(g, "b", 1)
		for i := range 1000 {
			require.Zero(t, service(g, fmt.Sprint(i), 2))
		}
		assert.Equal(t, []NodeID{a, b}, []NodeID{service(g, "a", 2), service(g, "b", 2)})
		assert.Equal(t, Overflow{Nodes: 1000}, g.Overflow)
		nodes, _, _ := g.Size()
		assert.Equal(t, 2, nodes)
	})
	t.Run("operations", func(t *testing.T) {
		const limit = 4
		g := New(Limits{Nodes: 9000, Ops: limit, Instances: 9, Edges: 9})
		a, b := service(g, "a", 1), service(g, "b", 1)
		first := op(g, a, call.RoleServer, 0, "0", 1)
		for i := 1; i < limit; i++ {
			op(g, a, call.RoleServer, 0, fmt.Sprint(i), 1)
		}
		other := op(g, a, call.RoleServer, 0, "x", 1)
		assert.Equal(t, OtherOp, g.OpAt(other).Name)
		assert.Equal(t, other, op(g, a, call.RoleServer, 0, "y", 2), "one for all")
		assert.NotEqual(t, other, op(g, a, call.RoleClient, b, "x", 1), "but not for another role or peer")
		assert.Equal(t, int64(2), g.OpAt(other).LastSeen)
		assert.Equal(t, Overflow{Ops: 3}, g.Overflow)
		assert.Equal(t, first, op(g, a, call.RoleServer, 0, "0", 1))
		assert.Equal(t, "0", g.OpAt(op(g, b, call.RoleServer, 0, "0", 1)).Name, "each node has its own room")

		for i := range 1000 { // each peer would have its own OtherOp
			op(g, a, call.RoleClient, service(g, fmt.Sprint("p", i), 1), "x", 1)
		}
		_, ops, _ := g.Size()
		assert.Equal(t, 2*limit+1, ops, "those of a, and the one of b")
	})
	t.Run("instances", func(t *testing.T) {
		g := New(Limits{Nodes: 9, Ops: 9, Instances: 2, Edges: 9})
		a, b := service(g, "a", 1), service(g, "b", 1)
		i1 := replica(g, a, "1", "", 1)
		require.NotZero(t, replica(g, a, "2", "", 1))
		for i := range 100 {
			require.Zero(t, replica(g, a, fmt.Sprint("x", i), "", 1))
		}
		assert.Equal(t, i1, replica(g, a, "1", "", 1))
		assert.NotZero(t, replica(g, b, "1", "", 1))
		assert.Equal(t, Overflow{Instances: 100}, g.Overflow)
	})
	t.Run("operations and instances of all nodes", func(t *testing.T) {
		g := New(Limits{Nodes: 9, Ops: 9, AllOps: 3, Instances: 9, AllInstances: 2, Edges: 9})
		var kept, replicas int
		for i := range 6 {
			n := service(g, fmt.Sprint("n", i), 1)
			if op(g, n, call.RoleServer, 0, "x", 1) != 0 {
				kept++
			}
			if replica(g, n, "1", "", 1) != 0 {
				replicas++
			}
		}
		assert.Equal(t, 3, kept)
		assert.Equal(t, 2, replicas)
		assert.Equal(t, Overflow{Ops: 3, Instances: 4}, g.Overflow)
	})
	t.Run("edges", func(t *testing.T) {
		g := New(Limits{Nodes: 9, Ops: 9, Instances: 2, Edges: 2})
		assert.True(t, g.Connect(1, 2, 1))
		assert.True(t, g.Connect(1, 3, 1))
		assert.False(t, g.Connect(1, 4, 1))
		assert.True(t, g.Connect(1, 2, 2), "it was there before")
		assert.True(t, g.Connect(2, 2, 1), "a call to oneself is no edge")
		assert.True(t, g.Connect(0, 2, 1))
		assert.Equal(t, Overflow{Edges: 1}, g.Overflow)
		var edges []Edge
		g.Edges(func(e Edge) { edges = append(edges, e) })
		assert.ElementsMatch(t, []Edge{{1, 2}, {1, 3}}, edges)
	})
}

// A replica is where its newest spans say, whatever order they come in; silence moves nothing.
func TestPlaces(t *testing.T) {
	type said struct {
		at         int64
		host, zone string
	}
	for name, tt := range map[string]struct {
		said       []said
		host, zone string
	}{
		"says nothing":     {[]said{{1, "", ""}}, "", ""},
		"at once":          {[]said{{1, "a", "z"}}, "a", "z"},
		"later":            {[]said{{1, "", ""}, {2, "a", "z"}}, "a", "z"},
		"moves":            {[]said{{1, "a", "z"}, {2, "b", "y"}}, "b", "y"},
		"came late":        {[]said{{2, "b", "y"}, {1, "a", "z"}}, "b", "y"},
		"falls silent":     {[]said{{1, "a", "z"}, {2, "", ""}}, "a", "z"},
		"to a host nearby": {[]said{{1, "a", "z"}, {2, "b", "z"}}, "b", "z"},
	} {
		t.Run(name, func(t *testing.T) {
			g := New(roomy)
			n := service(g, "a", 1)
			var id InstanceID
			for _, s := range tt.said {
				id = g.Instance(n, 7, s.at, &call.Resource{Instance: "i", Host: s.host, Zone: s.zone})
				g.Touch(n, id, 99)
			}
			i := g.InstanceAt(id)
			assert.Equal(t, [2]string{tt.host, tt.zone}, [2]string{i.Host, i.Zone})
		})
	}
}

// A name that was cut out of a megabyte of telemetry must not keep the megabyte in memory.
func TestNamesAreCopies(t *testing.T) {
	telemetry := strings.Repeat("x", 1<<20)
	g := New(roomy)
	r := call.Resource{Service: telemetry[:256], Instance: telemetry[:256], Version: telemetry[:256], Host: telemetry[:256], Zone: telemetry[:256]}
	n := g.Node(1, call.NodeService, 1, func() string { return r.Node() })
	o := g.Op(n, call.RoleServer, 0, 1, 1, named(telemetry[:256]))
	i := g.InstanceAt(g.Instance(n, 1, 1, &r))
	for what, name := range map[string]string{
		"node": g.NodeAt(n).Name, "operation": g.OpAt(o).Name, "instance": i.Name, "version": i.Version, "host": i.Host, "zone": i.Zone,
	} {
		assert.NotSame(t, unsafe.StringData(telemetry), unsafe.StringData(name), what)
		assert.Len(t, name, 256, what)
	}
}
