// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/storm"
)

// Kind is what an Event tells of.
type Kind uint8

const (
	// Changed: the breaker changed its state; Transition.
	Changed Kind = iota
	// Suppressed: a rule wanted to open and was held back; Rule, Evidence, and the edge's Withheld.
	Suppressed
	// Stalled: hardly any call ends any more, though the caller is asked as ever; and when that is over, Stalled
	// of the edge is false.
	Stalled
	// InstanceSick: the edge's Ejected or Degraded changed.
	InstanceSick
	// RetryStorm: Storm.
	RetryStorm
	// Backlog: messages wait longer and longer for the consumer.
	Backlog
)

// Event is something that happened on an edge.
type Event struct {
	Kind       Kind
	Edge       *Edge
	At         int64
	Transition circuit.Transition
	Rule       circuit.Reason
	Evidence   circuit.Sums
	Storm      storm.Event
	Wait       int64 // nanoseconds, of messages
}

// Withheld is why a breaker stayed closed though a rule wanted it to open.
type Withheld uint8

const (
	// NotWithheld: none wanted it, or it opened.
	NotWithheld Withheld = iota
	// OnlyFailures: nothing but failures comes this way.
	OnlyFailures
	// DeeperOpen: a breaker further down is open.
	DeeperOpen
	// CallerSide: too few of the caller's instances fail, and others are well.
	CallerSide
	// InstanceSide: few of the callee's instances fail, and others are well.
	InstanceSide
	// Capped: as many are open as may be.
	Capped
)

// String is the reason's name in events and metrics.
func (w Withheld) String() string {
	return [...]string{"", "only_failures", "deeper_open", "caller_side", "instance_side", "max_open_share"}[w]
}
