// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"slices"
	"strings"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
)

// otherOperations is the operation of calls beyond Settings.MaxOperations.
const otherOperations = "*"

// meet finds or makes the edge of a call whose key is not in the table: nil when the table is full.
func (t *Table) meet(key uint64, by *Service, c *call.Call) *Edge {
	caller, callee := by.Name, c.Peer.String()
	if rule := t.ruleFor(caller, callee); rule != nil && rule.ByOperation {
		return t.meetOperation(key, Node{Key: by.Key, Name: caller, Kind: call.NodeService}, Node{Key: c.Peer.Key(), Name: callee, Kind: c.Peer.Kind}, c)
	}
	if !t.room() {
		return nil
	}
	return t.add(key, t.node(by.Key, caller, call.NodeService), t.node(c.Peer.Key(), callee, c.Peer.Kind), "")
}

// meetOperation does so where the rules want an edge for each operation.
func (t *Table) meetOperation(pair uint64, caller, callee Node, c *call.Call) *Edge {
	operation := c.Operation.String()
	key := mix(pair, c.Operation.Key())
	if e := t.edges[key]; e != nil {
		return e
	}
	if t.operations[pair] >= t.set.MaxOperations {
		t.OperationsFull++
		operation, key = otherOperations, mix(pair, 0)
		if e := t.edges[key]; e != nil {
			return e
		}
	}
	if !t.room() {
		return nil
	}
	t.operations[pair]++
	return t.add(key, t.node(caller.Key, caller.Name, caller.Kind), t.node(callee.Key, callee.Name, callee.Kind), strings.Clone(operation))
}

func (t *Table) add(key uint64, caller, callee *Node, operation string) *Edge {
	e := &Edge{
		Caller: caller, Callee: callee,
		key:       key,
		operation: operation,
		pulses:    newPulses(t.set.Buckets+1, t.set.Bucket),
		lastSeen:  t.head,
		folded:    t.head,
		place:     int32(len(t.order)),
	}
	caller.refs++
	callee.refs++
	e.Breaker = circuit.New(t.configFor(e), key, t.warm)
	t.edges[key] = e
	t.order = append(t.order, e)
	e.handle = t.handles.take(e)
	t.force(e)
	return e
}

// node finds or makes one end of an edge. It lives as long as an edge has it.
func (t *Table) node(key uint64, name string, kind call.NodeKind) *Node {
	n := t.nodes[key]
	if n == nil {
		n = &Node{Key: key, Name: strings.Clone(name), Kind: kind}
		t.nodes[key] = n
	}
	return n
}

func (t *Table) leave(n *Node) {
	if n.refs--; n.refs == 0 {
		delete(t.nodes, n.Key)
	}
}

func (t *Table) remove(e *Edge) {
	t.detach(e)
	t.handles.give(e.handle)
}

// detach takes the edge out of the table; its handle still stands for it.
func (t *Table) detach(e *Edge) {
	if e.active {
		e.active = false
		t.active = slices.DeleteFunc(t.active, func(a *Edge) bool { return a == e })
	}
	last := t.order[len(t.order)-1]
	t.order[e.place], last.place = last, e.place
	t.order[len(t.order)-1] = nil
	t.order = t.order[:len(t.order)-1]
	delete(t.edges, e.key)
	for _, a := range t.aliases[e.key] {
		delete(t.edges, a.key)
		t.handles.give(a.handle)
	}
	t.aliasCount -= len(t.aliases[e.key])
	delete(t.aliases, e.key)
	if e.operation != "" {
		pair := mix(e.Caller.Key, e.Callee.Key)
		if t.operations[pair]--; t.operations[pair] == 0 {
			delete(t.operations, pair)
		}
	}
	delete(t.queues, e.handle)
	t.leave(e.Caller)
	t.leave(e.Callee)
	e.place = -1
}

// handles are small numbers for edges, from 1. One that is given back is used again: who kept it must not care.
type handles struct {
	edges []*Edge
	free  []uint32
}

func (h *handles) take(e *Edge) uint32 {
	if n := len(h.free); n > 0 {
		i := h.free[n-1]
		h.free = h.free[:n-1]
		h.edges[i-1] = e
		return i
	}
	h.edges = append(h.edges, e)
	return uint32(len(h.edges))
}

func (h *handles) give(i uint32) {
	if i == 0 {
		return
	}
	h.edges[i-1] = nil
	h.free = append(h.free, i)
}

// pass has handle i stand for another edge.
func (h *handles) pass(i uint32, to *Edge) { h.edges[i-1] = to }

func (h *handles) edge(i uint32) *Edge {
	if i == 0 || int(i) > len(h.edges) {
		return nil
	}
	return h.edges[i-1]
}
