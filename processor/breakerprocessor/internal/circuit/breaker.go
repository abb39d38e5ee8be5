// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

import "math"

// State is the name of a breaker's state.
type State uint8

const (
	Closed State = iota
	Open
	HalfOpen
	NumStates = iota
)

// States that are set by hand, and on a Gate alone: a Breaker, which has NumStates of them, is never there.
const (
	// ForcedOpen: no call is admitted, however long it takes.
	ForcedOpen State = NumStates + iota
	// Disabled: all calls are admitted, none is counted.
	Disabled
	// MetricsOnly: all calls are admitted and counted, and nothing follows.
	MetricsOnly
)

// String is the state's name in attributes, events and metrics.
func (s State) String() string {
	return [...]string{"closed", "open", "half_open", "forced_open", "disabled", "metrics_only"}[s]
}

// Reason says why a breaker changed its state.
type Reason uint8

const (
	// NoReason: it never did.
	NoReason Reason = iota
	// FailureRate: the slow rule.
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
	// Consecutive: so many calls failed one after the other. This and the following are a Gate's alone.
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
	// Evidence is the sums that decided; OpenElapsed has none.
	Evidence Sums
	// Attempt counts the open periods since the breaker was last trusted: 0 for the first.
	Attempt uint8
	// Until is when an open period ends; 0 for other states.
	Until int64
}

// state is what a breaker does in one of its states. A method that returns true wants the transition done.
type state interface {
	name() State
	// step decides at time now.
	step(b *Breaker, now int64, recent *Recent) (Transition, bool)
	// call takes a call that was observed, with the time when it started, and says whether it tells anything
	// of the present.
	call(start int64, one Sums) bool
	// move shifts the state's times by d: the clock was wrong.
	move(d int64)
}

// Breaker is one circuit breaker. The zero value is not usable: New.
type Breaker struct {
	cfg   *Config
	state state
	seed  uint64
}

// New makes a closed breaker. seed is a stable key of what it watches: the open times of two breakers differ
// by it, so that they don't all turn at once. The breaker is mute, and stays closed, until warm (unix nanoseconds).
func New(cfg *Config, seed uint64, warm int64) Breaker {
	return Breaker{cfg: cfg, seed: seed, state: &closed{warm: warm, since: math.MinInt64, fence: math.MinInt64}}
}

// State is the present state.
func (b *Breaker) State() State { return b.state.name() }

// Call takes a call that was observed, with its start time in unix nanoseconds. It returns false for a call
// that started before the last open period was over: such a call, however late it ends, tells of the past and
// must not be counted in the window.
func (b *Breaker) Call(start int64, one Sums) bool { return b.state.call(start, one) }

// Step decides at time now, unix nanoseconds; recent are the sums of the window that ends there. At most one
// transition a step. Time must not go back between steps, except by Move.
func (b *Breaker) Step(now int64, recent *Recent) (Transition, bool) {
	return b.state.step(b, now, recent)
}

// Forget closes the breaker for want of calls.
func (b *Breaker) Forget(now int64) (Transition, bool) {
	from := b.state.name()
	if from == Closed {
		return Transition{}, false
	}
	b.state = &closed{since: math.MinInt64, warm: math.MinInt64, fence: math.MinInt64}
	return Transition{From: from, To: Closed, Reason: Forgotten, At: now}, true
}

// Move shifts all the breaker's times by d nanoseconds: the clock was found to be wrong by so much.
func (b *Breaker) Move(d int64) { b.state.move(d) }

// Verified are the calls that a half-open breaker has judged so far; zero in other states.
func (b *Breaker) Verified() Sums {
	if h, ok := b.state.(*halfOpen); ok {
		return h.seen
	}
	return Sums{}
}

// trip opens the breaker for the given attempt.
func (b *Breaker) trip(now int64, why Reason, evidence Sums, attempt uint8) (Transition, bool) {
	from := b.state.name()
	until := now + b.openTime(attempt)
	b.state = &open{until: until, attempt: attempt}
	return Transition{From: from, To: Open, Reason: why, At: now, Evidence: evidence, Attempt: attempt, Until: until}, true
}

// openTime is how long the breaker stays open at its attempt-th return to open.
func (b *Breaker) openTime(attempt uint8) int64 {
	t := OpenTime{First: b.cfg.OpenDuration, Max: b.cfg.MaxOpenDuration, Multiplier: 2, Jitter: b.cfg.Jitter}
	return t.of(b.seed, attempt)
}
