// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package edge keeps the table of who calls whom: for each edge the outcomes of its calls in a window of
// event time, and a circuit breaker. It knows no clock and no telemetry.
package edge

import (
	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/window"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
)

// UnknownCaller is the caller of an edge that only its callee's spans tell of.
const UnknownCaller = "unknown"

// Edge is one caller -> callee.
type Edge struct {
	Caller, Callee string
	Kind           call.NodeKind // of the callee
	Breaker        circuit.Breaker

	// Past is nil until the breaker's first transition.
	Past *Past
	// The newest call that failed, as an example.
	BadTrace [16]byte
	BadSpan  uint64

	key, caller, callee uint64
	name                string
	outcomes            window.Ring[circuit.Sums, *circuit.Sums]
	lastSeen            int64
	place               int // in Table.order; -1: gone
	active              bool
	aliases             []uint64 // further keys in Table.edges
}

// Past is what the breaker did last.
type Past struct {
	// Last is its last transition, Cause the last that opened it.
	Last, Cause circuit.Transition
}

// Name is the edge for people, "caller->callee".
func (e *Edge) Name() string {
	if e.name == "" {
		e.name = e.Caller + "->" + e.Callee
	}
	return e.name
}

// Key is the edge's identity.
func (e *Edge) Key() uint64 { return e.key }

// Sums are the outcomes of the calls that ended in [from, to), in whole buckets.
func (e *Edge) Sums(from, to int64) circuit.Sums { return e.outcomes.Sum(from, to) }

// mix makes an edge's key of its nodes' keys.
func mix(caller, callee uint64) uint64 {
	h := (caller ^ callee>>32 ^ callee<<32) * 0x9e3779b97f4a7c15
	h = (h ^ callee ^ h>>29) * 0xbf58476d1ce4e5b9
	return h ^ h>>32
}
