// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

import "math"

// state is what a breaker does in one of its states other than closed. A method that returns true wants the
// transition done. Sums come by value: by reference they would all end up on the heap.
type state interface {
	name() State
	// step decides at time now.
	step(b *Breaker, now int64, r Recent) (Transition, bool)
	// call takes a call that was observed, with the time when it started.
	call(start int64, one Sums)
	// amend corrects what call has counted.
	amend(start int64, from, to Sums)
	// obedience is the share of the usual calls that stay away; false: not known.
	obedience(cfg *Config, now int64) (float64, bool)
	// admit is the share of the calls to let through.
	admit(cfg *Config) float64
	// move shifts the state's times by d: the clock was wrong.
	move(d int64)
}

// Breaker is one circuit breaker that observes calls and stops none. The zero value is not usable: New. There are
// many thousands of them, nearly all closed: closed needs no memory of its own.
type Breaker struct {
	cfg    *Config
	other  state // nil: closed
	closed closed
	fence  int64 // calls that started before tell of the past; math.MinInt64: none does
	seed   uint32
	// Of the present open period, or the last one; opened: there was one that is not forgotten.
	attempt  uint8
	relapses uint8
	opened   bool
}

// New makes a closed breaker. seed is a stable key of what it watches: the open times of two breakers differ
// by it, so that they don't all turn at once. The breaker is mute, and stays closed, until warm (unix nanoseconds).
func New(cfg *Config, seed uint64, warm int64) Breaker {
	return Breaker{cfg: cfg, seed: uint32(seed ^ seed>>32), closed: closed{since: warm}, fence: math.MinInt64}
}

// State is the present state.
func (b *Breaker) State() State {
	if b.other == nil {
		return Closed
	}
	return b.other.name()
}

// Call takes a call that was observed, with its start time in unix nanoseconds. It returns false for a call that
// started before the calls were verified that closed the breaker: such a call, however late it ends, tells of the past
// and must not be counted in the window. A breaker that is not closed has all of them counted: they are news of the
// callee, and verification on a quiet edge, and half-open, go by the start.
func (b *Breaker) Call(start int64, one Sums) bool {
	if b.other == nil {
		return start >= b.fence
	}
	b.other.call(start, one)
	return true
}

// Amend says that a call which was given to Call as from has turned out to be to: what the present state has
// counted of it is corrected. start must be the one that was given then.
func (b *Breaker) Amend(start int64, from, to *Sums) {
	if b.other != nil {
		b.other.amend(start, *from, *to)
	}
}

// Step decides at time now, unix nanoseconds; recent is what is known of the calls up to then. At most one
// transition a step. Time must not go back between steps, except by Move.
func (b *Breaker) Step(now int64, recent *Recent) (Transition, bool) {
	if b.other == nil {
		return b.closed.step(b, now, recent)
	}
	return b.other.step(b, now, *recent)
}

// Attempt is that of the present open period, or of the one before a half-open breaker; 0 in other states.
func (b *Breaker) Attempt() uint8 {
	if b.other == nil {
		return 0
	}
	return b.attempt
}

// Until is when the present open period ends, unix nanoseconds; 0 in other states. It moves on, without a
// transition, for as long as calls flow all the same and fail.
func (b *Breaker) Until() int64 {
	if o, ok := b.other.(*open); ok {
		return o.until
	}
	return 0
}

// Admit is the share of the calls, 0..1, that a caller who obeys lets through.
func (b *Breaker) Admit() float64 {
	if b.other == nil {
		return 1
	}
	return b.other.admit(b.cfg)
}

// Obedience is the share of the usual calls, 0..1, that stayed away in the last open period, or so far in the
// first one; false when it is closed or set by hand, and nothing is measured.
func (b *Breaker) Obedience(now int64) (float64, bool) {
	if b.other == nil {
		return 0, false
	}
	return b.other.obedience(b.cfg, now)
}

