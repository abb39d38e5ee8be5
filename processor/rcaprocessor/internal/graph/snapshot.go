// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/snapshot"
)

// Snapshot writes the graph to c, or reads one from it into g, which must be new. Handles stay what they were.
// What is read is checked: every handle in it stands for something.
func (g *Graph) Snapshot(c *snapshot.Codec) {
	g.snapshotNodes(c)
	g.snapshotOps(c)
	g.snapshotInstances(c)
	g.snapshotEdges(c)
	if !c.Reading() {
		return
	}
	for i := range g.nodes {
		if a := g.nodes[i].alias; !g.hasNode(a.to, true) {
			c.Fail("an alias leads nowhere")
		}
	}
	if c.Err() != nil {
		return
	}
	// The lowest free handle is used first.
	for i := len(g.nodes) - 1; i > 0; i-- {
		if g.nodes[i].key == 0 {
			g.freeNodes = append(g.freeNodes, NodeID(i))
		}
	}
	for i := len(g.ops) - 1; i > 0; i-- {
		if g.ops[i].key == 0 {
			g.freeOps = append(g.freeOps, OpID(i))
		}
	}
	for i := len(g.instances) - 1; i > 0; i-- {
		if g.instances[i].key == 0 {
			g.freeInst = append(g.freeInst, InstanceID(i))
		}
	}
}

func (g *Graph) snapshotNodes(c *snapshot.Codec) {
	n := c.Count(len(g.nodes)-1, g.limits.Nodes, "nodes")
	for i := 1; i <= n && c.Err() == nil; i++ {
		if c.Reading() {
			g.nodes = append(g.nodes, Node{})
		}
		n := &g.nodes[i]
		if !g.slot(c, &n.key, uint32(i)) {
			continue
		}
		snapshot.Uint(c, &n.Kind, call.NodeExternal)
		c.String(&n.Name)
		c.Time(&n.LastSeen)
		snapshot.Uint(c, &n.alias.to, math.MaxUint32)
		snapshot.Uint(c, &n.alias.ayes, math.MaxUint16)
		snapshot.Uint(c, &n.alias.nays, math.MaxUint16)
	}
}

func (g *Graph) snapshotOps(c *snapshot.Codec) {
	limit := g.limits.AllOps
	if limit == 0 {
		limit = 2 * g.limits.Ops * g.limits.Nodes
	}
	n := c.Count(len(g.ops)-1, limit, "operations")
	for i := 1; i <= n && c.Err() == nil; i++ {
		if c.Reading() {
			g.ops = append(g.ops, Op{})
		}
		o := &g.ops[i]
		if !g.slot(c, &o.key, uint32(i)) {
			continue
		}
		snapshot.Uint(c, &o.Node, math.MaxUint32)
		snapshot.Uint(c, &o.Peer, math.MaxUint32)
		snapshot.Uint(c, &o.Role, call.RoleConsumer)
		c.String(&o.Name)
		c.Time(&o.LastSeen)
		if c.Reading() {
			if !g.hasNode(o.Node, false) || !g.hasNode(o.Peer, true) {
				c.Fail(fmt.Sprintf("operation %d has no node", i))
				return
			}
			g.nodes[o.Node].ops++
		}
	}
}

func (g *Graph) snapshotInstances(c *snapshot.Codec) {
	limit := g.limits.AllInstances
	if limit == 0 {
		limit = g.limits.Instances * g.limits.Nodes
	}
	n := c.Count(len(g.instances)-1, limit, "instances")
	for i := 1; i <= n && c.Err() == nil; i++ {
		if c.Reading() {
			g.instances = append(g.instances, Instance{})
		}
		in := &g.instances[i]
		if !g.slot(c, &in.key, uint32(i)) {
			continue
		}
		snapshot.Uint(c, &in.Node, math.MaxUint32)
		c.String(&in.Name)
		c.String(&in.Version)
		c.String(&in.Host)
		c.String(&in.Zone)
		c.Time(&in.FirstSeen)
		c.Time(&in.LastSeen)
		c.Time(&in.placed)
		if c.Reading() {
			if !g.hasNode(in.Node, false) {
				c.Fail(fmt.Sprintf("instance %d has no node", i))
				return
			}
			g.nodes[in.Node].replicas++
		}
	}
}

// slot passes the key under which handle i is found; it returns false for a free one.
func (g *Graph) slot(c *snapshot.Codec, key *uint64, i uint32) bool {
	held := *key != 0
	if c.Bool(&held); !held || c.Err() != nil {
		return false
	}
	c.Key(key)
	if c.Reading() {
		if _, twice := g.byKey[*key]; twice || *key == 0 {
			c.Fail("a key is there twice, or is none")
			return false
		}
		g.byKey[*key] = i
	}
	return true
}

func (g *Graph) hasNode(n NodeID, none bool) bool {
	return n == 0 && none || n != 0 && int(n) < len(g.nodes) && g.nodes[n].key != 0
}

// HasOp and HasInstance say whether a handle stands for something; HasNode does, and lets 0 pass.
func (g *Graph) HasOp(id OpID) bool { return int(id) < len(g.ops) && g.ops[id].key != 0 }
func (g *Graph) HasInstance(id InstanceID) bool {
	return int(id) < len(g.instances) && g.instances[id].key != 0
}
func (g *Graph) HasNode(id NodeID) bool { return g.hasNode(id, true) }

// NumNodes returns one more than the highest node handle.
func (g *Graph) NumNodes() int { return len(g.nodes) }

func (g *Graph) snapshotEdges(c *snapshot.Codec) {
	edges := g.sortedEdges()
	n := c.Count(len(edges), g.limits.Edges, "edges")
	for i := 0; i < n && c.Err() == nil; i++ {
		var e Edge
		var seen int64
		if !c.Reading() {
			e, seen = edges[i], g.edges[edges[i]]
		}
		snapshot.Uint(c, &e.From, math.MaxUint32)
		snapshot.Uint(c, &e.To, math.MaxUint32)
		c.Time(&seen)
		if c.Reading() {
			if !g.hasNode(e.From, false) || !g.hasNode(e.To, false) {
				c.Fail("an edge has no ends")
				return
			}
			g.edges[e] = seen
		}
	}
}

func (g *Graph) sortedEdges() []Edge {
	edges := make([]Edge, 0, len(g.edges))
	for e := range g.edges {
		edges = append(edges, e)
	}
	slices.SortFunc(edges, func(a, b Edge) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
	return edges
}

// Postpone takes by nanoseconds in which nobody looked off the time that all has been idle.
func (g *Graph) Postpone(by int64) {
	for i := range g.nodes {
		g.nodes[i].LastSeen += by
	}
	for i := range g.ops {
		g.ops[i].LastSeen += by
	}
	for i := range g.instances {
		g.instances[i].LastSeen += by
		g.instances[i].placed += by
	}
	clear(g.linked[:])
	for e, seen := range g.edges {
		g.edges[e] = seen + by
	}
}
