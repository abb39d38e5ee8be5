// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package story says what each call means in its trace: which failure began here, which was only passed on, which
// never reached the caller's own answer, and what was one call sent several times. Pure: spans in, meanings out.
//
// A failure is charged to the deepest call that failed. Above it, a failed call is propagated when the span that
// answered it did not do well either, and a call failed in that span's own work (the spans of the same service
// below it, up to the next answering span) that no later attempt made good. What nobody waited for, and messages,
// explain nothing. A service that refused because its own guard against something behind it was closed passes
// that failure on, too: what the guard has seen is not in this trace, so nothing is charged for it.
//
// A caller who gave up waiting has seen no answer. When one call below took at least half of the time, again and
// again downwards, the last such call is what it waited for.
package story

import (
	"math"
	"slices"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/trace"
)

// Verdict is whose failure it was.
type Verdict uint8

const (
	// None: not a failed call.
	None Verdict = iota
	// Charged: the call failed, and nothing below it says why.
	Charged
	// Propagated: the call failed because of something below it.
	Propagated
	// GivenUp: a caller further up gave up while it waited for this call, however the call ended.
	GivenUp
)

// Meaning is what a span is in its trace.
type Meaning struct {
	Verdict Verdict
	// Absorbed: a failed call that did not reach the answer of the work that it was part of: a later attempt made
	// it good, or the work ended well without it. False while that answer has not been seen.
	Absorbed bool
	// Explained: an incoming span did not do well because something failed in its own work.
	Explained bool
	// Retry: the call repeats one that failed.
	Retry bool
}

// Hurt is one piece of work in which calls of an edge were charged.
type Hurt struct {
	Edge   uint32
	Call   int32 // index of the first of the calls
	Parent int32 // the work: index of its incoming span or local root; -1: not seen
	Failed bool  // the work failed, and at least one of the calls was not absorbed
	First  bool  // the first of its edge in the trace: count the entry request by it
	// Upstream are the services that waited, the caller first, each once, at most MaxUpstream.
	Upstream []uint32
}

// MaxUpstream bounds Hurt.Upstream.
const MaxUpstream = 16

// Story is what a trace tells. It is valid until the next Tell.
type Story struct {
	Meanings []Meaning // one a span
	Hurt     []Hurt    // in order of Call
	// Entry is the index of the request that began it all: the topmost incoming span below the root, or the root.
	// When no root is there, the first incoming span whose parent is missing; -1: neither.
	Entry       int32
	EntryFailed bool
}

const (
	none  = int32(-1)
	never = int64(math.MaxInt64)
	// slack is how much later than the answer a call may end that explains it, in nanoseconds of one clock:
	// spans of one host are ended one after the other.
	slack = int64(5e6)
)

// work is what is known of a span while the story is told.
type work struct {
	up     int32 // what the span hangs below: its parent, or the call that adopted it
	root   int32 // of its tree
	answer int32 // the incoming span that answered this call
	// The children that a call adopted, as the span between has not arrived.
	adopted, nextAdopted int32
	group, nextInGroup   int32
	top                  int32 // the span that the own work which this one is part of began with
	longest              int32 // the call in the span's own work that it waited longest for
	failedAt             int64 // when the first call in its own work failed that was not made good; never
	guarded              bool  // a guard rejected a call in its own work
	lost                 bool  // what fails here fails the work's answer, or the answer was not seen
}

// Teller tells the story of one trace after another, reusing its memory.
type Teller struct {
	// Callee returns the handle of the service that an edge leads to. It may be nil: then no call adopts the
	// spans of a service whose incoming span has not arrived.
	Callee func(edge uint32) (instance uint32, ok bool)

	spans    []trace.Span
	nodes    []trace.Node
	tags     []uint32
	works    []work
	order    []int32
	groups   grouping
	orphans  []int32
	waiting  []waiting
	hurts    index
	edges    index
	upstream []uint32
	story    Story
}

// Tell says what the spans of one trace mean. spans are in (Start, ID) order, Op being the handle of the edge of an
// outgoing call (0: not known) and Instance that of the service that emitted the span; tags has an operation handle
// for each, nodes is what trace.Walker says of them.
func (t *Teller) Tell(spans []trace.Span, tags []uint32, nodes []trace.Node) *Story {
	t.spans, t.tags, t.nodes = spans, tags, nodes
	t.story.Meanings = slices.Grow(t.story.Meanings[:0], len(spans))[:len(spans)]
	clear(t.story.Meanings)
	t.works = t.works[:0]
	for i := range nodes {
		t.works = append(t.works, work{
			up: nodes[i].Parent, answer: nodes[i].Server, adopted: none, nextAdopted: none,
			group: none, nextInGroup: none, longest: none, failedAt: never,
		})
	}
	t.sort()
	if t.adopt() {
		t.sort()
	}
	t.join()
	for k := len(t.order) - 1; k >= 0; k-- { // children first
		i := t.order[k]
		t.judge(i)
		t.report(i)
	}
	for _, i := range t.order { // parents first
		t.place(i)
	}
	t.findEntry()
	t.sumUp()
	t.spans, t.tags, t.nodes = nil, nil, nil
	return &t.story
}

// sort finds an order in which parents come before their children; copies are not in it.
func (t *Teller) sort() {
	t.order = t.order[:0]
	for i := range t.nodes {
		if !t.nodes[i].Duplicate && t.works[i].up == none {
			t.works[i].root = int32(i)
			t.order = append(t.order, int32(i))
		}
	}
	for k := 0; k < len(t.order); k++ {
		i := t.order[k]
		for c := t.nodes[i].FirstChild; c != none; c = t.nodes[c].NextSibling {
			t.follow(i, c)
		}
		for c := t.works[i].adopted; c != none; c = t.works[c].nextAdopted {
			t.follow(i, c)
		}
	}
}

func (t *Teller) follow(parent, child int32) {
	t.works[child].root = t.works[parent].root
	t.order = append(t.order, child)
}

// unwell says that the span did not end with an answer that satisfies: it failed, refused, or was called off.
func unwell(s *trace.Span) bool {
	return s.Outcome().Bad() || s.Outcome() == call.Ignored &&
		(s.Reason() == call.ReasonThrottled || s.Reason() == call.ReasonCancelled || s.Reason() == call.ReasonRejected)
}

// rejected says that the span is there because a guard of its own service was closed.
func rejected(s *trace.Span) bool {
	return s.Reason() == call.ReasonRejected
}
