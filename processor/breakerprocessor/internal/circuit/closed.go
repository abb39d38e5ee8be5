// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

import "math"

// closed: calls are trusted. Leaves for open when the fast or the slow rule says so.
type closed struct {
	warm    int64 // mute before
	since   int64 // math.MinInt64: always
	fence   int64 // calls that started before tell of the past
	attempt uint8 // of the last open period
}

func (*closed) name() State { return Closed }

func (c *closed) call(start int64, _ Sums) bool { return start >= c.fence }

func (c *closed) move(d int64) {
	for _, t := range []*int64{&c.warm, &c.since, &c.fence} {
		if *t != math.MinInt64 {
			*t += d
		}
	}
}

func (c *closed) step(b *Breaker, now int64, r *Recent) (Transition, bool) {
	if now < c.warm {
		return Transition{}, false
	}
	cfg := b.cfg
	switch {
	case r.Fast.Calls >= cfg.FastCalls && r.Fast.Ratio() >= cfg.FastRatio:
		return b.trip(now, FastFailureRate, r.Fast, c.next(now, cfg.Window))
	case cfg.failing(&r.Window):
		return b.trip(now, FailureRate, r.Window, c.next(now, cfg.Window))
	case cfg.overloaded(&r.Fast, cfg.FastRatio):
		return b.trip(now, FailureLoad, r.Fast, c.next(now, cfg.Window))
	case cfg.overloaded(&r.Window, cfg.FailureRatio):
		return b.trip(now, FailureLoad, r.Window, c.next(now, cfg.Window))
	}
	return Transition{}, false
}

// failing is the slow rule.
func (cfg *Config) failing(s *Sums) bool {
	return s.Calls >= cfg.MinimumCalls && surely(s.Ratio(), s.Calls, cfg.FailureRatio, cfg.Confidence, cfg.FailureFloor)
}

// overloaded is the load rule.
func (cfg *Config) overloaded(s *Sums, share float64) bool {
	return s.Calls >= cfg.LoadCalls && s.BusyRatio() >= share && wilson(s.Ratio(), s.Calls, cfg.LoadConfidence) >= cfg.CloseRatio
}

func (c *closed) next(now, window int64) uint8 { return nextAttempt(c.attempt, c.since, now, window) }
