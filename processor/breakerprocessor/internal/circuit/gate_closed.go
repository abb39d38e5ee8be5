// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

import (
	"math"

	"github.com/firebreak-otel/firebreak/internal/window"
)

// gateClosed admits all and counts them. Opens by the rules of the configuration.
type gateClosed struct {
	fence   int64 // calls admitted before tell of the past
	since   int64 // math.MinInt64: never was open
	attempt uint8 // of the last open period
	past    past
	row     uint32 // failures one after the other
}

func newGateClosed(cfg *GateConfig, fence int64) *gateClosed {
	return &gateClosed{fence: fence, since: math.MinInt64, past: cfg.newPast()}
}

func (*gateClosed) name() State { return Closed }

func (*gateClosed) admit(*Gate, int64) bool { return true }

func (c *gateClosed) record(g *Gate, now, start int64, r result) {
	if start < c.fence || r.outcome == Ignored {
		return
	}
	c.count(now, r)
	counts := c.past.counts(now)
	if why := g.cfg.reason(counts, c.row); why != NoReason {
		g.open(now, why, counts, nextAttempt(c.attempt, c.since, now, g.cfg.Payback))
	}
}

func (c *gateClosed) counts(now int64) Counts { return c.past.counts(now) }

func (c *gateClosed) count(now int64, r result) {
	switch r.outcome {
	case OK:
		c.row = 0
	case Fail:
		c.row = window.Plus(c.row, 1)
	}
	c.past.add(now, r.counts())
}
