// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"slices"

	"github.com/firebreak-otel/firebreak/internal/window"
)

// maxUpstream bounds the services that are named as hurt by one edge.
const maxUpstream = 16

// Effects is what came of failed calls, as their traces show.
type Effects struct {
	// Retries are calls that repeat one that failed.
	Retries uint32
	// Hurt calls failed and so did what they were made for; Absorbed ones failed, and it went well all the same.
	Hurt, Absorbed uint32
	// Entries counts requests at the entry of the system that had failed calls here, EntriesFailed those that failed.
	Entries, EntriesFailed uint32
}

// Add adds other to f.
func (f *Effects) Add(other *Effects) {
	f.Retries = window.Plus(f.Retries, other.Retries)
	f.Hurt = window.Plus(f.Hurt, other.Hurt)
	f.Absorbed = window.Plus(f.Absorbed, other.Absorbed)
	f.Entries = window.Plus(f.Entries, other.Entries)
	f.EntriesFailed = window.Plus(f.EntriesFailed, other.EntriesFailed)
}

// Propagation is the share of failed calls, 0..1, that made what they were made for fail; 0 without any.
func (f *Effects) Propagation() float64 {
	if n := float64(f.Hurt) + float64(f.Absorbed); n > 0 {
		return float64(f.Hurt) / n
	}
	return 0
}

// Effect adds to the effects of the edge's calls that ended at time at.
func (t *Table) Effect(e *Edge, at int64, f Effects) {
	if e.Hot == nil {
		return
	}
	if bucket := e.Hot.effects.At(min(at, t.head)); bucket != nil {
		bucket.Add(&f)
	}
	if f.Retries > 0 {
		e.Hot.retriedAt = t.head
	}
}

// Effects are those of the edge's calls that ended in [from, to), in whole buckets.
func (e *Edge) Effects(from, to int64) Effects {
	if e.Hot == nil {
		return Effects{}
	}
	return e.Hot.effects.Sum(from, to)
}

// Upstream notes a service that the edge's failures reached.
func (e *Edge) Upstream(service string) {
	if e.Hot != nil {
		e.Hot.upstream.add(service)
	}
}

// Upstreams are the services that the edge's failures reached since it had any, in alphabetical order.
func (e *Edge) Upstreams() []string {
	if e.Hot == nil {
		return nil
	}
	return e.Hot.upstream.names
}

// upstream is a bounded set of names, those that come first in the alphabet.
type upstream struct{ names []string }

func (u *upstream) add(name string) {
	i, found := slices.BinarySearch(u.names, name)
	if found || name == "" || i == maxUpstream {
		return
	}
	u.names = slices.Insert(u.names, i, name)
	u.names = u.names[:min(len(u.names), maxUpstream)]
}

func (u *upstream) merge(other *upstream) {
	for _, name := range other.names {
		u.add(name)
	}
}
