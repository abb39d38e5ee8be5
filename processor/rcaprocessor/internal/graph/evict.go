// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package graph

import "strings"

// Evict forgets what was not seen since before. It calls op and instance for every handle that becomes
// free, so that what was kept under it can be forgotten too. Nothing evicted may still be referred to.
func (g *Graph) Evict(before int64, op func(OpID), instance func(InstanceID)) {
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
	for i := 1; i < len(g.nodes); i++ {
		n := &g.nodes[i]
		if n.key != 0 && n.LastSeen < before && n.ops == 0 && n.replicas == 0 {
			g.forget(NodeID(i))
		}
	}
}

func (g *Graph) forget(id NodeID) {
	delete(g.byKey, g.nodes[id].key)
	g.nodes[id] = Node{}
	g.freeNodes = append(g.freeNodes, id)
	for i := range g.nodes {
		if g.nodes[i].alias.to == id {
			g.nodes[i].alias = alias{}
		}
	}
	for e := range g.edges {
		if e.From == id || e.To == id {
			delete(g.edges, e)
		}
	}
}

func clone(s string) string { return strings.Clone(s) }
