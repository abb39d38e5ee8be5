// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package engine is the breaker's reasoning as a whole: calls in, advice out. Event time is its only clock,
// taken span by span, so that neither the cut of batches nor the speed of a replay can be seen in what it says.
package engine

import (
	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/watermark"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/decision"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/edge"
)

const (
	// stepWidth is how often breakers decide, in nanoseconds of event time.
	stepWidth = int64(250e6)
	// maxCatchUp bounds the decisions made up for after a gap in the data.
	maxCatchUp = 240 * stepWidth
)

// Settings are what an Engine needs.
type Settings struct {
	edge.Settings
	// Lateness is how late a span may come, in nanoseconds.
	Lateness int64
	// MaxSpans is how many spans are remembered to tell what failed because of what, MaxTraceSpans of one trace.
	MaxSpans, MaxTraceSpans int
	// MaxFailing is how many failed traces may wait to be looked at.
	MaxFailing int
}

// Mark says that a span of the batch is a call on an edge whose breaker is not closed, or one that failed where it
// is known where such failures begin.
type Mark struct {
	Call   int // index into Batch.Calls
	Name   string
	State  circuit.State
	Reason string
	Origin Origin
}

// Origin is where failures on an edge begin, as its window shows.
type Origin uint8

const (
	// OriginUnknown: not a failed call, or it is not known.
	OriginUnknown Origin = iota
	// OriginSelf: on this edge.
	OriginSelf
	// OriginPropagated: further down.
	OriginPropagated
)

// String is the value of the attribute.
func (o Origin) String() string { return [...]string{"", "self", "propagated"}[o] }

// Counts is what came by that was not simply counted on its edge.
type Counts struct {
	Results [edge.NumResults]int64
	// Future calls were counted at the head of event time, Rebased ones moved it.
	Future, Rebased             int64
	AliasesFull, OperationsFull int64
	// Idle edges were forgotten.
	Idle int64
	Stories
}

// Add adds other to c.
func (c *Counts) Add(other Counts) {
	for i, n := range other.Results {
		c.Results[i] += n
	}
	c.Future += other.Future
	c.Rebased += other.Rebased
	c.AliasesFull += other.AliasesFull
	c.OperationsFull += other.OperationsFull
	c.Idle += other.Idle
	c.Stories.add(&other.Stories)
}

// Engine watches the edges. It is used by one goroutine at a time.
type Engine struct {
	set     Settings
	clock   *watermark.Clock
	table   *edge.Table
	stories *stories
	tell    func(decision.Event)
	counts  Counts
	begun   bool
	next    int64 // time of the next decision
	sources []source
}

// source is who emitted the spans of one resource of the batch at hand.
type source struct {
	service  *edge.Service
	instance *edge.Instance
	clock    uint64
}

// New makes an engine; tell is called for each event, during Learn.
func New(set Settings, tell func(decision.Event)) *Engine {
	e := &Engine{set: set, clock: watermark.NewClock(set.Lateness), table: edge.NewTable(set.Settings), tell: tell}
	e.stories = newStories(&set, e.table)
	return e
}

// Learn takes the calls of a batch, in their order, and appends a mark for each that was made on an edge whose
// breaker was not closed when the call passed by.
func (e *Engine) Learn(b *call.Batch, marks []Mark) []Mark {
	e.sources = e.sources[:0]
	for i := range b.Resources {
		e.sources = append(e.sources, source{clock: b.Resources[i].Clock()})
	}
	for i := range b.Calls {
		c := &b.Calls[i]
		s := &e.sources[c.Resource]
		at := e.place(c.End, s.clock)
		if s.service == nil {
			e.meet(s, &b.Resources[c.Resource])
		}
		on, fault, result := e.table.Record(c, s.service, s.instance, at)
		e.counts.Results[result]++
		if result == edge.Duplicate {
			continue
		}
		e.stories.add(c, s.service, on, fault, result == edge.Counted, at, e.clock.Head())
		if on != nil && c.Role.Outgoing() && on.Hot != nil {
			marks = mark(marks, i, c, on)
		}
	}
	return marks
}

// meet finds who a source is when its first span of the batch comes by, and no sooner: since when a service is known must
// not depend on where the batch began.
func (e *Engine) meet(s *source, r *call.Resource) {
	s.service = e.table.Service(r.Key(), r)
	s.instance = e.table.Instance(s.service, r)
}

