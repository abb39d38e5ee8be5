// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package graph

import "strings"

// Evict forgets what was not seen since before. It calls node, op and instance for every handle that becomes
// free, so that what was kept under it can be forgotten too. Nothing evicted may still be referred to.
func (g *Graph) Evict(before int64, node func(NodeID), op func(OpID), instance func(InstanceID)) {
	clear(g.recent[:])
	clear(g.linked[:])
	for e, seen := range g.edges {
		if seen < before {
			delete(g.edges, e)
		}
	}
	for i := 1; i < len(g.ops); i++ {
		if o := &g.ops[i]; o.key != 0 && o.LastSeen < before {
			delete(g.byKey, o.key)
			g.nodes[o.Node].ops--
			*o = Op{}
			g.freeOps = append(g.freeOps, OpID(i))
			op(OpID(i))
		}
	}
	for i := 1; i < len(g.instances); i++ {
		if in := &g.instances[i]; in.key != 0 && in.LastSeen < before {
			delete(g.byKey, in.key)
			g.nodes[in.Node].replicas--
			*in = Instance{}
			g.freeInst = append(g.freeInst, InstanceID(i))
			instance(InstanceID(i))
		}
	}
	g.evictNodes(before, node)
}

func (g *Graph) evictNodes(before int64, node func(NodeID)) {
	kept := len(g.freeNodes)
	for i := 1; i < len(g.nodes); i++ {
		n := &g.nodes[i]
		if n.key != 0 && n.LastSeen < before && n.ops == 0 && n.replicas == 0 {
			delete(g.byKey, n.key)
			*n = Node{}
			g.freeNodes = append(g.freeNodes, NodeID(i))
			node(NodeID(i))
		}
	}
	if len(g.freeNodes) == kept {
		return
	}
	// All at once: thousands may go together.
	for i := range g.nodes {
		if a := &g.nodes[i].alias; a.to != 0 && g.nodes[a.to].key == 0 {
			*a = alias{}
		}
	}
	for e := range g.edges {
		if g.nodes[e.From].key == 0 || g.nodes[e.To].key == 0 {
			delete(g.edges, e)
		}
	}
}

// Rewind takes back what was seen after now: the clock was wrong.
func (g *Graph) Rewind(now int64) {
	clear(g.linked[:])
	for i := range g.nodes {
		g.nodes[i].LastSeen = min(g.nodes[i].LastSeen, now)
	}
	for i := range g.ops {
		g.ops[i].LastSeen = min(g.ops[i].LastSeen, now)
	}
	for i := range g.instances {
		in := &g.instances[i]
		in.FirstSeen, in.LastSeen = min(in.FirstSeen, now), min(in.LastSeen, now)
	}
	for e, seen := range g.edges {
		g.edges[e] = min(seen, now)
	}
}

func clone(s string) string { return strings.Clone(s) }
