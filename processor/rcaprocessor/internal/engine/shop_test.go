// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

const (
	ms     = int64(1e6)
	minute = 60 * second
	dawn   = 1_700_000_000 * second / minute * minute // when tests begin, a full minute
)

func testSettings() Settings {
	return Settings{
		Lateness: 10 * second, Quiet: second, WarmUp: 30 * second, IdleAfter: 3600 * second,
		Spans: 100_000, TraceSpans: 1000, HurtTraces: 1000, Messages: 10_000,
		Graph: graph.Limits{Nodes: 100, Ops: 50, Instances: 20, Edges: 200},
		Incident: incident.Policy{
			Confidence: 0.4, Patience: 30 * second, UpdateEvery: 30 * second, Margin: 0.15,
			ResolveAfter: 30 * second, ReopenWithin: 900 * second,
		},
	}
}

// span is a call with the resource that sent it.
type span struct {
	from call.Resource
	call.Call
}

// order is what becomes of one request to the shop: gateway > orders > postgresql, and by a topic to fulfilment.
type order struct {
	at                    int64
	replica               int // of orders: 0, 1, 2; the last is version v2
	gatewayOwn, ordersOwn int64
	link                  int64 // time on the way to orders
	database              int64
	databaseOutcome       call.Outcome
	databaseReason        call.Reason
	ordersOutcome         call.Outcome
	gatewayOutcome        call.Outcome
	unreachable           bool // orders is not there
	fulfilment            int64
}

// shop makes the spans of requests. alter, when set, decides what is wrong with one.
type shop struct {
	r      *rand.Rand
	alter  func(*order)
	serial uint64
	spans  []span
}

func newShop(seed uint64) *shop { return &shop{r: rand.New(rand.NewPCG(seed, 7))} }

func service(name, replica, version string) call.Resource {
	return call.Resource{Namespace: "shop", Service: name, Instance: replica, Version: version, Host: "node-" + replica, Zone: "a"}
}

var (
	gateway    = service("gateway", "gateway-0", "v1")
	fulfilment = service("fulfilment", "fulfilment-0", "v1")
	orders     = []call.Resource{service("orders", "orders-0", "v1"), service("orders", "orders-1", "v1"), service("orders", "orders-2", "v2")}

	ordersAddress = call.Peer{Kind: call.NodeExternal, Address: "orders", Port: 80}
	database      = call.Peer{Kind: call.NodeDatabase, System: "postgresql", Name: "shop"}
	topic         = call.Peer{Kind: call.NodeMessaging, System: "kafka", Name: "placed"}
)

// about draws a duration around a median, with a tail as long as real ones have.
func (s *shop) about(median int64) int64 {
	return int64(float64(median) * math.Exp(min(s.r.NormFloat64()*.4, 2)))
}

func (s *shop) id() uint64 { s.serial++; return s.serial }

