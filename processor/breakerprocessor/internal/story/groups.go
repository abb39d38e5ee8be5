// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package story

import (
	"math"

	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/retry"
)

// group is the calls of one parent to the same operation of the same edge.
type group struct {
	first, last int32
	n           int
	bad         bool // one did not do well
	said        bool // one says that it is a resend
	// Start of the last that did well, of the last resend that did, and the highest of the latter.
	okStart, resentStart int64
	resend               uint8
}

type grouping struct {
	index    index
	groups   []group
	attempts []retry.Attempt
}

// join finds the calls that were sent more than once. A call whose edge is not known, and one that a guard
// rejected, is no attempt.
func (t *Teller) join() {
	g := &t.groups
	g.groups = g.groups[:0]
	g.index.reset(len(t.spans))
	for i := range t.spans {
		s := &t.spans[i]
		if !s.Role().Outgoing() || s.Op == 0 || s.Parent() == 0 || t.nodes[i].Duplicate || rejected(s) {
			continue
		}
		k, fresh := g.index.find(key{uint64(s.Parent()), uint64(s.Op)<<32 | uint64(t.tags[i])})
		if fresh {
			g.groups = append(g.groups, group{first: int32(i), last: int32(i), okStart: math.MinInt64, resentStart: math.MinInt64})
		}
		e := &g.groups[k]
		if !fresh {
			t.works[e.last].nextInGroup = int32(i)
			e.last = int32(i)
		}
		t.works[i].group = k
		e.n++
		e.said = e.said || s.Attempt() > 0
		if unwell(s) {
			e.bad = true
		} else {
			e.okStart = s.Start()
			if s.Attempt() > 0 {
				e.resentStart, e.resend = s.Start(), max(e.resend, s.Attempt())
			}
		}
	}
	for k := range g.groups {
		if e := &g.groups[k]; e.n > 1 && (e.bad || e.said) {
			t.tellGroup(e)
		}
	}
}

func (t *Teller) tellGroup(e *group) {
	g := &t.groups
	g.attempts = g.attempts[:0]
	for i := e.first; i != none; i = t.works[i].nextInGroup {
		s := &t.spans[i]
		g.attempts = append(g.attempts, retry.Attempt{Start: s.Start(), End: s.End, OK: !unwell(s), Resend: uint32(s.Attempt()), Index: i})
	}
	retry.Join(g.attempts)
	for _, a := range g.attempts {
		t.story.Meanings[a.Index].Retry = a.Retry
	}
}

// recovered says that a later attempt made failed call i good. Where attempts say which they are, that counts;
// else one that began after the failure. Of calls that overlap, fan-out or hedges, none makes the other good.
func (t *Teller) recovered(i int32) bool {
	s, k := &t.spans[i], t.works[i].group
	if k == none {
		return false
	}
	e := &t.groups.groups[k]
	if e.said {
		return e.resentStart >= s.Start() && e.resend > s.Attempt()
	}
	return e.okStart >= s.End
}
