// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

// gateOpen admits nothing until its time is over; the first call after that finds it half-open.
type gateOpen struct {
	until   int64
	attempt uint8
}

func (*gateOpen) name() State { return Open }

func (o *gateOpen) admit(g *Gate, now int64) bool {
	if now < o.until {
		return false
	}
	g.become(&gateHalfOpen{since: now, attempt: o.attempt}, Transition{Reason: OpenElapsed, At: now, Attempt: o.attempt})
	return g.state.admit(g, now)
}

// record: the call was admitted before it opened.
func (*gateOpen) record(*Gate, int64, int64, result) {}
