// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"fmt"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/edge"
)

const (
	second = int64(1e9)
	// rate is how many calls a second of event time the hot edge has.
	rate = 1000
	// stepWidth is how often breakers decide, as in engine.
	stepWidth = second / 4
	// window is how many calls fit into the window of the hot edge.
	window = 10 * rate
)

// defaults are those of the processor.
var defaults = circuit.Config{
	Window: 10 * second, FailureRatio: 0.5, MinimumCalls: 5, Confidence: 3.09, FailureFloor: 0.25, Surprise: 15,
	FastWindow: 2 * second, FastRatio: 0.9, FastCalls: 20, BaselineFactor: 3, BaselineCap: 0.9, LoadConfidence: 5, LoadCalls: 50,
	SlowRatio: 0.9, SlowCalls: 20, CloseRatio: 0.1, ProbeCalls: 10, OpenDuration: 5 * second, MaxOpenDuration: 300 * second,
	Ramp: []float64{0.01, 0.1, 0.5, 1}, Jitter: 0.2,
}

// hot is an edge to a database with a thousand calls a second.
type hot struct {
	table   *edge.Table
	by      *edge.Service
	from    *edge.Instance
	on      *edge.Edge
	call    call.Call
	now     int64
	next    int64 // time of the next decision
	calls   uint64
	failing uint64 // of 100 calls
	want    circuit.State
	results [edge.NumResults]int
}

func newHot(failing uint64, want circuit.State) *hot {
	h := &hot{failing: failing, want: want, now: 1000 * second, next: 1000 * second}
	h.table = edge.NewTable(edge.Settings{
		Circuit: &defaults, Buckets: 10, Bucket: second, MaxEdges: 10_000, MaxOperations: 20, Idle: 600 * second,
		MaxOpenShare: 0.5, SlowFactor: 5, SlowFloor: second, Settling: 5 * second,
	})
	r := call.Resource{Service: "orders", Instance: "orders-1"}
	h.by = h.table.Service(r.Key(), &r)
	h.from = h.table.Instance(h.by, &r)
	h.call = call.Call{ParentID: 1, Role: call.RoleClient, Weight: 1, Peer: call.Peer{Kind: call.NodeDatabase, System: "postgresql", Name: "shop"}}
	// What is well comes first: nothing but failures would be a pipeline that keeps no others.
	r = call.Resource{Service: "gateway"}
	gateway := h.table.Service(r.Key(), &r)
	for range 60 * rate {
		h.move()
		h.record(call.OK)
		root := call.Call{TraceID: h.call.TraceID, SpanID: ^h.calls, Role: call.RoleServer, Start: h.call.Start, End: h.now, Weight: 1}
		h.table.Record(&root, gateway, nil, h.now)
	}
	return h
}

// move is what the engine does for a later span before it is recorded: the head moves, and four times a second of
// event time the breakers decide.
func (h *hot) move() {
	h.now += second / rate
	for ; h.next <= h.now; h.next += stepWidth {
		h.table.Advance(h.next)
		h.table.Step(h.next, func(edge.Event) {})
	}
	h.table.Advance(h.now)
}

func (h *hot) record(o call.Outcome) {
	h.calls++
	c := &h.call
	c.SpanID, c.Start, c.End, c.Outcome = h.calls, h.now-3e6, h.now, o
	binary.LittleEndian.PutUint64(c.TraceID[:], h.calls*0xbf58476d1ce4e5b9)
	on, _, result := h.table.Record(c, h.by, h.from, h.now)
	h.on = on
	h.results[result]++
}

func (h *hot) run(calls int) {
	for range calls {
		h.move()
		o := call.OK
		if h.calls%100 < h.failing {
			o = call.Fail
		}
		h.record(o)
	}
}

// check says whether all calls were counted, and failures charged, and the breaker is where it should be.
func (h *hot) check() error {
	if n := h.results[edge.Counted]; uint64(n) != h.calls {
		return fmt.Errorf("%d of %d calls were counted", n, h.calls)
	}
	s := h.on.Sums(h.now-defaults.Window, h.now)
	if s.Calls < window || uint64(s.Bad)*100/uint64(s.Calls) != h.failing {
		return fmt.Errorf("%d of %d calls in the window failed", s.Bad, s.Calls)
	}
	if got := h.on.Breaker.State(); got != h.want {
		return fmt.Errorf("the breaker is %v", got)
	}
	return nil
}

// machine is the state machine of one breaker alone, which decides elsewhere.
type machine struct {
	breaker circuit.Breaker
	now     int64
	counted int
}

func (m *machine) run(calls int) {
	one := circuit.Sums{Calls: 1}
	m.counted -= calls
	for range calls {
		m.now++
		if m.breaker.Call(m.now, one) {
			m.counted++
		}
	}
}

func (m *machine) check() error {
	if m.counted != 0 {
		return fmt.Errorf("%d calls were not counted", -m.counted)
	}
	return nil
}

// gate is ours for callers who ask.
type gate struct {
	*circuit.Gate
	now int64
}

func newGate(cfg circuit.GateConfig) *gate {
	cfg.MinimumCalls, cfg.FailureRatio, cfg.Open = 10, 0.5, circuit.OpenTime{First: 5 * second}
	return &gate{circuit.NewGate(&cfg, 1, nil), 1000 * second}
}

func (g *gate) run(calls int) {
	for range calls {
		g.now += second / rate
		if g.Admit(g.now) {
			g.Record(g.now, g.now, circuit.OK, 3e6)
		}
	}
}

func (g *gate) check() error { return inWindow(g.Counts(g.now).Calls) }
