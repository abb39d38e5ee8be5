// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"encoding/binary"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/edge"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/inflight"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/story"
)

// A span's tag in the log: its operation, and above that what was already done about the span.
const (
	tagOperation = 1<<27 - 1
	tagFault     = 27      // two bits: the edge.Fault that it is counted as
	tagTold      = 1 << 29 // its effects are counted
	tagRetry     = 1 << 30 // it is counted as a retry
	tagCounted   = 1 << 31 // it is in its edge's sums, at its end
)

// expectedSlots is how many failing traces are known to wait already; a power of two. Those that share a slot are looked
// at once too often.
const expectedSlots = 1 << 12

// Stories counts what became of the traces of failed calls.
type Stories struct {
	// Looks at traces; Skipped ones for want of room in the queue; Unfound: those with more spans than are looked at.
	Looks, Skipped, Unfound int64
}

func (s *Stories) add(other *Stories) {
	s.Looks += other.Looks
	s.Skipped += other.Skipped
	s.Unfound += other.Unfound
}

// stories finds out where failures began. A failed call counts on its edge when its span arrives; when the spans of the
// same trace have had time to arrive the trace is looked at, and what was counted is corrected: once soon, so that
// the breakers need not wait, and once when the trace is at rest.
type stories struct {
	table  *edge.Table
	log    *trace.Log
	walker trace.Walker
	teller story.Teller

	soon, rest queue
	expected   [expectedSlots]expected
	counts     Stories

	spans []trace.Span
	tags  []uint32
	seqs  []uint64
	bare  []uint32 // tags without what was done

	peaks     int // for how many openings of this step the log may still be read
	intervals []inflight.Interval
}

// expected are the looks that a trace waits for.
type expected struct {
	trace      uint64
	soon, rest int64
}

func newStories(set *Settings, table *edge.Table) *stories {
	s := &stories{table: table, log: trace.NewLog(set.MaxSpans, set.MaxTraceSpans)}
	s.soon.limit, s.rest.limit = set.MaxFailing, set.MaxFailing
	s.teller.Callee = func(handle uint32) (uint32, bool) {
		on := table.Edge(handle)
		if on == nil {
			return 0, false
		}
		service := table.ServiceOf(on)
		return service, service != 0
	}
	return s
}

// forget gives up the traces that wait: the clock was wrong, and the windows begin anew.
func (s *stories) forget() {
	s.soon.clear()
	s.rest.clear()
	s.expected = [expectedSlots]expected{}
}

// add keeps a span, and has its trace looked at when it failed.
func (s *stories) add(c *call.Call, by *edge.Service, on *edge.Edge, fault edge.Fault, counted bool, at, head int64) {
	tag := uint32(c.Operation.Key())&tagOperation | uint32(fault)<<tagFault
	if counted && at == c.End { // else it is not found there again
		tag |= tagCounted
	}
	facts := trace.Facts{
		ID: c.SpanID, Parent: c.ParentID, Start: c.Start, End: c.End, Instance: by.Handle(),
		Weight: edge.WeightOf(c.Weight), Role: c.Role, Outcome: c.Outcome, Reason: c.Reason, Detail: c.Detail, Attempt: c.Attempt,
	}
	if on != nil {
		facts.Op = on.Handle()
	}
	s.log.Add(c.TraceID, trace.NewSpan(facts), tag)
	if fault == edge.NoFault {
		return
	}
	low, high := binary.LittleEndian.Uint64(c.TraceID[8:]), binary.LittleEndian.Uint64(c.TraceID[:8])
	x := &s.expected[low%expectedSlots]
	// Of both halves: many tracers make ids of 64 bits and leave the other half empty.
	if id := high ^ low*0x9e3779b97f4a7c15 | 1; x.trace != id {
		*x = expected{trace: id}
		s.table.Failing(at)
	}
	if due := after(head + s.table.Settling()); fault == edge.Pending && x.soon != due {
		s.enqueue(&s.soon, c.TraceID, due)
		x.soon = due
	}
	// A trace at rest may go on all the same: it is looked at again then.
	if due := after(head + s.table.Rest()); x.rest < due-s.table.Rest()/2 {
		s.enqueue(&s.rest, c.TraceID, due)
		x.rest = due
	}
}

