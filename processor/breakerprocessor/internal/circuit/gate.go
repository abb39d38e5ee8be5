// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

import "math"

// Outcome is how a call ended, as far as a Gate is concerned.
type Outcome uint8

const (
	OK Outcome = iota
	Fail
	// Throttled: refused for want of capacity. Bad like a failure, but not one of a row of failures.
	Throttled
	// Ignored: tells nothing of the callee.
	Ignored
)

// gateState is what a Gate does in one of its states.
type gateState interface {
	name() State
	// admit says whether a call may begin now.
	admit(g *Gate, now int64) bool
	// record takes the result of a call that was admitted at start.
	record(g *Gate, now, start int64, r result)
}

// result is how one call ended.
type result struct {
	outcome Outcome
	slow    bool
}

func (r result) bad() bool { return r.outcome == Fail || r.outcome == Throttled }

// counts is the one call as a number of them.
func (r result) counts() Counts {
	c := Counts{Calls: 1}
	if r.bad() {
		c.Bad = 1
	}
	if r.slow {
		c.Slow = 1
	}
	return c
}

// Gate is one circuit breaker for callers who ask before they call, and obey. It knows no clock: times are
// handed in, unix nanoseconds, and must not go back. Not for concurrent use. The zero value is not usable: NewGate.
type Gate struct {
	cfg     *GateConfig
	seed    uint64
	changed func(Transition)
	state   gateState
}

// NewGate makes a closed gate. seed is a stable key of what it guards: the open times of two gates differ by it.
// changed is told of every transition, also of one that was due earlier and is noticed only now; nil: nobody is.
func NewGate(cfg *GateConfig, seed uint64, changed func(Transition)) *Gate {
	return &Gate{cfg: cfg, seed: seed, changed: changed, state: newGateClosed(cfg, math.MinInt64)}
}

// State is the present state. An open period that is over, and a half-open one that took too long, are
// noticed by the next call.
func (g *Gate) State() State { return g.state.name() }

// Admit says whether a call may begin now. Every call that was admitted must come back by Record.
func (g *Gate) Admit(now int64) bool { return g.state.admit(g, now) }

// Record takes the result of a call that was admitted at start and ended now, after took nanoseconds. A call
// that was admitted in a period that is over tells of the past: nothing follows from it.
func (g *Gate) Record(now, start int64, outcome Outcome, took int64) {
	g.state.record(g, now, start, result{outcome, g.cfg.SlowDuration > 0 && took > g.cfg.SlowDuration})
}

// Counts is what the present state has before its eyes: the window of a gate that is closed or counts only, the
// results of the probes of a half-open one, nothing in other states.
func (g *Gate) Counts(now int64) Counts {
	if c, ok := g.state.(interface{ counts(int64) Counts }); ok {
		return c.counts(now)
	}
	return Counts{}
}

// Force sets the state by hand. It begins anew, with nothing counted and no attempt remembered.
func (g *Gate) Force(now int64, to State) {
	var s gateState
	var until int64
	switch to {
	case Open:
		until = now + g.cfg.Open.of(g.seed, 0)
		s = &gateOpen{until: until}
	case HalfOpen:
		s = &gateHalfOpen{since: now}
	case ForcedOpen:
		s = gateForcedOpen{}
	case Disabled:
		s = gateDisabled{}
	case MetricsOnly:
		s = &gateMetricsOnly{newGateClosed(g.cfg, now)}
	default:
		s = newGateClosed(g.cfg, now)
	}
	g.become(s, Transition{Reason: Manual, At: now, Until: until})
}

// open opens the gate as of time at.
func (g *Gate) open(at int64, why Reason, evidence Counts, attempt uint8) {
	until := at + g.cfg.Open.of(g.seed, attempt)
	g.become(&gateOpen{until: until, attempt: attempt}, Transition{Reason: why, At: at, Evidence: evidence.sums(), Attempt: attempt, Until: until})
}

func (g *Gate) become(s gateState, t Transition) {
	t.From, t.To = g.state.name(), s.name()
	g.state = s
	if g.changed != nil {
		g.changed(t)
	}
}
