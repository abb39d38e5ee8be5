// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"math"
	"slices"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/window"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/storm"
)

// Settings bound a Table. Times are in nanoseconds.
type Settings struct {
	Circuit *circuit.Config
	// Rules are about single edges; the first that matches holds.
	Rules []Rule
	// Buckets of Bucket nanoseconds each make Circuit.Window.
	Buckets int
	Bucket  int64
	// MaxEdges bounds the table, and the aliases; MaxOperations the edges by operation between two nodes.
	MaxEdges, MaxOperations int
	// Idle is for how long a closed edge without calls is kept. A breaker that waits for calls as long as
	// that is forgotten as well.
	Idle int64
	// MaxOpenShare (0..1) of all edges may be open at once, but one may always.
	MaxOpenShare float64
	// A call is slow beyond SlowFactor times what 95 of 100 calls on its edge stay below, and beyond SlowFloor.
	SlowFactor float64
	SlowFloor  int64
	// Settling is how long the callee's own spans are waited for, at most.
	Settling int64
}

// Result says what became of a call.
type Result uint8

const (
	// Counted: its outcome is in the edge's window.
	Counted Result = iota
	// NotACall: the span is no call to a dependency, or a better witness tells of the same call.
	NotACall
	// Ignored: its outcome says nothing about the callee.
	Ignored
	// Stale: it started before the breaker began to verify; it tells of the past.
	Stale
	// NoPeer: the span does not say whom it called.
	NoPeer
	// Duplicate: the same span was seen before.
	Duplicate
	// Late: it ended before the window.
	Late
	// Full: the table has no place for its edge.
	Full
	NumResults = iota
)

// Table is the edges. What is visible of it depends on the order of calls alone: no map is ever walked.
type Table struct {
	set   Settings
	crowd circuit.Config // Settings.Circuit for the edges of UnknownCaller
	span  int64          // how far back a call is counted
	head  int64
	warm  int64 // breakers are mute before
	begun bool

	edges   map[uint64]*Edge // by key, and by the key that it had by an address
	order   []*Edge          // all edges; the place of one that goes is taken by the last
	handles handles
	nodes   map[uint64]*Node
	hand    int     // where the look around goes on
	active  []*Edge // those not closed, or with failures lately
	forced  []*Edge // those set by hand that nobody was told of
	open    int     // how many breakers are open or half open, by their own decision

	operations map[uint64]int     // edges by operation between two nodes, by the key that their edge would have; nil: no rule asks for any
	aliases    map[uint64][]alias // by edge key: further keys in edges, those it had by an address
	aliasCount int
	mixed      map[uint64]struct{} // such keys that stand for several services
	recent     recent
	services   [serviceSlots]*Service
	instances  [instanceSlots]*Instance
	lag        lag
	storm      storm.Config
	entries    window.Ring[entries, *entries]
	queues     map[uint32]*queue // by edge handle
	// What comes by was nothing but failures so far; a healthy share of requests was seen.
	first                    entries // the last few
	onlyFailures, sawHealthy bool

	// AliasesFull counts the names that could not be learned for want of place, OperationsFull the calls that
	// were counted on the edge for all other operations.
	AliasesFull, OperationsFull int64
	// Idle counts the edges that were forgotten because nothing was seen of them for long.
	Idle int64
}

// NewTable makes an empty table.
func NewTable(set Settings) *Table {
	t := &Table{
		set: set, crowd: crowd(set.Circuit), span: int64(set.Buckets) * set.Bucket,
		edges: make(map[uint64]*Edge), nodes: make(map[uint64]*Node), aliases: make(map[uint64][]alias),
		mixed: make(map[uint64]struct{}), queues: make(map[uint32]*queue), recent: newRecent(),
		entries: window.NewRing[entries](set.Buckets+1, set.Bucket),
	}
	t.lag.init(set.Settling)
	t.storm = storm.Default(t.span / 2)
	if slices.ContainsFunc(set.Rules, func(r Rule) bool { return r.ByOperation }) {
		t.operations = make(map[uint64]int)
	}
	return t
}

// crowd is a configuration for callers that send no spans. What they have in flight is not known, and a door that
// most pass well is not shut for the sake of those who wait behind it: no load rule.
func crowd(cfg *circuit.Config) circuit.Config {
	c := *cfg
	c.LoadCalls = math.MaxUint32
	return c
}

