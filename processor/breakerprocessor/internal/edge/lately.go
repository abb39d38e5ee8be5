// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/inflight"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/retry"
)

// Lately is what the last window of an edge came to.
type Lately struct {
	Sums    circuit.Sums
	Effects Effects
	// Entries are all requests that entered the system.
	Entries uint32
	// InFlight is how many calls there were at a time, on average.
	InFlight float64
	// Saturated: as many are in flight as ever, and they take far longer.
	Saturated bool
	// Amplification is how many calls were made for one that was wanted, as far as traces were told of.
	Amplification float64
}

// Lately sums up the last window.
func (t *Table) Lately(e *Edge, now int64) Lately {
	l := Lately{Sums: e.Sums(now-t.span, now), Effects: e.Effects(now-t.span, now), Entries: t.Entries(now-t.span, now)}
	l.InFlight = inflight.Little(l.Sums.Busy, t.span)
	took := float64(l.Sums.Busy) / max(float64(l.Sums.Calls), 1)
	l.Saturated = inflight.Saturated(l.InFlight, e.usual.load.Usual(), took, e.usual.duration())
	to := t.told(now)
	a := e.attempts(to-t.storm.Window, to)
	l.Amplification = retry.Amplification(uint64(a.Calls), uint64(a.Attempts))
	return l
}

// Faults are how many failures of the window began here, and how many further down.
func (e *Edge) Faults() (here, deeper uint32) {
	if e.Hot == nil {
		return 0, 0
	}
	t := e.Hot.troubles.Last(e.Hot.troubles.Len())
	return minus(t.bad, t.pending), t.deeper
}

// Limit is how many calls should be in flight at most, 0: not known. It follows from the mean, which tells nothing of bursts
// where hardly a call is in flight.
func (e *Edge) Limit() uint32 {
	if usual := e.usual.load.Usual(); usual >= 1 {
		return inflight.Limit(usual)
	}
	return 0
}

// Storm says that retries are more than the callee can bear.
func (e *Edge) Storm() bool { return e.Hot != nil && e.Hot.storm.Storm() }

// Handle is a small number for the edge, from 1. Another may get it when the edge is gone.
func (e *Edge) Handle() uint32 { return e.handle }

// Operation is that of an edge by operation, else empty.
func (e *Edge) Operation() string { return e.operation }

// Rest is how long after a failed call its trace is taken to be told in full, in nanoseconds: half a window at most,
// so that the other half can be judged by what it told.
func (t *Table) Rest() int64 { return min(t.lag.wait+restMore, t.span/2) }