func (s *stories) enqueue(q *queue, id trace.ID, due int64) {
	if !q.push(waiting{id, due}) {
		s.counts.Skipped++
	}
}

// look looks at the traces whose time has come.
func (s *stories) look(now int64) {
	for w, ok := s.soon.pop(now); ok; w, ok = s.soon.pop(now) {
		s.tell(w.id, now, false)
	}
	for w, ok := s.rest.pop(now); ok; w, ok = s.rest.pop(now) {
		s.tell(w.id, now, true)
	}
}

// tell finds out what the calls of a trace mean, and corrects what was counted.
func (s *stories) tell(id trace.ID, now int64, final bool) {
	s.counts.Looks++
	s.spans, s.tags, s.seqs = s.log.Trace(id, s.spans[:0], s.tags[:0], s.seqs[:0])
	s.bare = s.bare[:0]
	for _, t := range s.tags {
		s.bare = append(s.bare, t&tagOperation)
	}
	nodes := s.walker.Walk(s.spans)
	told := s.teller.Tell(s.spans, s.bare, nodes)
	for i := range s.spans {
		if s.spans[i].Op != 0 && s.tags[i]&tagCounted != 0 {
			s.settle(i, s.faultOf(i, &told.Meanings[i]), nodes[i].Server >= 0, now, final)
		}
	}
	if final {
		s.effects(told)
	}
}

// settle corrects what call i was counted as. answered: the callee's span is there.
func (s *stories) settle(i int, to edge.Fault, answered bool, now int64, final bool) {
	span := &s.spans[i]
	on := s.table.Edge(span.Op)
	from := edge.Fault(s.tags[i] >> tagFault & 3)
	if on == nil || from == to {
		return
	}
	if from == edge.Pending && to == edge.Charged && !final && !answered && now-span.End < s.table.Settling() {
		return // the callee's span may still come
	}
	s.table.Settle(on, edge.Failed{
		Start: span.Start(), End: span.End, Weight: span.Weight(), Throttled: span.Outcome() == call.Throttled, Unanswered: !answered,
	}, from, to)
	s.retag(i, s.tags[i]&^(3<<tagFault)|uint32(to)<<tagFault)
}

func (s *stories) retag(i int, tag uint32) {
	s.tags[i] = tag
	s.log.SetTag(s.seqs[i], tag)
}

// faultOf is what call i is to be counted as. One that came from who sends no spans is told of by its answer.
func (s *stories) faultOf(i int, m *story.Meaning) edge.Fault {
	if span := &s.spans[i]; span.Role().Incoming() && span.Outcome().Bad() {
		if m.Explained {
			return edge.Deeper
		}
		return edge.Charged
	}
	switch m.Verdict {
	case story.Charged, story.GivenUp:
		return edge.Charged
	case story.Propagated:
		return edge.Deeper
	}
	return edge.NoFault
}

// effects counts what came of the failed calls of a trace, each once.
func (s *stories) effects(told *story.Story) {
	for i := range told.Meanings {
		if told.Meanings[i].Retry && s.tags[i]&(tagRetry|tagCounted) == tagCounted {
			s.retag(i, s.tags[i]|tagRetry)
			if on := s.table.Edge(s.spans[i].Op); on != nil {
				s.table.Effect(on, s.spans[i].End, edge.Effects{Retries: 1})
			}
		}
	}
	for k := range told.Hurt {
		h := &told.Hurt[k]
		on := s.table.Edge(h.Edge)
		if on == nil || s.tags[h.Call]&tagTold != 0 {
			continue
		}
		s.retag(int(h.Call), s.tags[h.Call]|tagTold)
		var f edge.Effects
		if h.Failed {
			f.Hurt = 1
		} else if h.Parent >= 0 {
			f.Absorbed = 1
		}
		if h.First && told.Entry >= 0 {
			f.Entries = 1
			if told.EntryFailed {
				f.EntriesFailed = 1
			}
		}
		s.table.Effect(on, s.spans[h.Call].End, f)
		for _, service := range h.Upstream {
			on.Upstream(s.table.ServiceName(service))
		}
	}
}
