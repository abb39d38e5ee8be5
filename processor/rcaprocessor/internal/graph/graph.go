// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package graph derives the service graph from calls: nodes, what they are asked (operations), the
// replicas that serve (instances), and which address turned out to be which service.
package graph

import (
	"unsafe"

	"github.com/firebreak-otel/firebreak/internal/call"
)

// NodeID, OpID and InstanceID are handles, dense from 1; 0 is none. A handle is reused after its
// holder was evicted.
type (
	NodeID     uint32
	OpID       uint32
	InstanceID uint32
)

// Node is a service, or what services call that emits no spans: a database, a topic, an external party.
type Node struct {
	Kind     call.NodeKind
	Name     string
	LastSeen int64
	key      uint64
	ops      int
	replicas int
	alias    alias
}

// Op is an operation as one side sees it: what a service was asked, or what it asked of Peer.
type Op struct {
	Node     NodeID // whose span it is
	Peer     NodeID // the other side as the span names it; 0 when it names none
	Role     call.Role
	Name     string
	LastSeen int64
	key      uint64
}

// Instance is one replica of a service, at one version.
type Instance struct {
	Node      NodeID
	Name      string
	Version   string
	Host      string // where it ran last, as far as it said; so Zone
	Zone      string
	FirstSeen int64
	LastSeen  int64
	placed    int64 // as of when Host and Zone are
	key       uint64
}

// Edge is a call relation: From calls To, or sends to it; a topic's edge leads to its consumer.
type Edge struct{ From, To NodeID }

// Limits bound a Graph; each must be positive, but that those of all nodes together may be 0 for none.
type Limits struct {
	Nodes        int
	Ops          int // operations of one node
	AllOps       int // operations of all nodes
	Instances    int // instances of one node
	AllInstances int // instances of all nodes
	Edges        int
}

func full(held, free, limit int) bool { return limit > 0 && held-1-free >= limit }

// Overflow counts what did not fit.
type Overflow struct{ Nodes, Ops, Instances, Edges int64 }

// Add adds other's counts.
func (o *Overflow) Add(other Overflow) {
	o.Nodes += other.Nodes
	o.Ops += other.Ops
	o.Instances += other.Instances
	o.Edges += other.Edges
}

// Graph is the service graph. New makes one.
type Graph struct {
	limits    Limits
	nodes     []Node
	ops       []Op
	instances []Instance
	byKey     map[uint64]uint32 // nodes, ops and instances, told apart by their key's seed
	recent    [recentKeys]keyed // what was found in byKey since the last eviction, by the lowest bits of its key
	edges     map[Edge]int64    // last seen
	linked    [recentEdges]struct {
		Edge
		at int64
	} // what was connected since the last eviction
	freeNodes []NodeID
	freeOps   []OpID
	freeInst  []InstanceID
	Overflow  Overflow
}

// New makes an empty graph.
func New(l Limits) *Graph {
	return &Graph{
		limits:    l,
		nodes:     make([]Node, 1),
		ops:       make([]Op, 1),
		instances: make([]Instance, 1),
		byKey:     make(map[uint64]uint32),
		edges:     make(map[Edge]int64),
	}
}

// OtherOp is the name of the operation that stands for those beyond the limit.
const OtherOp = "_other"

// Seeds keep the keys of different kinds apart in one map.
const (
	seedInstance = 0x9ae16a3b2f90404f
	seedOp       = 0xc949c7defebe6cb5
	seedOther    = 0xb492b66fbe98f273
)

func mix(h, v uint64) uint64 {
	h = (h ^ v) * 0xff51afd7ed558ccd
	return h ^ h>>32
}

// recentKeys is a power of two: more than the operations of most systems.
const recentKeys, recentEdges = 1 << 10, 1 << 8

type keyed struct {
	key    uint64
	handle uint32 // 0 for none
}

// find returns the handle under a key.
func (g *Graph) find(key uint64) (uint32, bool) {
	r := &g.recent[key%recentKeys]
	if r.key == key && r.handle != 0 {
		return r.handle, true
	}
	i, ok := g.byKey[key]
	if ok {
		*r = keyed{key, i}
	}
	return i, ok
}

