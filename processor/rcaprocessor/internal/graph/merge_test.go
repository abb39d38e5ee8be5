// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/firebreak-otel/firebreak/internal/call"
)

// contents is all that a graph holds, in names.
type contents struct {
	nodes     map[string]Node
	aliases   map[string]string
	answers   map[string][2]uint16
	ops       map[[3]string]Op
	instances map[[3]string]Instance
	edges     map[[2]string]int64
}

func contentsOf(g *Graph) contents {
	c := contents{
		map[string]Node{}, map[string]string{}, map[string][2]uint16{}, map[[3]string]Op{}, map[[3]string]Instance{}, map[[2]string]int64{},
	}
	for i := range g.nodes {
		if n := g.nodes[i]; n.key != 0 {
			c.aliases[n.Name], c.answers[n.Name] = g.nodes[n.alias.to].Name, [2]uint16{n.alias.ayes, n.alias.nays}
			n.alias = alias{}
			c.nodes[n.Name] = n
		}
	}
	for i := range g.ops {
		if o := g.ops[i]; o.key != 0 {
			at := [3]string{g.nodes[o.Node].Name, g.nodes[o.Peer].Name, fmt.Sprint(o.Role, o.Name)}
			o.key, o.Node, o.Peer = 0, 0, 0
			c.ops[at] = o
		}
	}
	for i := range g.instances {
		if in := g.instances[i]; in.key != 0 {
			at := [3]string{g.nodes[in.Node].Name, in.Name, in.Version}
			in.key, in.Node = 0, 0
			c.instances[at] = in
		}
	}
	for e, seen := range g.edges {
		c.edges[[2]string{g.nodes[e.From].Name, g.nodes[e.To].Name}] = seen
	}
	return c
}

// Two graphs of a part each, merged, hold what one of all holds; and handles lead to what they led to.
func TestMergeIsAddition(t *testing.T) {
	letter := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"})
	rapid.Check(t, func(t *rapid.T) {
		whole, a, b := New(roomy), New(roomy), New(roomy)
		for range rapid.IntRange(0, 60).Draw(t, "calls") {
			at := rapid.Int64Range(1, 1000).Draw(t, "at")
			from, to, what, peer := letter.Draw(t, "from"), letter.Draw(t, "to"), letter.Draw(t, "op"), rapid.IntRange(0, 2).Draw(t, "peer")
			role, version := call.Role(rapid.IntRange(0, 4).Draw(t, "role")), letter.Draw(t, "version")
			side := b
			if rapid.Bool().Draw(t, "side") {
				side = a
			}
			for _, g := range []*Graph{whole, side} {
				n := service(g, from, at)
				var p NodeID
				switch peer {
				case 1:
					p = node(g, call.NodeExternal, "address of "+to, at)
					g.Answered(p, service(g, to, at))
				case 2:
					p = node(g, call.NodeDatabase, "database "+to, at)
				}
				op(g, n, role, p, what, at)
				key := call.Operation{Verb: what, Target: version}
				g.Instance(n, key.Key(), at, &call.Resource{Instance: what, Version: version, Host: fmt.Sprint(at / 100), Zone: fmt.Sprint(at / 300)})
				g.Connect(n, p, at)
			}
		}
		tr := a.Merge(b)
		want, got := contentsOf(whole), contentsOf(a)
		require.Equal(t, want, got)
		for i := range b.nodes {
			require.Equal(t, b.nodes[i].Name, a.nodes[tr.Nodes[i]].Name)
		}
		for i := range b.ops {
			require.Equal(t, b.ops[i].Name, a.ops[tr.Ops[i]].Name)
			require.Equal(t, tr.Nodes[b.ops[i].Node], a.ops[tr.Ops[i]].Node)
		}
		for i := range b.instances {
			require.Equal(t, b.instances[i].Version, a.instances[tr.Instances[i]].Version)
		}
	})
}

// What was merged is found again under its key, and no limit is exceeded.
func TestMergeWithinLimits(t *testing.T) {
	big, small := New(roomy), New(Limits{Nodes: 3, Ops: 2, Instances: 1, Edges: 1})
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		n := service(big, name, 7)
		for _, what := range []string{"1", "2", "3", "4"} {
			op(big, n, call.RoleServer, 0, what, 7)
			replica(big, n, what, "", 7)
		}
		big.Connect(1, n, 7)
	}
	big.Overflow = Overflow{1, 1, 1, 1}
	tr := small.Merge(big)
	nodes, ops, edges := small.Size()
	assert.Equal(t, []int{3, 9, 1}, []int{nodes, ops, edges})
	assert.Equal(t, Overflow{Nodes: 3, Ops: 7, Instances: 10, Edges: 2}, small.Overflow)
	assert.Len(t, slices.DeleteFunc(slices.Clone(tr.Nodes), func(n NodeID) bool { return n == 0 }), 3)
	assert.Equal(t, tr.Nodes[2], service(small, "b", 8))
	assert.Equal(t, tr.Ops[5], op(small, tr.Nodes[2], call.RoleServer, 0, "1", 8))
	assert.Equal(t, OtherOp, small.OpAt(tr.Ops[7]).Name)
	other := New(roomy)
	service(other, "z", 1) // handles differ
	again := other.Merge(small)
	assert.Equal(t, OtherOp, other.OpAt(again.Ops[tr.Ops[7]]).Name)
	assert.Equal(t, again.Ops[tr.Ops[7]], other.otherOp(again.Nodes[tr.Nodes[2]], call.RoleServer, 0, 9), "the rest of a node's operations stays that")
}

func TestMergeOfAliases(t *testing.T) {
	for _, tt := range []struct {
		name       string
		a, b, want alias
	}{
		{"nothing known", alias{}, alias{1, 5, 1}, alias{1, 5, 1}},
		{"agreed", alias{1, 5, 2}, alias{1, 7, 1}, alias{1, 12, 3}},
		{"disagreed, the better attested stays", alias{1, 5, 2}, alias{2, 7, 1}, alias{2, 7, 8}},
		{"disagreed, and it is here", alias{1, 8, 2}, alias{2, 7, 1}, alias{1, 8, 10}},
		{"as many", alias{2, 5, 0}, alias{1, 5, 0}, alias{1, 5, 5}},
		{"many", alias{1, aliasCap, 0}, alias{1, aliasCap, 100}, alias{1, aliasCap, 50}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.a
			got.merge(tt.b)
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestUnmix(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, v := rapid.Uint64().Draw(t, "h"), rapid.Uint64().Draw(t, "v")
		require.Equal(t, v, unmix(h, mix(h, v)))
	})
}
