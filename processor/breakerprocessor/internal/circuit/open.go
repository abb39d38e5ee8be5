// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

import (
	"math"

	"github.com/firebreak-otel/firebreak/internal/window"
)

// obeyed is the share of the usual calls that must stay away for callers to count as obeying.
const obeyed = 0.5

// open: calls are advised against. When its time is over it leaves for half_open if callers obey. If they don't,
// there is nothing to admit step by step: the calls that flow all the same are verified, window by sliding
// window, and nobody is told of anything until they are well; then it closes.
type open struct {
	trial     // of the calls since the opening, and since they were last found not to be well
	verifying bool
	well      int64 // since when the window has been well; math.MaxInt64: it is not

	from, until int64   // the present period
	calls       uint32  // that started in it
	expected    float64 // a second; 0: unknown
	unseen      int64   // how long it takes for a call that starts to be seen
	measured    float64 // obedience in the period before; -1: there was none
}

func (*open) name() State { return Open }

func (*open) admit(*Config) float64 { return 0 }

func (o *open) call(start int64, one Sums) {
	if start >= o.from {
		o.calls = window.Plus(o.calls, one.Calls)
	}
	o.trial.call(start, one)
}

func (o *open) amend(start int64, from, to Sums) {
	if start >= o.from {
		o.calls = window.Plus(o.calls-min(o.calls, from.Calls), to.Calls)
	}
	o.trial.amend(start, from, to)
}

func (o *open) move(d int64) {
	o.trial.move(d)
	o.well = math.MaxInt64
	o.from += d
	o.until += d
}

func (o *open) obedience(cfg *Config, now int64) (float64, bool) {
	if o.measured >= 0 {
		return o.measured, true
	}
	return o.measure(cfg, now), now > o.from
}

// measure is the obedience of the present period so far.
func (o *open) measure(cfg *Config, now int64) float64 {
	usual := o.expected * float64(now-o.from-o.unseen) / 1e9
	switch {
	case usual < 0: // of the calls that started since none can have been seen
		return 0
	case usual > 0 && usual < float64(cfg.ProbeCalls): // too few to tell some from all
		if o.calls > 0 {
			return 0
		}
	case usual > 0:
		return max(0, 1-float64(o.calls)/usual)
	case o.calls >= cfg.ProbeCalls:
		return 0
	}
	return 1
}

func (o *open) step(b *Breaker, now int64, r Recent) (Transition, bool) {
	if r.Expected > 0 {
		o.expected = r.Expected
	}
	o.unseen = r.Lag
	if n := int64(r.Window.Calls); n > 0 {
		o.unseen += r.Window.Busy / n
	}
	j := b.cfg.judge(&r)
	if o.verified(b, now, &r, &j) && j.mayClose(&r) {
		evidence := o.seen
		if j.enough(&r.Window) {
			evidence = r.Window
		}
		b.fence = max(b.fence, now-b.cfg.Window)
		return b.close(now, evidence)
	}
	if now < o.until {
		return Transition{}, false
	}
	o.measured = o.measure(b.cfg, now)
	if o.measured >= obeyed {
		b.fence = now
		return b.become(now, newHalfOpen(now, o.measured), OpenElapsed, Sums{}), true
	}
	// A callee that got well in the middle of the period is not told to wait for longer, though Window still holds
	// its failures.
	if !j.well(&r.Window) && !j.well(&r.Fast) && !j.well(&o.seen) {
		b.further()
	}
	if !o.verifying {
		o.verifying, o.trial = true, newTrial(now)
	}
	o.from, o.until, o.calls = now, now+b.openTime(), 0
	return Transition{}, false
}

// verified says that the calls that flow all the same have been well for as long as is asked for. The window slides
// with them, where it holds enough; on a quiet edge it is those that started since calls were last not well.
func (o *open) verified(b *Breaker, now int64, r *Recent, j *judge) bool {
	if !o.verifying {
		return false
	}
	asked := b.healthyTime()
	if !j.enough(&r.Window) {
		o.well = math.MaxInt64
		if j.enough(&o.seen) && !j.well(&o.seen) {
			o.trial = newTrial(now)
		}
		return j.well(&o.seen) && o.lasts(now) >= asked
	}
	if !j.well(&r.Window) {
		o.well, o.trial = math.MaxInt64, newTrial(now)
		return false
	}
	o.well = min(o.well, now)
	return now-o.well >= asked-b.cfg.Window
}
