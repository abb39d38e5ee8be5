// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package engine puts the parts together: calls go in, in any order within the allowed lateness; incidents
// and the roles of their nodes come out. It has no clock but the calls' own.
package engine

import (
	"math"

	"github.com/cespare/xxhash/v2"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/internal/watermark"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/baseline"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/blame"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/contrast"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/detect"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/queue"
)

const (
	second = int64(1e9)
	// evictEvery is how often idle nodes are looked for, in event time.
	evictEvery = 60 * second
	// ledgerSeconds is the furthest that a verdict looks back.
	ledgerSeconds = 180
	// ledgerRows is the most kinds of hurt units of work told apart in a second.
	ledgerRows = 512
	// taintCells is how far back it is known which cells were under suspicion, 85 minutes: longer than an incident
	// lasts by default. Before that, all were.
	taintCells = 512
)

// Settings of an Engine. Durations in nanoseconds; all must be positive.
type Settings struct {
	Lateness   int64 // how late a span may arrive
	Quiet      int64 // how long a trace must be at rest before it is looked at
	WarmUp     int64 // no verdict before so much was seen
	IdleAfter  int64 // what was not seen for so long is forgotten
	Spans      int   // skeletons held
	TraceSpans int   // skeletons held of one trace
	HurtTraces int   // ids of hurt traces remembered, for their logs and roots
	Messages   int   // publishes, and as many receipts, remembered
	Graph      graph.Limits
	Incident   incident.Policy
}

// Counts is what happened to spans so far.
type Counts struct {
	Late, Future, Rebased int64
	TraceFull             int64 // beyond TraceSpans
	TableFull             int64 // given out early for want of room
	Unplaced              int64 // beyond the graph's limits
	Paired, Unpaired      int64 // outgoing calls that were and were not seen answered, whoever they were to
	Unanswered            int64 // of Unpaired: to services
	Partial               int64 // spans whose parent was not there
	Duplicates, Cycles    int64
	LedgerFull            int64
	HurtForgotten         int64
	MessagesLost          int64 // beyond Messages
	Lanes                 int64 // messages in partitions beyond the limit of a topic
	EvidenceFull          int64 // observations of series or features beyond the limits
	LogsLost              int64 // log lines whose trace did not come in time, or came to rest before them
	LogsMisplaced         int64 // log lines of a time too far from that of the spans
	LogsUnplaced          int64 // log lines of a service without spans that name no span
	LogTemplates          int64 // log lines of templates beyond the limits
	LogsOfSpans           int64 // log lines that name their span
	LogsOfServices        int64 // log lines that do not
	Incidents             incident.Beyond
	Idle                  Idle
}

// Idle is how many of each were forgotten because nothing was seen of them for long.
type Idle struct{ Nodes, Ops, Replicas, Edges int64 }

// Add adds other's counts.
func (i *Idle) Add(other Idle) {
	i.Nodes += other.Nodes
	i.Ops += other.Ops
	i.Replicas += other.Replicas
	i.Edges += other.Edges
}

// Add adds other's counts.
func (c *Counts) Add(other Counts) {
	c.Late += other.Late
	c.Future += other.Future
	c.Rebased += other.Rebased
	c.TraceFull += other.TraceFull
	c.TableFull += other.TableFull
	c.Unplaced += other.Unplaced
	c.Paired += other.Paired
	c.Unpaired += other.Unpaired
	c.Unanswered += other.Unanswered
	c.Partial += other.Partial
	c.Duplicates += other.Duplicates
	c.Cycles += other.Cycles
	c.LedgerFull += other.LedgerFull
	c.HurtForgotten += other.HurtForgotten
	c.MessagesLost += other.MessagesLost
	c.Lanes += other.Lanes
	c.EvidenceFull += other.EvidenceFull
	c.LogsLost += other.LogsLost
	c.LogsMisplaced += other.LogsMisplaced
	c.LogsUnplaced += other.LogsUnplaced
	c.LogTemplates += other.LogTemplates
	c.LogsOfSpans += other.LogsOfSpans
	c.LogsOfServices += other.LogsOfServices
	c.Incidents.Add(other.Incidents)
	c.Idle.Add(other.Idle)
}