// Node returns the handle of the node with the given key, made by name when it is new; 0 when the graph is full.
func (g *Graph) Node(key uint64, kind call.NodeKind, at int64, name func() string) NodeID {
	if i, ok := g.find(key); ok {
		n := &g.nodes[i]
		n.LastSeen = max(n.LastSeen, at)
		return NodeID(i)
	}
	if len(g.nodes)-1-len(g.freeNodes) >= g.limits.Nodes {
		g.Overflow.Nodes++
		return 0
	}
	var id NodeID
	if k := len(g.freeNodes); k > 0 {
		id, g.freeNodes = g.freeNodes[k-1], g.freeNodes[:k-1]
	} else {
		id = NodeID(len(g.nodes))
		g.nodes = append(g.nodes, Node{})
	}
	g.nodes[id] = Node{Kind: kind, Name: clone(name()), LastSeen: at, key: key}
	g.byKey[key] = uint32(id)
	return id
}

// Lookup returns the node with the given key, 0 when there is none.
func (g *Graph) Lookup(key uint64) NodeID { return NodeID(g.byKey[key]) }

// Op returns the handle of an operation of node; beyond the limit that of OtherOp for the same role and peer.
func (g *Graph) Op(node NodeID, role call.Role, peer NodeID, opKey uint64, at int64, name func() string) OpID {
	key := mix(mix(mix(mix(seedOp, uint64(node)), uint64(role)), uint64(peer)), opKey)
	if i, ok := g.find(key); ok {
		g.ops[i].LastSeen = max(g.ops[i].LastSeen, at)
		return OpID(i)
	}
	if g.nodes[node].ops >= g.limits.Ops {
		g.Overflow.Ops++
		return g.otherOp(node, role, peer, at)
	}
	id := g.newOp(key, Op{Node: node, Peer: peer, Role: role, LastSeen: at}, name)
	if id == 0 {
		g.Overflow.Ops++
	}
	return id
}

// otherOp returns the handle of OtherOp, 0 beyond all limits: roles times peers have a bound too.
func (g *Graph) otherOp(node NodeID, role call.Role, peer NodeID, at int64) OpID {
	key := otherKey(node, role, peer)
	if i, ok := g.find(key); ok {
		g.ops[i].LastSeen = max(g.ops[i].LastSeen, at)
		return OpID(i)
	}
	if g.nodes[node].ops >= 2*g.limits.Ops {
		return 0
	}
	return g.newOp(key, Op{Node: node, Peer: peer, Role: role, LastSeen: at}, func() string { return OtherOp })
}

func otherKey(node NodeID, role call.Role, peer NodeID) uint64 {
	return mix(mix(mix(seedOther, uint64(node)), uint64(role)), uint64(peer))
}

func (g *Graph) newOp(key uint64, o Op, name func() string) OpID {
	if full(len(g.ops), len(g.freeOps), g.limits.AllOps) {
		return 0
	}
	o.Name, o.key = clone(name()), key
	g.nodes[o.Node].ops++
	var id OpID
	if k := len(g.freeOps); k > 0 {
		id, g.freeOps = g.freeOps[k-1], g.freeOps[:k-1]
	} else {
		id = OpID(len(g.ops))
		g.ops = append(g.ops, Op{})
	}
	g.ops[id] = o
	g.byKey[key] = uint32(id)
	return id
}

// Instance returns the handle of a replica of node; 0 beyond the limit.
func (g *Graph) Instance(node NodeID, key uint64, at int64, r *call.Resource) InstanceID {
	key = mix(mix(seedInstance, uint64(node)), key)
	if i, ok := g.find(key); ok {
		in := &g.instances[i]
		in.LastSeen = max(in.LastSeen, at)
		in.FirstSeen = min(in.FirstSeen, at)
		in.place(r, at)
		return InstanceID(i)
	}
	if g.nodes[node].replicas >= g.limits.Instances || full(len(g.instances), len(g.freeInst), g.limits.AllInstances) {
		g.Overflow.Instances++
		return 0
	}
	g.nodes[node].replicas++
	var id InstanceID
	if k := len(g.freeInst); k > 0 {
		id, g.freeInst = g.freeInst[k-1], g.freeInst[:k-1]
	} else {
		id = InstanceID(len(g.instances))
		g.instances = append(g.instances, Instance{})
	}
	g.instances[id] = Instance{
		Node: node, Name: clone(r.Instance), Version: clone(r.Version), FirstSeen: at, LastSeen: at, key: key,
	}
	g.instances[id].place(r, at)
	g.byKey[key] = uint32(id)
	return id
}

