// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import "github.com/firebreak-otel/firebreak/internal/window"

const (
	// entriesEnough requests must have been seen to tell that others than failed ones come this way. Of twice as many,
	// half are forgotten.
	entriesEnough = 20
	// failingShare of them, and more, is nothing but failures.
	failingShare = 0.95
)

// entries are the traces that began in a bucket's time.
type entries struct {
	began   uint32
	failing uint32 // had a failed call
	well    uint32 // began with a span that did not fail
}

// Add adds other to r.
func (r *entries) Add(other *entries) {
	r.began = window.Plus(r.began, other.began)
	r.failing = window.Plus(r.failing, other.failing)
	r.well = window.Plus(r.well, other.well)
}

func (t *Table) enter(at int64, bad bool) {
	if b := t.entries.At(at); b != nil {
		b.began++
	}
	if first := &t.first; !t.sawHealthy {
		if !bad {
			first.well++
		}
		if first.began++; first.began >= 2*entriesEnough {
			first.began, first.failing, first.well = first.began/2, first.failing/2, first.well/2
		}
	}
}

// Failing notes a trace with a failed call, once.
func (t *Table) Failing(at int64) {
	if b := t.entries.At(min(at, t.head)); b != nil {
		b.failing++
	}
	if first := &t.first; first.failing < 2*entriesEnough {
		first.failing++
	}
}

// Entries are how many requests entered the system in [from, to), as far as their first spans came by.
func (t *Table) Entries(from, to int64) uint32 {
	r := t.entries.Sum(from, to)
	return r.began
}

// lookAtEntries finds out, once a step, whether nothing but traces with failures came by, ever: what samples before this
// must be keeping these alone, and every edge looks dead. Few requests are enough to hold breakers back: what keeps failures alone
// lets few pass.
func (t *Table) lookAtEntries() {
	r := &t.first
	if t.sawHealthy || r.began == 0 {
		return
	}
	// Where most requests went well, somebody absorbs the failures.
	t.onlyFailures = float64(r.failing) >= failingShare*float64(r.began) && 2*r.well < r.began
	t.sawHealthy = !t.onlyFailures && r.began >= entriesEnough && !t.Warming()
}
