// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package retry

import "slices"

// Attempt is one of the calls that a caller made to the same operation of the same callee on behalf of the same
// request. Times in nanoseconds of the caller's clock.
type Attempt struct {
	Start, End int64
	OK         bool
	// Resend is the caller's own word: how many times this call was sent before; 0: first, or not said.
	Resend uint32
	// Index is the caller's own, and not looked at.
	Index int32
	// Retry is set by Join: the attempt repeats one that failed.
	Retry bool
}

// Logical is what a number of attempts came to.
type Logical struct {
	Attempts, Retries int
	// OK is the outcome of the last.
	OK bool
}

// Join tells what the calls in attempts are to each other. A call that says itself that it is a resend is a retry.
// When none does, one that began after the one before it had failed is one; calls that overlap are fan-out or
// hedges, and what follows a success is the next piece of work. Sorts attempts by start.
func Join(attempts []Attempt) Logical {
	slices.SortStableFunc(attempts, func(a, b Attempt) int {
		switch {
		case a.Start < b.Start:
			return -1
		case a.Start > b.Start:
			return 1
		}
		return 0
	})
	said := slices.ContainsFunc(attempts, func(a Attempt) bool { return a.Resend > 0 })
	l := Logical{Attempts: len(attempts)}
	for i := range attempts {
		a := &attempts[i]
		l.OK = a.OK
		a.Retry = a.Resend > 0
		if !said && i > 0 {
			a.Retry = !attempts[i-1].OK && attempts[i-1].End <= a.Start
		}
		if a.Retry {
			l.Retries++
		}
	}
	return l
}