// Len is how many edges there are.
func (t *Table) Len() int { return len(t.order) }

// Edges yields all edges, in no order that means anything.
func (t *Table) Edges() []*Edge { return t.order }

// Active yields the edges that are not closed or that had failures lately, in the order in which they came to it.
func (t *Table) Active() []*Edge { return t.active }

// Edge finds an edge by its handle; nil when it is gone.
func (t *Table) Edge(handle uint32) *Edge { return t.handles.edge(handle) }

// Advance tells the table how far event time has come.
func (t *Table) Advance(head int64) {
	if !t.begun {
		t.begun, t.warm = true, head+t.set.Circuit.Window
	}
	t.head = max(t.head, head)
}

// Move shifts the table's time by d nanoseconds to a new head: the clock was wrong by so much. The windows
// begin empty; breakers keep their state.
func (t *Table) Move(head, d int64) {
	t.head = head
	t.warm += d
	t.entries.Reset()
	for _, e := range t.order {
		e.pulses.Reset()
		e.Breaker.Move(d)
		e.lastSeen += d
		e.folded += d
		if e.Hot != nil {
			e.Hot.move(d)
		}
		t.queues[e.handle].move(d)
	}
	t.lag.fadeAt += d
	for _, s := range t.services {
		if s != nil {
			s.move(d)
		}
	}
}

// Warming says that less than a whole window has been seen.
func (t *Table) Warming() bool { return t.head < t.warm }

// Record takes a call by a service that ended at the given event time (as the engine's clock places it), and
// returns its edge: nil when it has none.
func (t *Table) Record(c *call.Call, by *Service, from *Instance, at int64) (*Edge, Fault, Result) {
	e, fault, result := t.record(c, by, from, at)
	if c.ParentID == 0 && result != Duplicate {
		t.enter(at, c.Outcome.Bad())
	}
	return e, fault, result
}

func (t *Table) record(c *call.Call, by *Service, from *Instance, at int64) (*Edge, Fault, Result) {
	switch {
	case c.Role.Outgoing():
		return t.recordClient(c, by, from, at)
	case c.Role == call.RoleServer:
		return t.recordServer(c, by, from, at)
	case c.Role == call.RoleConsumer:
		t.Consumed(c, at)
	}
	return nil, NoFault, NotACall
}

func (t *Table) recordClient(c *call.Call, by *Service, from *Instance, at int64) (*Edge, Fault, Result) {
	// To receive, or to settle what was received, is not to depend on anybody's answer: an empty poll that
	// times out is no failure.
	if c.Protocol == call.ProtocolMessaging && (c.Operation.Verb == "receive" || c.Operation.Verb == "settle") {
		return nil, NoFault, NotACall
	}
	peer := c.Peer.Key()
	if peer == 0 {
		return nil, NoFault, NoPeer
	}
	key := mix(by.Key, peer)
	e := t.edges[key]
	if e == nil {
		if e = t.meet(key, by, c); e == nil {
			return nil, NoFault, Full
		}
	}
	if e.operation == "" && e.rule != nil && e.rule.ByOperation { // known by address until its name was learned
		if e = t.meetOperation(e.key, *e.Caller, *e.Callee, c); e == nil {
			return nil, NoFault, Full
		}
	}
	address := uint64(0)
	if c.Peer.Kind == call.NodeExternal {
		address = key
	}
	slot, server, dup := t.recent.client(c.TraceID, c.SpanID, e, address)
	if dup {
		return e, NoFault, Duplicate
	}
	slot.head, slot.end, slot.bad = t.head, c.End, c.Outcome.Bad()
	var to *Instance
	if c.Peer.Instance != "" {
		slot.named, to = true, t.instanceAt(&c.Peer)
	}
	if server != nil {
		e = t.matched(e, address, server.service)
		t.touch(server.service.Key)
		if to == nil {
			to, slot.named = server.instance, true
		}
	}
	if e.Callee.Kind == call.NodeService {
		t.touch(e.Callee.Key)
	}
	fault, result := t.count(e, c, at)
	if e.Hot != nil && result == Counted {
		e.Hot.from(at, from, fault, WeightOf(c.Weight))
		e.Hot.named = e.Hot.named || c.Peer.Instance != ""
		if to != nil {
			e.Hot.to(at, to, fault, WeightOf(c.Weight))
		}
	}
	return e, fault, result
}

