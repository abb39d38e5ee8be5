// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package graph

import "github.com/firebreak-otel/firebreak/internal/call"

// Translation gives each handle of one graph the handle of the same thing in another; 0 where that has no room.
type Translation struct {
	Nodes     []NodeID
	Ops       []OpID
	Instances []InstanceID
}

// Merge adds what other holds, known by key, and returns what other's handles are in g.
func (g *Graph) Merge(other *Graph) Translation {
	t := Translation{
		Nodes: make([]NodeID, len(other.nodes)), Ops: make([]OpID, len(other.ops)), Instances: make([]InstanceID, len(other.instances)),
	}
	for i := 1; i < len(other.nodes); i++ {
		if n := &other.nodes[i]; n.key != 0 {
			t.Nodes[i] = g.Node(n.key, n.Kind, n.LastSeen, func() string { return n.Name })
		}
	}
	for i := 1; i < len(other.ops); i++ {
		if o := &other.ops[i]; o.key != 0 {
			t.Ops[i] = g.mergeOp(o, &t)
		}
	}
	for i := 1; i < len(other.instances); i++ {
		if in := &other.instances[i]; in.key != 0 {
			t.Instances[i] = g.mergeInstance(in, &t)
		}
	}
	for i := 1; i < len(other.nodes); i++ {
		if a := other.nodes[i].alias; a.to != 0 && t.Nodes[i] != 0 && t.Nodes[a.to] != 0 {
			a.to = t.Nodes[a.to]
			g.nodes[t.Nodes[i]].alias.merge(a)
		}
	}
	for _, e := range other.sortedEdges() {
		g.Connect(t.Nodes[e.From], t.Nodes[e.To], other.edges[e])
	}
	g.Overflow.Add(other.Overflow)
	return t
}

// mergeOp finds or makes another graph's operation. Its key is made of handles, so it is made anew.
func (g *Graph) mergeOp(o *Op, t *Translation) OpID {
	node, peer := t.Nodes[o.Node], t.Nodes[o.Peer]
	if node == 0 || peer == 0 && o.Peer != 0 {
		return 0
	}
	if o.key == otherKey(o.Node, o.Role, o.Peer) {
		return g.otherOp(node, o.Role, peer, o.LastSeen)
	}
	opKey := unmix(mix(mix(mix(seedOp, uint64(o.Node)), uint64(o.Role)), uint64(o.Peer)), o.key)
	return g.Op(node, o.Role, peer, opKey, o.LastSeen, func() string { return o.Name })
}

func (g *Graph) mergeInstance(in *Instance, t *Translation) InstanceID {
	node := t.Nodes[in.Node]
	if node == 0 {
		return 0
	}
	key := unmix(mix(seedInstance, uint64(in.Node)), in.key)
	r := call.Resource{Instance: in.Name, Version: in.Version, Host: in.Host, Zone: in.Zone}
	id := g.Instance(node, key, max(in.placed, in.FirstSeen), &r) // where it ran counts as of when that was said
	if id != 0 {
		g.Touch(node, id, in.LastSeen)
		g.Touch(node, id, in.FirstSeen)
	}
	return id
}

// unmix returns the v of mix(h, v) == mixed: mix multiplies by an odd number, which has an inverse modulo 2^64.
func unmix(h, mixed uint64) uint64 {
	const inverse = 0x4f74430c22a54005
	return (mixed^mixed>>32)*inverse ^ h
}

// merge adds the answers that another graph saw. Where the two disagree on the service, the better attested one stays.
func (a *alias) merge(b alias) {
	if b.to != a.to && (a.to == 0 || b.ayes > a.ayes || b.ayes == a.ayes && b.to < a.to) {
		*a, b = b, *a
	}
	ayes, nays := int(a.ayes), int(a.nays)+int(b.nays)
	if b.to == a.to {
		ayes += int(b.ayes)
	} else {
		nays += int(b.ayes)
	}
	for ayes > aliasCap || nays > aliasCap {
		ayes, nays = ayes/2, nays/2
	}
	a.ayes, a.nays = uint16(ayes), uint16(nays)
}
