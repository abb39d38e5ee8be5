// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"math"
	"strings"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/window"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
)

// Settings bound a Table. Times are in nanoseconds.
type Settings struct {
	Circuit *circuit.Config
	// Buckets of Bucket nanoseconds each make Circuit.Window.
	Buckets int
	Bucket  int64
	// MaxEdges bounds the table, and the aliases.
	MaxEdges int
	// Idle is for how long a closed edge without calls is kept. A breaker that waits for calls as long as
	// that is forgotten as well.
	Idle int64
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

	edges  map[uint64]*Edge // by key, and by the key that it had by an address
	order  []*Edge          // all edges; the place of one that goes is taken by the last
	hand   int              // where the search for idle edges goes on
	active []*Edge          // those not closed, or with failures in the window

	aliases  int                 // keys in edges that stand for an address
	mixed    map[uint64]struct{} // such keys that stand for several services
	recent   recent
	services [serviceSlots]*Service

	// AliasesFull counts the names that could not be learned for want of place.
	AliasesFull int64
}

// NewTable makes an empty table.
func NewTable(set Settings) *Table {
	crowd := *set.Circuit
	// What a caller that sends no spans has in flight is not known, and a door that most pass well is not shut
	// for the sake of those who wait behind it: no load rule.
	crowd.LoadCalls = math.MaxUint32
	return &Table{
		set: set, crowd: crowd, span: int64(set.Buckets) * set.Bucket,
		edges: make(map[uint64]*Edge), mixed: make(map[uint64]struct{}),
		recent: newRecent(),
	}
}

// Len is how many edges there are.
func (t *Table) Len() int { return len(t.order) }

// Active yields the edges that are not closed or that had failures lately, in the order in which they came to it.
func (t *Table) Active() []*Edge { return t.active }

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
	for _, e := range t.order {
		e.outcomes.Reset()
		e.Breaker.Move(d)
		e.lastSeen += d
	}
	for _, s := range t.services {
		if s != nil {
			s.since += d
			if s.clientAt != never {
				s.clientAt += d
			}
		}
	}
}

// Warming says that less than a whole window has been seen.
func (t *Table) Warming() bool { return t.head < t.warm }

// Record takes a call by a service that ended at the given event time (as the engine's clock places it), and
// returns its edge: nil when it has none.
func (t *Table) Record(c *call.Call, by *Service, at int64) (*Edge, Result) {
	switch {
	case c.Role.Outgoing():
		return t.recordClient(c, by, at)
	case c.Role == call.RoleServer:
		return t.recordServer(c, by, at)
	}
	return nil, NotACall
}

func (t *Table) recordClient(c *call.Call, by *Service, at int64) (*Edge, Result) {
	// To receive, or to settle what was received, is not to depend on anybody's answer: an empty poll that
	// times out is no failure.
	if c.Protocol == call.ProtocolMessaging && (c.Operation.Verb == "receive" || c.Operation.Verb == "settle") {
		return nil, NotACall
	}
	peer := c.Peer.Key()
	if peer == 0 {
		return nil, NoPeer
	}
	key := mix(by.Key, peer)
	e := t.edges[key]
	if e == nil {
		if !t.room() {
			return nil, Full
		}
		e = t.add(by.Key, by.Name, peer, c.Peer.String(), c.Peer.Kind)
	}
	address := uint64(0)
	if c.Peer.Kind == call.NodeExternal {
		address = key
	}
	server, dup := t.recent.client(c.TraceID, c.SpanID, e, address)
	if dup {
		return e, Duplicate
	}
	if server != nil {
		e = t.matched(e, address, server)
		t.touch(server.Key)
	}
	if e.Kind == call.NodeService {
		t.touch(e.callee)
	}
	return e, t.count(e, c, at)
}

// recordServer takes the callee's own span. It is a witness only where there is none on the caller's side,
// who also sees the network and gives up sooner.
func (t *Table) recordServer(c *call.Call, by *Service, at int64) (*Edge, Result) {
	client, dup := t.recent.server(c.TraceID, c.SpanID, c.ParentID, by)
	switch {
	case dup:
		return nil, Duplicate
	case client != nil:
		t.matched(client.edge, client.address, by)
		t.touch(by.Key)
		return nil, NotACall
	case c.ParentID != 0 && !t.onlyWitness(by):
		return nil, NotACall
	}
	e := t.edges[mix(0, by.Key)]
	if e == nil {
		if !t.room() {
			return nil, Full
		}
		e = t.add(0, UnknownCaller, by.Key, by.Name, call.NodeService)
	}
	return e, t.count(e, c, at)
}

// count adds the call's outcome to the edge's window.
func (t *Table) count(e *Edge, c *call.Call, at int64) Result {
	e.lastSeen = max(e.lastSeen, at)
	if c.Outcome == call.Ignored {
		return Ignored
	}
	if at <= t.head-t.span {
		return Late
	}
	bad := c.Outcome.Bad()
	one := circuit.One(bad, c.Outcome == call.Throttled, c.Weight, c.Duration())
	if !e.Breaker.Call(c.Start, one) {
		return Stale
	}
	bucket := e.outcomes.At(at)
	if bucket == nil {
		return Late
	}
	bucket.Add(&one)
	if bad {
		e.BadTrace, e.BadSpan = c.TraceID, c.SpanID
		t.activate(e)
	}
	return Counted
}

func (t *Table) activate(e *Edge) {
	if !e.active {
		e.active = true
		t.active = append(t.active, e)
	}
}

// room says whether there is a place for one more edge, if need be that of an idle one.
func (t *Table) room() bool {
	if len(t.order) >= t.set.MaxEdges {
		t.evict(evictOnFull)
	}
	return len(t.order) < t.set.MaxEdges
}

func (t *Table) add(caller uint64, callerName string, callee uint64, calleeName string, kind call.NodeKind) *Edge {
	key := mix(caller, callee)
	cfg := t.set.Circuit
	if caller == 0 {
		cfg = &t.crowd
	}
	e := &Edge{
		Caller: strings.Clone(callerName), Callee: strings.Clone(calleeName), Kind: kind,
		Breaker:  circuit.New(cfg, key, t.warm),
		key:      key,
		caller:   caller,
		callee:   callee,
		outcomes: window.NewRing[circuit.Sums](t.set.Buckets+1, t.set.Bucket),
		lastSeen: t.head,
		place:    len(t.order),
	}
	t.edges[key] = e
	t.order = append(t.order, e)
	return e
}