// recordServer takes the callee's own span. It is a witness only where there is none on the caller's side,
// who also sees the network and gives up sooner.
func (t *Table) recordServer(c *call.Call, by *Service, from *Instance, at int64) (*Edge, Fault, Result) {
	client, dup := t.recent.server(c.TraceID, c.SpanID, c.ParentID, waiting{service: by, instance: from})
	if dup {
		return nil, NoFault, Duplicate
	}
	by.receive(t, at)
	if client != nil {
		t.lag.learn(t.head, t.head-client.head)
		e := t.matched(client.edge, client.address, by)
		t.touch(by.Key)
		if e.Hot != nil && !client.named {
			fault := NoFault
			if client.bad {
				fault = Charged
			}
			e.Hot.to(at, from, fault, WeightOf(c.Weight))
		}
		return nil, NoFault, NotACall
	}
	if c.ParentID != 0 && !t.onlyWitness(by) {
		return nil, NoFault, NotACall
	}
	key := mix(0, by.Key)
	e := t.edges[key]
	if e == nil {
		if !t.room() {
			return nil, NoFault, Full
		}
		e = t.add(key, t.node(0, UnknownCaller, call.NodeUnknown), t.node(by.Key, by.Name, call.NodeService), "")
	}
	fault, result := t.count(e, c, at)
	return e, fault, result
}

// count adds the call's outcome to the edge's window.
func (t *Table) count(e *Edge, c *call.Call, at int64) (Fault, Result) {
	e.lastSeen = max(e.lastSeen, at)
	if c.Outcome == call.Ignored {
		return NoFault, Ignored
	}
	if at <= t.head-t.span {
		return NoFault, Late
	}
	fault := NoFault
	if c.Outcome.Bad() {
		fault = t.firstFault(e, c, at)
	}
	took := c.Duration()
	p := pulse{calls: 1, weight: WeightOf(c.Weight), busy: busyOf(took)}
	if e.usual.over > 0 && took > e.usual.over {
		p.slow = 1
	}
	bad := fault.one(c.Outcome == call.Throttled, p.weight, p.busy)
	if !e.Breaker.Call(c.Start, sums(&p, &bad)) {
		return NoFault, Stale
	}
	bucket := e.pulses.At(at)
	if bucket == nil {
		return NoFault, Late
	}
	if bucket.calls < slowSamples && e.Breaker.State() == circuit.Closed {
		e.usual.sample(took)
	}
	bucket.Add(&p)
	if fault != NoFault {
		t.fail(e, c, at, &bad)
	}
	return fault, Counted
}

// firstFault is what a failed call is taken for until its trace is looked at: where the callee sends spans of its own
// they are waited for, unless the callee was not even reached. What counts elsewhere than at its end, as the clock doubts
// it, is not corrected later, and stands as it is.
func (t *Table) firstFault(e *Edge, c *call.Call, at int64) Fault {
	if at != c.End || c.Reason == call.ReasonUnreachable || e.Callee.Kind != call.NodeService || !t.speaks(e.Callee.Key) {
		return Charged
	}
	return Pending
}

func (t *Table) fail(e *Edge, c *call.Call, at int64, bad *trouble) {
	h := t.heat(e)
	if bucket := h.troubles.At(at); bucket != nil {
		bucket.Add(bad)
	}
	h.BadTrace, h.BadSpan = c.TraceID, c.SpanID
	h.badAt = max(h.badAt, at)
	h.dirty = true
}

// heat makes the edge one with failures.
func (t *Table) heat(e *Edge) *Hot {
	if e.Hot == nil {
		e.Hot = newHot(t)
	}
	if !e.active {
		e.active = true
		t.active = append(t.active, e)
	}
	return e.Hot
}

// room says whether there is a place for one more edge, if need be that of an idle one.
func (t *Table) room() bool {
	if len(t.order) >= t.set.MaxEdges {
		t.lookAround(evictOnFull, t.head, nil)
	}
	return len(t.order) < t.set.MaxEdges
}