func mark(marks []Mark, i int, c *call.Call, on *edge.Edge) []Mark {
	m := Mark{Call: i, State: on.Breaker.State()}
	if c.Outcome.Bad() {
		m.Origin = originOf(on)
	}
	if m.State == circuit.Closed && m.Origin != OriginPropagated {
		return marks
	}
	m.Name = on.Name()
	if m.State != circuit.Closed {
		m.Reason = on.Hot.Cause.Reason.String()
	}
	return append(marks, m)
}

// originOf says where most of the failures on an edge begin: what is not told of a single call while it passes by is told
// by those before it.
func originOf(on *edge.Edge) Origin {
	switch here, deeper := on.Faults(); {
	case here+deeper == 0:
		return OriginUnknown
	case here >= deeper:
		return OriginSelf
	}
	return OriginPropagated
}

// place puts a span's end into event time; when that moves the head, the breakers decide up to there first.
func (e *Engine) place(end int64, source uint64) int64 {
	before := e.clock.Head()
	at, placement := e.clock.Observe(end, source)
	head := e.clock.Head()
	switch placement {
	case watermark.Future:
		e.counts.Future++
	case watermark.Rebased:
		e.counts.Rebased++
		if head < before || e.table.Warming() {
			e.table.Move(head, head-before)
			e.stories.forget()
			e.next = after(head)
			return at
		}
	}
	if !e.begun {
		e.begun = true
		e.table.Advance(head)
		e.next = after(head)
		return at
	}
	if e.next <= head {
		e.step(head)
	}
	if head != before {
		e.table.Advance(head)
	}
	return at
}

func (e *Engine) step(head int64) {
	e.next = max(e.next, after(head-maxCatchUp))
	for ; e.next <= head; e.next += stepWidth {
		e.table.Advance(e.next)
		e.stories.look(e.next)
		e.stories.peaks = maxPeaks
		e.table.Step(e.next, e.happened)
	}
}

// happened passes an event of the table on.
func (e *Engine) happened(ev edge.Event) {
	if ev.Kind == edge.Changed && ev.Transition.To == circuit.Open {
		ev.Edge.Hot.MostInFlight = e.stories.mostInFlight(ev.Edge, ev.At-e.set.Circuit.Window, ev.At)
	}
	e.tell(e.event(&ev))
}

// after is the first time of decision later than t.
func after(t int64) int64 {
	r := t % stepWidth
	if r < 0 {
		r += stepWidth
	}
	return t - r + stepWidth
}

// Counts are the counts so far.
func (e *Engine) Counts() Counts {
	c := e.counts
	c.AliasesFull, c.OperationsFull, c.Idle = e.table.AliasesFull, e.table.OperationsFull, e.table.Idle
	c.Stories = e.stories.counts
	c.Unfound += int64(e.stories.log.Cut())
	return c
}

// Ready says that a whole window has been seen: breakers may open.
func (e *Engine) Ready() bool { return e.begun && !e.table.Warming() }

// Bytes returns about how much memory the engine holds. It walks the edges.
func (e *Engine) Bytes() int64 { return e.table.Bytes() + e.stories.log.Bytes() }

// Settling is how long a failure's story is awaited at present, in nanoseconds.
func (e *Engine) Settling() int64 { return e.table.Settling() }

// States are how many breakers there are in each state.
func (e *Engine) States() (n [circuit.NumStates]int64) {
	for _, on := range e.table.Active() {
		n[on.Breaker.State()]++
	}
	n[circuit.Closed] = int64(e.table.Len())
	for s, k := range n {
		if circuit.State(s) != circuit.Closed {
			n[circuit.Closed] -= k
		}
	}
	return n
}

// Open says which service's calls are advised against, by the service's key: the name and reason of the breaker that
// has been open longest.
func (e *Engine) Open() map[uint64]Mark {
	longest := make(map[uint64]*edge.Edge)
	for _, on := range e.table.Active() {
		key := on.Caller.Key
		if decision.For(on.Breaker.State()) != decision.Reject || key == 0 {
			continue
		}
		if other := longest[key]; other == nil || on.Hot.Last.At < other.Hot.Last.At {
			longest[key] = on
		}
	}
	open := make(map[uint64]Mark, len(longest))
	for key, on := range longest {
		open[key] = Mark{Name: on.Name(), State: on.Breaker.State(), Reason: on.Hot.Cause.Reason.String()}
	}
	return open
}

// Advice lists the edges that are not closed, at most limit, the longest active first, and says how many were
// left out.
func (e *Engine) Advice(limit int) (list []decision.Advice, omitted int) {
	for _, on := range e.table.Active() {
		if on.Breaker.State() == circuit.Closed {
			continue
		}
		if len(list) == limit {
			omitted++
			continue
		}
		list = append(list, e.advice(on))
	}
	return list, omitted
}
