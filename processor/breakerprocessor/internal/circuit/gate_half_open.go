// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

import "math"

// gateHalfOpen admits a few calls, the probes, and decides by their results; and opens again when these don't
// come for too long: one probe that hangs must not keep everybody out.
type gateHalfOpen struct {
	since    int64 // calls admitted before are no probes
	attempt  uint8
	inFlight uint32
	seen     Counts
}

func (*gateHalfOpen) name() State { return HalfOpen }

func (h *gateHalfOpen) admit(g *Gate, now int64) bool {
	if h.timedOut(g, now) {
		return g.state.admit(g, now)
	}
	if h.inFlight >= max(g.cfg.MaxInFlight, 1) {
		return false
	}
	h.inFlight++
	return true
}

func (h *gateHalfOpen) record(g *Gate, now, start int64, r result) {
	if start < h.since || h.timedOut(g, now) {
		return
	}
	h.inFlight = max(h.inFlight, 1) - 1
	if r.outcome == Ignored {
		return
	}
	one := r.counts()
	h.seen.Add(&one)
	enough := h.seen.Calls >= max(g.cfg.Probes, 1)
	var failed bool
	switch g.cfg.Policy {
	case AllSucceed:
		failed = h.seen.Bad > 0 || h.seen.Slow > 0 && g.cfg.SlowRatio > 0
	case ByRate:
		failed = enough && (h.seen.Bad > 0 && h.seen.Ratio() >= g.cfg.FailureRatio || g.cfg.slow(h.seen))
	}
	switch {
	case failed:
		h.reopen(g, now, StillFailing)
	case enough:
		c := newGateClosed(g.cfg, h.since)
		c.since, c.attempt = now, h.attempt
		g.become(c, Transition{Reason: Recovered, At: now, Evidence: h.seen.sums(), Attempt: h.attempt})
	}
}

func (h *gateHalfOpen) counts(int64) Counts { return h.seen }

// timedOut opens it if it stayed undecided for too long, as of the time when that was so.
func (h *gateHalfOpen) timedOut(g *Gate, now int64) bool {
	wait := g.cfg.maxWait()
	if wait <= 0 || now-h.since < wait {
		return false
	}
	h.reopen(g, h.since+wait, ProbeTimeout)
	return true
}

func (h *gateHalfOpen) reopen(g *Gate, at int64, why Reason) {
	g.open(at, why, h.seen, uint8(min(int(h.attempt)+1, math.MaxUint8)))
}
