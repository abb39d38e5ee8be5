// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"math"
	"unsafe"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/baseline"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/blame"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/detect"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/queue"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/snapshot"
)

const (
	// maxLanes is the most partitions of a topic, and of a reader, that are told apart.
	maxLanes = 64
	// leastLag is by how much a lag must exceed its normal median to be noticed: consumers fetch in batches.
	leastLag = second
)

// readerStats is what is kept of an operation that takes messages from a topic.
type readerStats struct {
	lag              baseline.Series // of records whose publishing is known
	gate             detect.Gate
	units, late      int64 // in the current second
	allUnits, allLag int64 // in healthy times
	lanes            []readerLane
	listed           bool
}

// readerLane is a partition as one operation reads it. Its gate is that of failures: one partition that fails again
// and again is a small part of a busy topic.
type readerLane struct {
	lane       queue.Lane
	counts     baseline.Counts // taken, failed, late
	gate       detect.Gate
	units, bad int64 // in the current second
}

// topicStats is what is published to a topic.
type topicStats struct {
	all   baseline.Counts // published
	lanes []topicLane
}

type topicLane struct {
	lane   queue.Lane
	counts baseline.Counts // published
}

func (r *readerStats) bytes() int64 {
	if r == nil {
		return 0
	}
	return int64(unsafe.Sizeof(*r)) + int64(cap(r.lanes))*int64(unsafe.Sizeof(readerLane{}))
}

func (t *topicStats) bytes() int64 {
	if t == nil {
		return 0
	}
	return int64(unsafe.Sizeof(*t)) + int64(cap(t.lanes))*int64(unsafe.Sizeof(topicLane{}))
}

// learnMessage remembers what a span tells of messages: which partition, and of a consumer who published.
func (e *Engine) learnMessage(c *call.Call, op graph.OpID, at int64) {
	lane := queue.LaneOf(c.Partition)
	if c.Role == call.RoleProducer {
		e.sent.Put(c.SpanID, uint64(at), e.graph.OpAt(op).Peer, lane)
		return
	}
	if len(c.Links) == 0 {
		e.receipts.Put(c.SpanID, c.ParentID, 0, lane)
	}
	for i := range c.Links { // a consumer that is its producer's child has no other, or the same
		e.receipts.Put(c.SpanID, c.Links[i].SpanID, 0, lane)
	}
}

// observeReceipt feeds what is known of a reader and its partition. A record that lay too long goes into the ledger.
func (e *Engine) observeReceipt(id trace.ID, s *trace.Span, st *opStats, o *graph.Op, at int64) {
	rd := st.reader
	if rd == nil {
		rd = new(readerStats)
		st.reader = rd
		e.sideBytes += rd.bytes()
	}
	if !rd.listed {
		rd.listed = true
		e.lagging = append(e.lagging, graph.OpID(s.Op))
	}
	n, lane := [3]uint32{1}, queue.Lane(0)
	if s.Outcome().Bad() {
		n[1] = 1
	}
	e.receipts.Ask(s.ID, func(receipt *queue.Entry) {
		lane = receipt.Lane
		sent := e.sent.Find(receipt.Value)
		if sent == nil || sent.Node == 0 {
			return
		}
		sent.Served()
		lag := max(0, s.Start()-int64(sent.Value))
		rd.lag.Observe(at, lag, false, e.tainted)
		rd.units++
		if !rd.overdue(lag) {
			return
		}
		n[2]++
		rd.late++
		topic := o.Peer
		if topic == 0 {
			topic = sent.Node
		}
		row := blame.Row{Entry: graph.OpID(s.Op), Node: topic, Reason: blame.Lag, Path: blame.Path{o.Node, topic}}
		e.ledger.Record(at, row, blame.Count{Units: 1, Weight: int64(s.Weight()), Exemplar: id, Span: s.ID, First: s.Start()})
		if e.parts != nil {
			e.hurt.add(id)
		}
	})
	if l := e.readerLane(rd, lane); l != nil {
		l.units++
		l.bad += int64(n[1])
		l.counts.Add(at, n, e.tainted)
	}
}

// overdue says that a lag is beyond 1.5 x p95, 2 x p50 and a second more than p50 of normal. Clocks of producers and
// consumers that differ shift all of it alike.
func (r *readerStats) overdue(lag int64) bool {
	return lag > r.lag.SlowThreshold() && lag-leastLag > r.lag.Median()
}

// observePublish counts a record published to a topic by a span.
func (e *Engine) observePublish(topic graph.NodeID, span uint64, at int64) {
	lane := queue.Lane(0)
	if p := e.sent.Find(span); p != nil {
		lane = p.Lane
	}
	t := e.topic(topic)
	t.all.Add(at, [3]uint32{1}, e.tainted)
	if l := e.topicLane(t, lane); l != nil {
		l.counts.Add(at, [3]uint32{1}, e.tainted)
	}
}

// topic returns what is published to a topic.
func (e *Engine) topic(n graph.NodeID) *topicStats {
	st := e.node(n)
	if st.topic == nil {
		st.topic = new(topicStats)
		e.sideBytes += st.topic.bytes()
	}
	return st.topic
}

