// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

// closed: calls are trusted. Leaves for open when one of the rules says so.
type closed struct {
	since int64 // mute before; an attempt is paid back by each window that it stays closed from here on
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
		b.relapses = nextAttempt(b.relapses, c.since, now, b.cfg.Window)
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