// Verified are the calls that an open or half-open breaker has before its eyes to judge; zero in other states.
func (b *Breaker) Verified() Sums {
	switch s := b.other.(type) {
	case *open:
		return s.seen
	case *halfOpen:
		return s.seen
	}
	return Sums{}
}

// Forget closes the breaker for want of calls. What was set by hand stays.
func (b *Breaker) Forget(now int64) (Transition, bool) {
	if s := b.State(); s != Open && s != HalfOpen {
		return Transition{}, false
	}
	return b.anew(now, nil, now, math.MinInt64, Forgotten), true
}

// Force sets the state by hand: ForcedOpen, Disabled, or Closed, which is automatic again. It begins anew: no
// attempt is remembered, and a closed one is mute until Window holds none but calls from now on. false: it was in
// that state already, or the state can't be set.
func (b *Breaker) Force(now int64, to State) (Transition, bool) {
	if to == b.State() {
		return Transition{}, false
	}
	switch to {
	case Closed:
		return b.anew(now, nil, now+b.cfg.Window, now, Manual), true
	case ForcedOpen:
		return b.anew(now, forcedOpen{}, now, math.MinInt64, Manual), true
	case Disabled:
		return b.anew(now, disabled{}, now, math.MinInt64, Manual), true
	}
	return Transition{}, false
}

// Move shifts all the breaker's times by d nanoseconds: the clock was found to be wrong by so much.
func (b *Breaker) Move(d int64) {
	b.closed.since += d
	if b.fence != math.MinInt64 {
		b.fence += d
	}
	if b.other != nil {
		b.other.move(d)
	}
}

// anew puts the breaker into a state with nothing remembered.
func (b *Breaker) anew(now int64, to state, warm, fence int64, why Reason) Transition {
	b.attempt, b.relapses, b.opened = 0, 0, false
	t := b.become(now, to, why, Sums{})
	b.closed.since, b.fence = max(b.closed.since, warm), fence
	return t
}

// become changes the state.
func (b *Breaker) become(now int64, to state, why Reason, evidence Sums) Transition {
	t := Transition{From: b.State(), Reason: why, At: now, Evidence: evidence, Obedience: -1, Attempt: b.attempt}
	if share, ok := b.Obedience(now); ok {
		t.Obedience = share
	}
	b.other = to
	t.To, t.Until, t.Admit = b.State(), b.Until(), b.Admit()
	return t
}

// trip opens the breaker; what it was told of obedience before, if anything, holds until there is something newer.
func (b *Breaker) trip(now int64, why Reason, evidence Sums, r *Recent) (Transition, bool) {
	o := &open{
		trial: newTrial(now), well: math.MaxInt64,
		from: now, until: now + b.openTime(), expected: r.Expected, measured: -1,
	}
	if share, ok := b.Obedience(now); ok {
		o.measured = share
	}
	b.fence, b.opened = now, true
	return b.become(now, o, why, evidence), true
}

// close ends the open spell.
func (b *Breaker) close(now int64, evidence Sums) (Transition, bool) {
	b.closed.since = now
	return b.become(now, nil, Recovered, evidence), true
}

// further counts one more open period.
func (b *Breaker) further() { b.attempt = uint8(min(int(b.attempt)+1, math.MaxUint8)) }

// openTime is how long the breaker stays open at its present attempt.
func (b *Breaker) openTime() int64 {
	t := OpenTime{First: b.cfg.OpenDuration, Max: b.cfg.MaxOpenDuration, Multiplier: 2, Jitter: b.cfg.Jitter}
	return t.of(uint64(b.seed), b.attempt)
}

// healthyTime is for how long the calls that flow all the same must be well: longer for a callee that failed
// again soon after they were.
func (b *Breaker) healthyTime() int64 {
	t := OpenTime{First: b.cfg.Window, Max: b.cfg.MaxOpenDuration, Multiplier: 2}
	return t.of(0, b.relapses)
}
