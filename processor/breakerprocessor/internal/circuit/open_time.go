// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

import "math"

// maxOpenTime is for want of a cap: beyond any clock, and nothing overflows.
const maxOpenTime = math.MaxInt64 / 4

// OpenTime says how long a breaker stays open. Times are in nanoseconds.
type OpenTime struct {
	// First is for attempt 0; each further attempt takes Multiplier times as long, below 1 counts as 1.
	First      int64
	Multiplier float64
	// Max caps it, jitter included; 0: no cap.
	Max int64
	// Jitter (0..1) spreads it: give or take that share.
	Jitter float64
}

// of is the open time of an attempt. The jitter comes from the seed and the attempt: the same for the same
// edge whenever it is replayed.
func (t *OpenTime) of(seed uint64, attempt uint8) int64 {
	limit := t.Max
	if limit <= 0 {
		limit = maxOpenTime
	}
	d := float64(min(t.First, limit))
	for range attempt {
		if d *= max(t.Multiplier, 1); d >= float64(limit) {
			break
		}
	}
	if d >= float64(limit) {
		d = float64(limit)
	}
	whole := min(int64(d), limit)
	// splitmix64
	x := seed + (uint64(attempt)+1)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	x ^= x >> 31
	spread := 2*float64(x>>11)/float64(1<<53) - 1 // -1..1
	return min(whole+int64(float64(whole)*t.Jitter*spread), limit)
}

// nextAttempt is the attempt that opening now would be: one more than the last, less one for each window that
// the breaker has stayed closed since; the first, once all of them are paid back. A window of 0: closing pays
// all back at once. since is math.MinInt64 for a breaker that never was open.
func nextAttempt(last uint8, since, now, window int64) uint8 {
	if since == math.MinInt64 || window <= 0 {
		return 0
	}
	paid := (now - since) / window
	return uint8(min(max(0, int64(last)+1-paid), math.MaxUint8))
}