// place notes where the replica ran at time at. It may move, and keep its name; one that does not say has not moved.
func (in *Instance) place(r *call.Resource, at int64) {
	if at < in.placed {
		return
	}
	in.placed = at
	if r.Host != "" && r.Host != in.Host {
		in.Host = clone(r.Host)
	}
	if r.Zone != "" && r.Zone != in.Zone {
		in.Zone = clone(r.Zone)
	}
}

// LookupInstance returns the replica of node with the given key, 0 when there is none.
func (g *Graph) LookupInstance(node NodeID, key uint64) InstanceID {
	return InstanceID(g.byKey[mix(mix(seedInstance, uint64(node)), key)])
}

// Touch notes that calls of node and instance were seen.
func (g *Graph) Touch(node NodeID, instance InstanceID, at int64) {
	if n := &g.nodes[node]; at > n.LastSeen {
		n.LastSeen = at
	}
	if in := &g.instances[instance]; at > in.LastSeen {
		in.LastSeen = at
	} else if at < in.FirstSeen {
		in.FirstSeen = at
	}
}

// Connect notes that from calls to; it returns false when the graph holds its most edges already.
func (g *Graph) Connect(from, to NodeID, at int64) bool {
	if from == 0 || to == 0 || from == to {
		return true
	}
	e := Edge{from, to}
	l := &g.linked[(from*31+to)%recentEdges]
	if l.Edge == e && l.at == at {
		return true
	}
	if seen, ok := g.edges[e]; ok || len(g.edges) < g.limits.Edges {
		if !ok || at > seen {
			g.edges[e] = at
		}
		l.Edge, l.at = e, at
		return true
	}
	g.Overflow.Edges++
	return false
}

// NodeAt returns what a handle stands for; so do OpAt and InstanceAt. Valid until the graph changes.
func (g *Graph) NodeAt(id NodeID) *Node             { return &g.nodes[id] }
func (g *Graph) OpAt(id OpID) *Op                   { return &g.ops[id] }
func (g *Graph) InstanceAt(id InstanceID) *Instance { return &g.instances[id] }

// NumOps returns one more than the highest operation handle.
func (g *Graph) NumOps() int { return len(g.ops) }

// NumInstances returns one more than the highest instance handle.
func (g *Graph) NumInstances() int { return len(g.instances) }

// Size returns how many nodes, operations and edges the graph holds.
func (g *Graph) Size() (nodes, ops, edges int) {
	return len(g.nodes) - 1 - len(g.freeNodes), len(g.ops) - 1 - len(g.freeOps), len(g.edges)
}

// Bytes returns about how much memory the graph holds.
func (g *Graph) Bytes() int64 {
	const (
		name = 24                                     // and what else is said of one
		key  = int64(unsafe.Sizeof(keyed{})) * 3 / 2  // and the room that a map leaves
		edge = int64(unsafe.Sizeof(Edge{})+8) * 3 / 2 // likewise
	)
	return int64(unsafe.Sizeof(*g)) + int64(len(g.byKey))*(key+name) + int64(len(g.edges))*edge +
		int64(cap(g.nodes))*int64(unsafe.Sizeof(Node{})) + int64(cap(g.ops))*int64(unsafe.Sizeof(Op{})) +
		int64(cap(g.instances))*int64(unsafe.Sizeof(Instance{})) + 4*int64(cap(g.freeNodes)+cap(g.freeOps)+cap(g.freeInst))
}

// Named calls yield for every node of a name: a service and its address often share one. It looks through all nodes.
func (g *Graph) Named(name string, yield func(NodeID)) {
	for i := range g.nodes {
		if g.nodes[i].key != 0 && g.nodes[i].Name == name {
			yield(NodeID(i))
		}
	}
}

// Edges calls yield for every edge, in no order.
func (g *Graph) Edges(yield func(Edge)) {
	for e := range g.edges {
		yield(e)
	}
}
