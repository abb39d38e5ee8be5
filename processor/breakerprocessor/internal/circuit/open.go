// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

// open: calls are advised against. Leaves for half_open when its time is over, whatever the calls do that flow
// all the same: they may have started before anybody knew.
type open struct {
	until   int64
	attempt uint8
}

func (*open) name() State { return Open }

func (*open) call(int64, Sums) bool { return true }

func (o *open) move(d int64) { o.until += d }

func (o *open) step(b *Breaker, now int64, _ *Recent) (Transition, bool) {
	if now < o.until {
		return Transition{}, false
	}
	b.state = &halfOpen{since: now, round: now, attempt: o.attempt}
	return Transition{From: Open, To: HalfOpen, Reason: OpenElapsed, At: now, Attempt: o.attempt}, true
}
