// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package story

import "slices"

// maxHops bounds the pieces of work between a call and the root that are looked at for who is upstream.
const maxHops = 64

// findEntry finds the request that the trace is about.
func (t *Teller) findEntry() {
	root := none
	for _, i := range t.order {
		if t.works[i].up != none {
			break // the roots come first
		}
		if !t.nodes[i].Partial {
			root = i
			break
		}
		if root == none && t.spans[i].Role().Incoming() {
			root = i
		}
	}
	t.story.Entry, t.story.EntryFailed = root, false
	if root == none {
		return
	}
	for _, i := range t.order { // level by level
		if t.works[i].root == root && t.spans[i].Role().Incoming() {
			t.story.Entry = i
			break
		}
	}
	t.story.EntryFailed = unwell(&t.spans[t.story.Entry])
}

// sumUp collects the charged calls by the work that they were part of.
func (t *Teller) sumUp() {
	t.story.Hurt, t.upstream = t.story.Hurt[:0], t.upstream[:0]
	charged := 0
	for i := range t.story.Meanings {
		if t.charges(i) {
			charged++
		}
	}
	t.hurts.reset(charged)
	t.edges.reset(charged)
	for i := range t.story.Meanings {
		m := &t.story.Meanings[i]
		if !t.charges(i) {
			continue
		}
		edge, top := t.spans[i].Op, t.works[i].top
		k, fresh := t.hurts.find(key{uint64(top), uint64(edge)})
		if fresh {
			_, first := t.edges.find(key{0, uint64(edge)})
			h := Hurt{Edge: edge, Call: int32(i), Parent: top, First: first, Upstream: t.above(int32(i))}
			if n := &t.nodes[top]; !t.spans[top].Role().Incoming() && n.Parent == none && n.Partial {
				h.Parent = none
			}
			t.story.Hurt = append(t.story.Hurt, h)
		}
		h := &t.story.Hurt[k]
		h.Failed = h.Failed || h.Parent != none && !m.Absorbed && unwell(&t.spans[h.Parent])
	}
}

// charges says that span i is a call whose edge is charged.
func (t *Teller) charges(i int) bool {
	v := t.story.Meanings[i].Verdict
	return v == Charged || v == GivenUp
}

// above lists the services that waited for call i.
func (t *Teller) above(i int32) []uint32 {
	from := len(t.upstream)
	for hop := 0; hop < maxHops && i != none && len(t.upstream)-from < MaxUpstream; hop++ {
		if service := t.spans[i].Instance; !slices.Contains(t.upstream[from:], service) {
			t.upstream = append(t.upstream, service)
		}
		top := t.works[i].top
		if t.nodes[top].Async {
			break
		}
		i = t.works[top].up
	}
	return t.upstream[from:len(t.upstream):len(t.upstream)]
}
