// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

// relapseWindows is how many windows of trust pay back one relapse. A callee that is bad and well by turns is closed
// for most of each good phase: were it one window, a good phase of two would pay for the bad one, and each would cost
// two transitions for ever. So a flapper whose good phases are shorter than this must be well for twice as long each
// time until none of them is enough, and it stays open. Still, the worst is forgiven within some minutes.
const relapseWindows = 6

// closed: calls are trusted. Leaves for open when one of the rules says so.
type closed struct {
	since int64 // mute before; what it stays closed from here on pays back attempts and relapses
}

func (c *closed) step(b *Breaker, now int64, r *Recent) (Transition, bool) {
	if now < c.since {
		return Transition{}, false
	}
	j := b.cfg.judge(r)
	why, evidence := j.rule(r)
	if why == NoReason || r.Veto {
		return Transition{}, false
	}
	if b.opened {
		b.attempt = nextAttempt(b.attempt, c.since, now, b.cfg.Window)
		b.relapses = nextAttempt(b.relapses, c.since, now, relapseWindows*b.cfg.Window)
	}
	return b.trip(now, why, *evidence, r)
}

// rule is the first that says "open", and of what.
func (j *judge) rule(r *Recent) (Reason, *Sums) {
	cfg, w := j.cfg, &r.Window
	switch {
	case j.fast(&r.Fast):
		return FastFailureRate, &r.Fast
	case j.failing(w):
		return FailureRate, w
	case cfg.Consecutive > 0 && r.Row >= cfg.Consecutive:
		return Consecutive, w
	case cfg.FailureCount > 0 && j.charged(w) >= float64(cfg.FailureCount):
		return FailureCount, w
	case j.overloaded(&r.Fast, cfg.FastRatio):
		return FailureLoad, &r.Fast
	case j.overloaded(w, cfg.FailureRatio):
		return FailureLoad, w
	case w.Calls >= cfg.SlowCalls && j.slow(w):
		return SlowRate, w
	}
	return NoReason, nil
}
