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
}

// Change is a breaker's change of state, with a call that failed as an example; zero ids: none.
type Change struct {
	decision.Change
	TraceID [16]byte
	SpanID  uint64
}

// Mark says that a span of the batch is a call on an edge whose breaker is not closed.
type Mark struct {
	Call   int // index into Batch.Calls
	Name   string
	State  circuit.State
	Reason string
}

// Counts is what came by that was not simply counted on its edge.
type Counts struct {
	Results [edge.NumResults]int64
	// Future calls were counted at the head of event time, Rebased ones moved it.
	Future, Rebased int64
	AliasesFull     int64
}

// Add adds other to c.
func (c *Counts) Add(other Counts) {
	for i, n := range other.Results {
		c.Results[i] += n
	}
	c.Future += other.Future
	c.Rebased += other.Rebased
	c.AliasesFull += other.AliasesFull
}

// Engine watches the edges. It is used by one goroutine at a time.
type Engine struct {
	set     Settings
	clock   *watermark.Clock
	table   *edge.Table
	changed func(Change)
	counts  Counts
	begun   bool
	next    int64 // time of the next decision
	sources []source
}

// source is who emitted the spans of one resource of the batch at hand.
type source struct{ service, clock uint64 }

// New makes an engine; changed is called for each change of state, during Learn.
func New(set Settings, changed func(Change)) *Engine {
	return &Engine{set: set, clock: watermark.NewClock(set.Lateness), table: edge.NewTable(set.Settings), changed: changed}
}

// Learn takes the calls of a batch, in their order, and appends a mark for each that was made on an edge whose
// breaker was not closed when the call passed by.
func (e *Engine) Learn(b *call.Batch, marks []Mark) []Mark {
	e.sources = e.sources[:0]
	for i := range b.Resources {
		r := &b.Resources[i]
		key := r.Key()
		e.sources = append(e.sources, source{key, r.Clock()})
	}
	for i := range b.Calls {
		c := &b.Calls[i]
		s := e.sources[c.Resource]
		at := e.place(c.End, s.clock)
		on, result := e.table.Record(c, e.table.Service(s.service, &b.Resources[c.Resource]), at)
		e.counts.Results[result]++
		if on != nil && c.Role.Outgoing() {
			if state := on.Breaker.State(); state != circuit.Closed {
				marks = append(marks, Mark{i, on.Name(), state, on.Past.Cause.Reason.String()})
			}
		}
	}
	return marks
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
		e.table.Step(e.next, e.tell)
	}
}

func (e *Engine) tell(on *edge.Edge, tr circuit.Transition) {
	c := Change{Change: decision.ChangeOf(describe(on), e.set.Circuit, tr, on.Past.Cause)}
	if tr.To == circuit.Open {
		c.TraceID, c.SpanID = on.BadTrace, on.BadSpan
	}
	e.changed(c)
}

// after is the first time of decision later than t.
func after(t int64) int64 {
	r := t % stepWidth
	if r < 0 {
		r += stepWidth
	}
	return t - r + stepWidth
}

func describe(e *edge.Edge) decision.Edge {
	return decision.Edge{Name: e.Name(), Caller: e.Caller, Callee: e.Callee, Kind: e.Kind.String()}
}

// Counts are the counts so far.
func (e *Engine) Counts() Counts {
	c := e.counts
	c.AliasesFull = e.table.AliasesFull
	return c
}

// States are how many breakers there are in each state.
func (e *Engine) States() (n [circuit.NumStates]int64) {
	for _, on := range e.table.Active() {
		n[on.Breaker.State()]++
	}
	n[circuit.Closed] = int64(e.table.Len()) - n[circuit.Open] - n[circuit.HalfOpen]
	return n
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
		list = append(list, decision.Of(describe(on), e.set.Circuit, on.Past.Last, on.Past.Cause))
	}
	return list, omitted
}
