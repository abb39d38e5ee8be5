// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

// State is the name of a breaker's state.
type State uint8

const (
	Closed State = iota
	Open
	HalfOpen
	// ForcedOpen, by hand: no call is admitted, however long it takes.
	ForcedOpen
	// Disabled, by hand: all calls are admitted, and nothing follows.
	Disabled
	// NumStates is how many a Breaker has.
	NumStates = iota
)

// MetricsOnly is a Gate's alone: all calls are admitted and counted, and nothing follows.
const MetricsOnly State = NumStates

// String is the state's name in attributes, events and metrics.
func (s State) String() string {
	return [...]string{"closed", "open", "half_open", "forced_open", "disabled", "metrics_only"}[s]
}

// Reason says why a breaker changed its state.
type Reason uint8

const (
	// NoReason: it never did.
	NoReason Reason = iota
	// FailureRate: the failure rate rule.
	FailureRate
	// FastFailureRate: the fast rule.
	FastFailureRate
	// FailureLoad: the load rule.
	FailureLoad
	// OpenElapsed: the open time is over, the calls that start now are verified.
	OpenElapsed
	// StillFailing: verified calls fail.
	StillFailing
	// Recovered: verified calls succeed.
	Recovered
	// Forgotten: no calls for so long that the state means nothing any more.
	Forgotten
	// Consecutive: so many calls failed one after the other.
	Consecutive
	// FailureCount: so many calls of the window failed.
	FailureCount
	// SlowRate: too large a share of the calls was slow.
	SlowRate
	// ProbeTimeout: half-open for too long, and not decided.
	ProbeTimeout
	// Manual: somebody said so.
	Manual
)

// String is the reason's name in attributes and events.
func (r Reason) String() string {
	return [...]string{
		"", "failure_rate", "fast_failure_rate", "failure_load", "open_elapsed", "still_failing", "recovered", "forgotten",
		"consecutive", "failure_count", "slow_rate", "probe_timeout", "manual",
	}[r]
}

// Transition is one change of state.
type Transition struct {
	From, To State
	Reason   Reason
	// At is when, in unix nanoseconds of event time.
	At int64
	// Evidence is the sums that decided; OpenElapsed, Forgotten and Manual have none.
	Evidence Sums
	// Attempt counts the open periods since the breaker was last trusted: 0 for the first.
	Attempt uint8
	// Until is when an open period ends; 0 for other states.
	Until int64
	// Obedience is the share of the usual calls, 0..1, that stayed away while it was open; -1: not measured. A
	// Gate, whose callers ask, measures none and leaves it 0, and Admit too.
	Obedience float64
	// Admit is the share of the calls, 0..1, to let through from now on.
	Admit float64
}
