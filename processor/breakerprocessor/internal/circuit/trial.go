// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

import "math"

// trial is the calls that are verified: those that started since it began. By start, so that it can be told of
// any call whether it is among them.
type trial struct {
	since int64
	first int64 // the earliest start of a call; math.MaxInt64: none came
	seen  Sums
}

func newTrial(now int64) trial { return trial{since: now, first: math.MaxInt64} }

func (t *trial) call(start int64, one Sums) {
	if start >= t.since {
		t.first = min(t.first, start)
		t.seen.Add(&one)
	}
}

func (t *trial) amend(start int64, from, to Sums) {
	if start >= t.since {
		t.seen.Sub(&from)
		t.seen.Add(&to)
	}
}

// lasts is for how long calls have come, 0 if none did.
func (t *trial) lasts(now int64) int64 { return max(0, now-t.first) }

// move: it begins anew, for the times of what it has seen can't be trusted.
func (t *trial) move(d int64) { *t = newTrial(t.since + d) }
