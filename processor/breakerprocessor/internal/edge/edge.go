// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package edge keeps the table of who calls whom: for each edge the outcomes of its calls in a window of
// event time, what is usual there, and a circuit breaker. It knows no clock and no telemetry.
package edge

import (
	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/window"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
)

// UnknownCaller is the caller of an edge that only its callee's spans tell of.
const UnknownCaller = "unknown"

// Edge is one caller -> callee. Ten thousand of them are held at a time: what only failures need is in Hot.
type Edge struct {
	Caller, Callee *Node
	Breaker        circuit.Breaker
	// Hot is nil while the edge has no failures.
	Hot *Hot

	key       uint64
	operation string // of an edge by operation
	rule      *Rule  // nil: none of the settings' is about it
	pulses    window.Ring[pulse, *pulse]
	usual     usual
	lastSeen  int64
	folded    int64 // when usual last took a window
	handle    uint32
	place     int32 // in Table.order; -1: gone
	active    bool
	stalled   bool
}

// Node is one end of edges.
type Node struct {
	Key  uint64
	Name string
	Kind call.NodeKind
	refs int32
	// Of the edges with failures, as of the last step: how many breakers on its own calls are open or half open, and the
	// first edge to it on which calls are retried, else the first at all.
	cuts  int32
	above *Edge
}

// Name is the edge for people, "caller->callee", and the operation where the edge is of one.
func (e *Edge) Name() string {
	if e.Hot != nil && e.Hot.name != "" {
		return e.Hot.name
	}
	name := e.Caller.Name + "->" + e.Callee.Name
	if e.operation != "" {
		name += " " + e.operation
	}
	if e.Hot != nil {
		e.Hot.name = name
	}
	return name
}

// mix makes an edge's key of its nodes' keys.
func mix(caller, callee uint64) uint64 {
	h := (caller ^ callee>>32 ^ callee<<32) * 0x9e3779b97f4a7c15
	h = (h ^ callee ^ h>>29) * 0xbf58476d1ce4e5b9
	return h ^ h>>32
}
