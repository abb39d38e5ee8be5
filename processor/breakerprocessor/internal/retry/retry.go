// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package retry is the arithmetic of retries: who may retry, how often, and what it comes to.
//
// The processor uses Join, Amplification and Budget.Limit. Quota, Throttle, Budget.Allow and Reject are what clients do who
// bound their own retries; they are there for the conformance cases, which hold the words that are used here to what
// known clients mean by them.
package retry

import "math"

// Quota is a bucket of tokens that retries are paid from, as the AWS SDKs' standard mode has it: a retry takes
// its cost and gets it back when it succeeds; a call that succeeds at first try adds one. Full at first.
type Quota struct{ tokens, capacity uint32 }

// NewQuota makes a full quota.
func NewQuota(capacity uint32) *Quota { return &Quota{capacity, capacity} }

// Take pays for a retry; false: there is not enough, nothing is taken.
func (q *Quota) Take(cost uint32) bool {
	if q.tokens < cost {
		return false
	}
	q.tokens -= cost
	return true
}

// Give puts tokens back, up to the capacity.
func (q *Quota) Give(n uint32) { q.tokens += min(n, q.capacity-q.tokens) }

// Throttle is the retry throttling of gRPC (A6): a failed attempt takes a token, a success gives Ratio of one, and
// there are retries while more than half of the tokens are left. Counted in thousandths.
type Throttle struct{ milli, capacity, ratio int64 }

// NewThrottle makes a throttle with all its tokens; ratio is rounded to thousandths.
func NewThrottle(tokens uint32, ratio float64) *Throttle {
	all := int64(tokens) * 1000
	return &Throttle{all, all, int64(math.Round(ratio * 1000))}
}

// Failed takes a failed attempt and says whether it may be retried.
func (t *Throttle) Failed() bool {
	t.milli = max(0, t.milli-1000)
	return t.milli > t.capacity/2
}

// Succeeded takes a good attempt.
func (t *Throttle) Succeeded() { t.milli = min(t.capacity, t.milli+t.ratio) }

// Budget bounds the retries that run at a time to a share of the calls that do, as Envoy's retry budget.
type Budget struct {
	// Ratio (0..1) of the calls that are active or wait may be retries.
	Ratio float64
	// Minimum may, however few calls there are.
	Minimum uint32
}

// Limit is how many retries may run beside so many active calls.
func (b Budget) Limit(active uint32) uint32 {
	return max(b.Minimum, uint32(math.Min(b.Ratio*float64(active), math.MaxUint32)))
}

// Allow says whether one more retry may begin.
func (b Budget) Allow(active, retrying uint32) bool { return retrying < b.Limit(active) }

// Reject is the probability at which a client of an overloaded callee should refuse a call itself: clients'
// adaptive throttling of Google SRE. requests and accepts are of one window; k (2 is usual) is how many times the
// accepted rate may be asked for.
func Reject(requests, accepts, k float64) float64 {
	return math.Max(0, (requests-k*accepts)/(requests+1))
}

// Amplification is how many attempts at the leaf one request at the root caused; 0 without requests.
func Amplification(roots, leaves uint64) float64 {
	if roots == 0 {
		return 0
	}
	return float64(leaves) / float64(roots)
}