func (s *shop) add(from call.Resource, trace, parent uint64, role call.Role, what string, peer call.Peer, start, took int64, o call.Outcome, why call.Reason) uint64 {
	c := call.Call{
		SpanID: s.id(), ParentID: parent, HasParent: parent != 0, Start: start, End: start + took, Role: role,
		Operation: call.Operation{Target: what}, Peer: peer, Outcome: o, Reason: why, Weight: 1,
	}
	binary.BigEndian.PutUint64(c.TraceID[:], trace*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(c.TraceID[8:], trace)
	s.spans = append(s.spans, span{from, c})
	return c.SpanID
}

func because(o call.Outcome, why call.Reason) call.Reason {
	if o != call.OK && why == call.ReasonNone {
		return call.ReasonError
	}
	return why
}

// request lets one request pass.
func (s *shop) request(at int64) {
	o := order{
		at: at, replica: s.r.IntN(len(orders)), gatewayOwn: s.about(ms), ordersOwn: s.about(2 * ms), link: s.about(ms / 2),
		database: s.about(4 * ms), fulfilment: s.about(3 * ms),
	}
	if s.alter != nil {
		s.alter(&o)
	}
	const none = call.ReasonNone
	trace, nobody := s.id(), call.Peer{}
	ordersOutcome, gatewayOutcome := o.ordersOutcome, o.gatewayOutcome
	if o.databaseOutcome.Bad() {
		ordersOutcome = call.Fail
	}
	if ordersOutcome.Bad() || o.unreachable {
		gatewayOutcome = call.Fail
	}
	inOrders := o.ordersOwn + o.database
	inClient := inOrders + o.link
	if o.unreachable {
		inClient = ms
	}
	root := s.add(gateway, trace, 0, call.RoleServer, "/order", nobody, at, inClient+o.gatewayOwn, gatewayOutcome, because(gatewayOutcome, none))
	if o.unreachable {
		s.add(gateway, trace, root, call.RoleClient, "orders", ordersAddress, at+ms/4, inClient, call.Fail, call.ReasonUnreachable)
		return
	}
	client := s.add(gateway, trace, root, call.RoleClient, "orders", ordersAddress, at+ms/4, inClient, ordersOutcome, because(ordersOutcome, none))
	from := orders[o.replica]
	server := s.add(from, trace, client, call.RoleServer, "/order", nobody, at+ms/2, inOrders, ordersOutcome, because(ordersOutcome, none))
	s.add(from, trace, server, call.RoleClient, "INSERT", database, at+ms, o.database, o.databaseOutcome, because(o.databaseOutcome, o.databaseReason))
	sent := s.add(from, trace, server, call.RoleProducer, "placed", topic, at+ms+o.database, ms/2, call.OK, none)
	s.add(fulfilment, trace, sent, call.RoleConsumer, "placed", topic, at+ms+o.database+5*ms, o.fulfilment, call.OK, none)
}

// run lets requests come in at random between two times, perSecond on average.
func (s *shop) run(from, to int64, perSecond float64) {
	for at := from; ; {
		at += int64(s.r.ExpFloat64() / perSecond * float64(second))
		if at >= to {
			return
		}
		s.request(at)
	}
}

// sorted returns the spans in the order in which they ended, and forgets them.
func (s *shop) sorted() []span {
	out := s.spans
	s.spans = nil
	slices.SortStableFunc(out, func(a, b span) int { return cmp.Compare(a.End, b.End) })
	return out
}

// shuffled displaces each span's arrival by up to within.
func shuffled(spans []span, within int64, seed uint64) []span {
	type late struct {
		at int64
		span
	}
	r := rand.New(rand.NewPCG(seed, 9))
	var all []late
	for _, s := range spans {
		all = append(all, late{s.End + r.Int64N(within+1), s})
	}
	slices.SortStableFunc(all, func(a, b late) int { return cmp.Compare(a.at, b.at) })
	out := make([]span, 0, len(spans))
	for _, l := range all {
		out = append(out, l.span)
	}
	return out
}

func batchOf(spans []span) *call.Batch {
	b := new(call.Batch)
	index := map[call.Resource]int32{}
	for _, s := range spans {
		i, ok := index[s.from]
		if !ok {
			i = int32(len(b.Resources))
			index[s.from] = i
			b.Resources = append(b.Resources, s.from)
		}
		c := s.Call
		c.Resource = i
		b.Calls = append(b.Calls, c)
	}
	return b
}

// probe is an engine and what it said.
type probe struct {
	*Engine
	incidents []incident.Incident
	marks     int
}

func newProbe(set Settings) *probe {
	p := new(probe)
	p.Engine = New(set, func(in incident.Incident) { p.incidents = append(p.incidents, in) })
	return p
}

// feed gives the engine the spans in batches of n.
func (p *probe) feed(n int, spans []span) {
	for chunk := range slices.Chunk(spans, n) {
		p.marks += len(p.Learn(batchOf(chunk), nil))
	}
}

// identity is what an incident is, whatever the order in which its spans came.
type identity struct {
	ID, Root, Kind, Instance, Version string
	State                             incident.State
	Onset                             int64
}

func (p *probe) identities() (out []identity) {
	for _, in := range p.incidents {
		if in.State != incident.Updated {
			v := in.Verdict
			out = append(out, identity{in.ID, v.Root, v.Kind, v.Instance, v.Version, in.State, in.Onset})
		}
	}
	return out
}

// told plays spans to a fresh engine, in batches of 512, and returns it when it is through.
func told(t *testing.T, spans []span) *probe {
	t.Helper()
	p := newProbe(testSettings())
	p.feed(512, spans)
	p.Idle()
	return p
}

// faulty is a healthy time from 45 s after dawn, a fault from the second minute for half a minute, and the time after it.
func faulty(seed uint64, perSecond float64, fault func(*order)) []span {
	const from = dawn + 2*minute
	s := newShop(seed)
	s.run(dawn+45*second, from, perSecond)
	s.alter = fault
	s.run(from, from+30*second, perSecond)
	s.alter = nil
	s.run(from+30*second, from+80*second, perSecond)
	return s.sorted()
}

func slowDatabase(o *order) { o.database += 300 * ms }
