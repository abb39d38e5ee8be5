// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package outlier

// Ejections is the memory of one host: how often it was out, and how many requests failed in a row. The zero
// value is a host that never was.
type Ejections struct {
	times uint32
	row   uint32
}

// Eject counts one more ejection and returns how long it lasts: base nanoseconds for each that is not yet
// forgiven, at most limit.
func (e *Ejections) Eject(base, limit int64) int64 {
	if e.times < ^uint32(0) {
		e.times++
	}
	e.row = 0
	if base > 0 && int64(e.times) > limit/base {
		return limit
	}
	return base * int64(e.times)
}

// Forgive takes one ejection back: the host was in, and well, for an interval.
func (e *Ejections) Forgive() {
	if e.times > 0 {
		e.times--
	}
}

// Return begins the row of failures anew: the host is back.
func (e *Ejections) Return() { e.row = 0 }

// Request takes the end of a request and says whether it is the threshold-th failure in a row; if so, the
// row begins anew.
func (e *Ejections) Request(failed bool, threshold uint32) bool {
	if !failed {
		e.row = 0
		return false
	}
	if e.row++; e.row < threshold {
		return false
	}
	e.row = 0
	return true
}