// Engine is one engine. New makes one. It is not safe for concurrent use.
type Engine struct {
	set    Settings
	clock  *watermark.Clock
	table  *trace.Table
	walker trace.Walker
	walk   blame.Walk // of the trace at hand
	graph  *graph.Graph
	ledger *blame.Ledger
	keeper incident.Keeper
	hurt   hurtTraces
	study  study

	sent     *queue.Table // by producers' spans
	receipts *queue.Table // by consumers' spans, until their trace is looked at

	ops       []opStats
	instances []instanceStats
	nodes     []nodeStats
	touched   []graph.OpID      // entry operations with units of work in the current second, or a gate not at rest
	lagging   []graph.OpID      // consumers' operations with records in the current second, or a gate not at rest
	orphans   baseline.Series   // traces; bad are those with spans whose parent is missing
	lapsing   []graph.OpID      // operations that broke with a habit in the current second, or a gate not at rest
	taints    [taintCells]int64 // cells under suspicion, by number modulo len; 0 for none
	began     int64             // when the first span ended
	now       int64             // end of the second being analysed
	units     int64             // units of work so far
	evictedAt int64
	lastBad   int64                  // the latest of all gates
	levels    [detect.Open + 1]int64 // gates at each level in the latest second
	parts     map[graph.NodeID]part
	published []*incident.Incident

	restoredAt int64 // head that the state at hand was restored with; 0 when it was not, or that was taken account of

	sideBytes int64 // held beside their rows for operations and topics

	traces   uint32 // serial of the trace at hand
	serial   uint32 // of the span whose callees are being counted
	called   []graph.NodeID
	batch    *call.Batch // at hand
	sources  []source    // of its resources
	counts   Counts
	onChange func(incident.Incident)
	visit    func(trace.ID, []trace.Span)
	tick     func(int64)
}

// source is who emitted the calls of a resource.
type source struct {
	key      uint64
	clock    uint64
	node     graph.NodeID
	instance graph.InstanceID
	known    bool
}

// New makes an engine. onChange is told of every incident that opens, changes or ends.
func New(set Settings, onChange func(incident.Incident)) *Engine {
	e := &Engine{
		set:      set,
		clock:    watermark.NewClock(set.Lateness),
		table:    trace.NewTable(trace.Limits{Spans: set.Spans, TraceSpans: set.TraceSpans, Quiet: set.Quiet, Wait: set.Lateness}),
		graph:    graph.New(set.Graph),
		ledger:   blame.NewLedger(ledgerSeconds, ledgerRows),
		keeper:   incident.Keeper{Policy: set.Incident},
		hurt:     newHurtTraces(set.HurtTraces),
		sent:     queue.NewTable(set.Messages),
		receipts: queue.NewTable(set.Messages),
		study:    study{store: contrast.New(), logs: newLogJoiner(joinLogs, 2*set.Lateness+set.Quiet+joinSlack)},
		onChange: onChange,
	}
	e.visit, e.tick = e.analyse, e.endSecond
	return e
}

// Learn takes a batch of calls. For every call that is hurt in an open incident it appends a Mark to marks.
func (e *Engine) Learn(b *call.Batch, marks []Mark) []Mark {
	e.batch, e.sources = b, e.sources[:0]
	for i := range b.Resources {
		e.sources = append(e.sources, source{key: b.Resources[i].Key(), clock: b.Resources[i].Clock()})
	}
	defer func() { e.batch, e.sources = nil, e.sources[:0] }()
	for i := range b.Calls {
		c := &b.Calls[i]
		op := e.learn(c)
		if e.parts != nil && op != 0 {
			marks = e.mark(c, op, int32(i), marks)
		}
	}
	return marks
}

// source returns who emitted a call that counts at time at.
func (e *Engine) source(resource int32, at int64) *source {
	s := &e.sources[resource]
	if s.known {
		e.graph.Touch(s.node, s.instance, at)
		return s
	}
	s.known = true
	r := &e.batch.Resources[resource]
	if s.node = e.graph.Node(s.key, call.NodeService, at, func() string { return r.Node() }); s.node != 0 {
		s.instance = e.graph.Instance(s.node, ReplicaKey(r), at, r)
	}
	return s
}

// learn files one call; it returns the call's operation, 0 when there is no room for it.
func (e *Engine) learn(c *call.Call) graph.OpID {
	head := e.clock.Head()
	at, placement := e.clock.Observe(c.End, e.sources[c.Resource].clock)
	if placement == watermark.Rebased {
		e.rebased(head)
	}
	if e.began == 0 {
		e.began = at
	}
	src := e.source(c.Resource, at)
	if src.node == 0 {
		e.counts.Unplaced++
		return 0
	}
	op := e.op(src.node, c, at)
	switch placement {
	case watermark.Late:
		e.counts.Late++
		return op
	case watermark.Future:
		e.counts.Future++
	case watermark.Rebased:
		e.counts.Rebased++
	case watermark.OnTime:
	}
	if op == 0 {
		e.counts.Unplaced++
		return 0
	}
	if e.table.Full() {
		e.counts.TableFull++
		e.table.Relieve(e.visit)
	}
	kept := e.table.Add(c.TraceID, trace.NewSpan(trace.Facts{
		ID: c.SpanID, Parent: c.ParentID, Start: at - c.Duration(), End: at,
		Op: uint32(op), Instance: uint32(src.instance), Weight: weight(c.Weight),
		Role: c.Role, Outcome: c.Outcome, Reason: c.Reason, Detail: c.Detail, Attempt: c.Attempt,
	}))
	if !kept {
		e.counts.TraceFull++
	}
	if c.Role == call.RoleProducer || c.Role == call.RoleConsumer {
		e.learnMessage(c, op, at)
	}
	if e.clock.Mark()-e.now >= second {
		e.table.Expire(e.clock.Mark(), e.visit, e.tick)
	}
	return op
}

