// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

import "math"

// halfOpen: the calls that started since it began are verified; those from before tell of the past.
//
// It reopens as soon as enough of them are bad. It closes when, over a whole window, enough came and few were
// bad: a callee that answers the easy calls at once and lets the hard ones hang looks healthy at first. What is
// neither is verified anew, window by window. Silence decides nothing.
type halfOpen struct {
	since   int64 // calls that started before are not looked at
	round   int64 // when the present round of verification began
	attempt uint8
	seen    Sums
}

func (*halfOpen) name() State { return HalfOpen }

func (h *halfOpen) call(start int64, one Sums) bool {
	if start < h.since {
		return false
	}
	h.seen.Add(&one)
	return true
}

func (h *halfOpen) move(d int64) {
	h.since += d
	h.round += d
	h.seen = Sums{}
}

func (h *halfOpen) step(b *Breaker, now int64, _ *Recent) (Transition, bool) {
	cfg := b.cfg
	if h.seen.Calls < cfg.ProbeCalls {
		return Transition{}, false
	}
	ratio := h.seen.Ratio()
	if ratio >= cfg.FailureRatio || cfg.overloaded(&h.seen, cfg.FailureRatio) {
		return b.trip(now, StillFailing, h.seen, uint8(min(int(h.attempt)+1, math.MaxUint8)))
	}
	if now-h.round < cfg.Window {
		return Transition{}, false
	}
	if ratio < cfg.CloseRatio {
		t := Transition{From: HalfOpen, To: Closed, Reason: Recovered, At: now, Evidence: h.seen, Attempt: h.attempt}
		b.state = &closed{since: now, warm: math.MinInt64, fence: h.since, attempt: h.attempt}
		return t, true
	}
	h.round, h.seen = now, Sums{}
	return Transition{}, false
}