// topicLane returns a topic's partition, nil when it is not said or there are too many.
func (e *Engine) topicLane(t *topicStats, lane queue.Lane) *topicLane {
	if lane == 0 {
		return nil
	}
	for i := range t.lanes {
		if t.lanes[i].lane == lane {
			return &t.lanes[i]
		}
	}
	if len(t.lanes) >= maxLanes {
		e.counts.Lanes++
		return nil
	}
	before := t.bytes()
	t.lanes = append(t.lanes, topicLane{lane: lane})
	e.sideBytes += t.bytes() - before
	return &t.lanes[len(t.lanes)-1]
}

// readerLane returns a reader's partition, nil when it is not said or there are too many.
func (e *Engine) readerLane(r *readerStats, lane queue.Lane) *readerLane {
	if lane == 0 {
		return nil
	}
	for i := range r.lanes {
		if r.lanes[i].lane == lane {
			return &r.lanes[i]
		}
	}
	if len(r.lanes) >= maxLanes {
		e.counts.Lanes++
		return nil
	}
	before := r.bytes()
	r.lanes = append(r.lanes, readerLane{lane: lane})
	e.sideBytes += r.bytes() - before
	return &r.lanes[len(r.lanes)-1]
}

// stepLag takes the second's counts of every reader to its gates: that of lag, and of each partition that of failures.
func (e *Engine) stepLag(a *alarm, end int64, threshold float64) {
	rest := e.lagging[:0]
	healthy := !e.tainted(baseline.CellOf(end - 1))
	for _, op := range e.lagging {
		r, en := e.ops[op].reader, &e.ops[op].entry
		lag := detect.LagTest(ratio(r.allLag, r.allUnits))
		e.note(a, &r.gate, r.gate.Step(end, r.units, r.late, lag, threshold, minBad))
		if healthy {
			r.allUnits += r.units
			r.allLag += r.late
			if r.allUnits > 1<<16 {
				r.allUnits, r.allLag = r.allUnits/2, r.allLag/2
			}
		}
		r.units, r.late = 0, 0
		quiet := r.gate.AtRest()
		errors := detect.ErrorTest(ratio(en.allBad, en.allUnits))
		for i := range r.lanes {
			l := &r.lanes[i]
			if l.units > 0 || !l.gate.AtRest() {
				e.note(a, &l.gate, l.gate.Step(end, l.units, l.bad, errors, threshold, minBad))
			}
			l.units, l.bad = 0, 0
			quiet = quiet && l.gate.AtRest()
		}
		if r.listed = !quiet; r.listed {
			rest = append(rest, op)
		}
	}
	e.lagging = rest
}

// lastBad returns the latest second of an open gate at which nothing spoke for recovery.
func (r *readerStats) lastBad() int64 {
	last := r.gate.LastBad()
	for i := range r.lanes {
		last = max(last, r.lanes[i].gate.LastBad())
	}
	return last
}

// reset closes the gates: an incident is over.
func (r *readerStats) reset() {
	r.gate.Reset()
	for i := range r.lanes {
		r.lanes[i].gate.Reset()
	}
}

// rewindLag voids what belongs to a time that turned out wrong.
func (e *Engine) rewindLag() {
	e.sent.Clear()
	e.receipts.Clear()
	e.lagging = e.lagging[:0]
	for i := range e.nodes {
		if t := e.nodes[i].topic; t != nil {
			t.all.Rewind()
			for k := range t.lanes {
				t.lanes[k].counts.Rewind()
			}
		}
	}
	for i := range e.ops {
		if r := e.ops[i].reader; r != nil {
			r.lag.Rewind(e.clock.Head())
			r.gate, r.units, r.late, r.listed = detect.Gate{}, 0, 0, false
			for k := range r.lanes {
				l := &r.lanes[k]
				l.gate, l.units, l.bad = detect.Gate{}, 0, 0
				l.counts.Rewind()
			}
		}
	}
}

func (r *readerStats) snapshot(c *snapshot.Codec) {
	r.lag.Snapshot(c)
	r.gate.Snapshot(c)
	for _, n := range []*int64{&r.units, &r.late, &r.allUnits, &r.allLag} {
		c.Time(n)
	}
	c.Bool(&r.listed)
	n := c.Count(len(r.lanes), maxLanes, "partitions")
	if c.Reading() && n > 0 {
		r.lanes = make([]readerLane, n)
	}
	for i := range r.lanes {
		l := &r.lanes[i]
		snapshot.Uint(c, &l.lane, math.MaxUint64)
		l.counts.Snapshot(c)
		l.gate.Snapshot(c)
		c.Time(&l.units)
		c.Time(&l.bad)
	}
}

func (t *topicStats) snapshot(c *snapshot.Codec) {
	t.all.Snapshot(c)
	n := c.Count(len(t.lanes), maxLanes, "partitions")
	if c.Reading() && n > 0 {
		t.lanes = make([]topicLane, n)
	}
	for i := range t.lanes {
		snapshot.Uint(c, &t.lanes[i].lane, math.MaxUint64)
		t.lanes[i].counts.Snapshot(c)
	}
}
