// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

import "math"

// halfOpen: callers obey, and may let through a growing share of the calls. Of each share the calls that started
// since it was set are verified; those from before tell of the past.
//
// It reopens as soon as enough of them are bad. It goes on when, for a while, enough came and few were bad: a
// callee that answers the easy calls at once and lets the hard ones hang looks healthy at first. What is neither
// is verified anew, window by window, until it has taken too long. Silence decides nothing.
type halfOpen struct {
	trial
	share  int   // index of Config.Ramp
	waits  int64 // for a decision since then, the first call of this share; math.MaxInt64: none came
	obeyed float64
}

func newHalfOpen(now int64, obeyed float64) *halfOpen {
	return &halfOpen{trial: newTrial(now), waits: math.MaxInt64, obeyed: obeyed}
}

func (*halfOpen) name() State { return HalfOpen }

func (h *halfOpen) admit(cfg *Config) float64 {
	if len(cfg.Ramp) == 0 {
		return 1
	}
	return cfg.Ramp[min(h.share, len(cfg.Ramp)-1)] // Configure may have made it shorter
}

func (h *halfOpen) obedience(*Config, int64) (float64, bool) { return h.obeyed, true }

func (h *halfOpen) move(d int64) {
	h.trial.move(d)
	h.waits = math.MaxInt64
}

func (h *halfOpen) step(b *Breaker, now int64, r Recent) (Transition, bool) {
	cfg := b.cfg
	h.waits = min(h.waits, h.first)
	j := cfg.judge(&r)
	shares := max(len(cfg.Ramp), 1)
	switch {
	case h.seen.Calls == 0:
	case j.sick(&h.seen):
		b.further()
		return b.trip(now, StillFailing, h.seen, &r)
	case j.well(&h.seen):
		if now-h.since < cfg.Window/int64(shares) {
			break
		}
		if h.share+1 >= shares {
			if j.mayClose(&r) {
				return b.close(now, h.seen)
			}
			if now-h.since >= cfg.Window {
				h.trial, h.waits = newTrial(now), math.MaxInt64
			}
			break
		}
		h.share, h.trial, h.waits = h.share+1, newTrial(now), math.MaxInt64
	case now-h.waits >= h.patience(cfg, r.Expected):
		b.further()
		return b.trip(now, ProbeTimeout, h.seen, &r)
	case j.enough(&h.seen) && now-h.since >= cfg.Window:
		h.trial = newTrial(now)
	}
	return Transition{}, false
}

// patience is how long a decision may take: on a quiet edge enough calls can't be there any sooner.
func (h *halfOpen) patience(cfg *Config, expected float64) int64 {
	wait := cfg.maxWait()
	if rate := expected * h.admit(cfg); rate > 0 {
		quiet := 2 * float64(cfg.ProbeCalls) / rate * 1e9
		wait = max(wait, int64(min(quiet, maxOpenTime)))
	}
	return wait
}