func (e *Engine) op(node graph.NodeID, c *call.Call, at int64) graph.OpID {
	var peer graph.NodeID
	if c.Peer.Kind != call.NodeUnknown {
		peer = e.graph.Node(c.Peer.Key(), c.Peer.Kind, at, func() string { return c.Peer.String() })
	}
	op := e.graph.Op(node, c.Role, peer, c.Operation.Key(), at, func() string { return c.Operation.String() })
	for int(op) >= len(e.ops) {
		e.ops = append(e.ops, opStats{})
	}
	return op
}

// Idle says that no data has come for longer than spans may be late: what is here is all there is.
func (e *Engine) Idle() {
	e.clock.Idle()
	e.table.Expire(e.clock.Mark()+e.set.Quiet+2*second, e.visit, e.tick)
}

// rebased takes account of a jump of the clock from head. Nothing was seen in the time that it leapt over.
func (e *Engine) rebased(head int64) {
	by := e.clock.Head() - head
	e.began += by
	if by < 0 {
		e.rewind()
		return
	}
	if head == e.restoredAt && head != 0 {
		e.resumed(by)
	}
	// Years may lie between: they are not gone through second by second.
	if all := head + e.set.Quiet + 2*second; e.clock.Mark() > all {
		e.table.Expire(all, e.visit, e.tick)
		e.table.Expire(e.clock.Mark(), e.visit, e.tick)
	}
}

// Ready says that enough was seen for verdicts.
func (e *Engine) Ready() bool { return e.began != 0 && e.now-e.began >= e.set.WarmUp }

// Open returns the open incidents in the order in which they opened.
func (e *Engine) Open() []*incident.Incident { return e.keeper.Open() }

// Counts returns what happened to spans so far.
func (e *Engine) Counts() Counts {
	c := e.counts
	c.Cycles += e.walker.Cycles() // on top of those of merged engines
	c.LedgerFull, c.HurtForgotten = e.ledger.Overflow, e.hurt.dropped
	c.MessagesLost = e.sent.Lost + e.receipts.Lost
	c.EvidenceFull, c.LogsLost = e.study.store.Dropped(), e.study.logs.dropped
	c.LogTemplates = e.study.store.Speechless()
	c.Incidents.Add(e.keeper.Beyond) // on top of those of merged engines
	return c
}

// Symptoms returns how many tests of what users and readers of topics get to feel suspected something in the latest
// second, and how many were sure of it.
func (e *Engine) Symptoms() (suspected, open int64) {
	return e.levels[detect.Suspect], e.levels[detect.Open]
}

// Size is how much the engine holds at present.
type Size struct {
	Spans, Traces, Nodes, Ops, Edges int
	Bytes                            int64
}

// Size returns how much the engine holds, and the graph's overflow counts so far.
func (e *Engine) Size() (Size, graph.Overflow) {
	var s Size
	s.Spans, s.Traces = e.table.Len()
	s.Nodes, s.Ops, s.Edges = e.graph.Size()
	s.Bytes = e.table.Bytes() + e.graph.Bytes() + int64(cap(e.ops))*opBytes + int64(cap(e.nodes))*nodeBytes +
		int64(cap(e.instances))*instanceBytes + e.sideBytes + e.sent.Bytes() + e.receipts.Bytes() +
		e.ledger.Bytes() + e.hurt.bytes() + e.study.bytes()
	return s, e.graph.Overflow
}

// Lag returns how far analysis stays behind the newest data, in nanoseconds of event time.
func (e *Engine) Lag() int64 { return e.clock.Wait() + e.set.Quiet }

func weight(w float64) uint32 {
	return uint32(min(max(math.Round(w*16), 16), math.MaxUint32))
}

// ReplicaKey tells replicas apart, and the versions of one.
func ReplicaKey(r *call.Resource) uint64 {
	return xxhash.Sum64String(r.Instance)*31 + xxhash.Sum64String(r.Version)
}
