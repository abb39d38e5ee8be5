// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

// A table that is full all the time gives traces out early, is counted, and still finds what is wrong.
func TestFullTable(t *testing.T) {
	set := testSettings()
	set.Spans = 100
	p := newProbe(set)
	p.feed(512, faulty(1, 30, slowDatabase))
	p.Idle()
	assert.Positive(t, p.Counts().TableFull)
	require.NotEmpty(t, p.incidents)
	assert.Equal(t, "postgresql/shop", p.incidents[0].Verdict.Root)
	assert.InDelta(t, dawn+2*minute, p.incidents[0].Onset, float64(5*second))
	assert.Equal(t, incident.Resolved, p.incidents[len(p.incidents)-1].State)
}

// A trace without end costs no more than its limit, and the others nothing.
func TestEndlessTrace(t *testing.T) {
	spans := faulty(1, 20, slowDatabase)
	want := told(t, spans).identities()
	var flood []span
	for i := range 100_000 {
		c := call.Call{SpanID: uint64(1_000_000 + i), ParentID: uint64(999_999 + i), HasParent: true,
			Start: dawn + minute, End: dawn + minute + int64(i), Role: call.RoleInternal, Operation: call.Operation{Target: "loop"}}
		c.TraceID[0] = 0xee
		flood = append(flood, span{service("looper", "", ""), c})
	}
	k := 0
	for k < len(spans) && spans[k].End < dawn+minute {
		k++
	}
	p := newProbe(testSettings())
	p.feed(512, spans[:k])
	p.feed(512, flood)
	assert.Equal(t, int64(len(flood)-testSettings().TraceSpans), p.Counts().TraceFull)
	p.feed(512, spans[k:])
	p.Idle()
	assert.Equal(t, want, p.identities())
}

// bound is the most that an engine may say it holds, computed from its settings.
func bound(s Settings) int64 {
	const skeleton, entry, perThing = 64 + 4096, 128, 160 // chunks of 4096 skeletons; maps and names
	ops := int64(s.Graph.Nodes * 2 * s.Graph.Ops)
	replicas := int64(s.Graph.Nodes * s.Graph.Instances)
	return int64(s.Spans)*(64+entry) + 4096*64 +
		2*(ops*opBytes+replicas*instanceBytes+int64(s.Graph.Nodes)*nodeBytes) +
		(ops+replicas+int64(s.Graph.Nodes+s.Graph.Edges))*perThing
}

// A flood of different services, replicas, operations, peers or traces, a thousand times the limits: no more memory
// than these give.
func TestMemoryIsBounded(t *testing.T) {
	set := testSettings()
	set.Spans, set.HurtTraces = 10_000, 1000
	set.Graph.Nodes, set.Graph.Ops, set.Graph.Instances, set.Graph.Edges = 50, 10, 10, 100
	long := strings.Repeat("x", 200)
	for name, vary := range map[string]func(i int, s *span){
		"services":   func(i int, s *span) { s.from.Service = fmt.Sprint(long, i) },
		"instances":  func(i int, s *span) { s.from.Instance = fmt.Sprint(long, i) },
		"operations": func(i int, s *span) { s.Operation.Target = fmt.Sprint(long, i) },
		"peers": func(i int, s *span) {
			s.Role, s.Peer = call.RoleClient, call.Peer{Kind: call.NodeExternal, Address: fmt.Sprint(long, i)}
		},
		"traces": func(i int, s *span) {},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProbe(set)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			var batch []span
			const n = 50_000
			for i := range n {
				end := dawn + int64(i)*minute/10_000
				s := span{service("a", "", ""), call.Call{SpanID: uint64(i + 1), Start: end - ms, End: end, Role: call.RoleServer, Outcome: call.Fail}}
				binary.BigEndian.PutUint64(s.TraceID[:], uint64(i+1))
				vary(i, &s)
				if batch = append(batch, s); len(batch) == 1000 {
					p.feed(1000, batch)
					batch = batch[:0]
				}
				if i%10_000 == 0 {
					size, _ := p.Size()
					require.LessOrEqual(t, size.Bytes, bound(set))
				}
			}
			batch = nil
			runtime.GC()
			runtime.ReadMemStats(&after)
			assert.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), 2*bound(set), "what is held in truth")
			_, beyond := p.Size()
			if name != "traces" {
				assert.Positive(t, beyond.Nodes+beyond.Ops+beyond.Instances)
			}
			runtime.KeepAlive(p)
		})
	}
}

// What is not seen any more is forgotten, and those who come after get none of it.
func TestIdleIsForgotten(t *testing.T) {
	set := testSettings()
	s := newShop(11)
	s.run(dawn, dawn+2*minute, 20)
	p := newProbe(set)
	p.feed(512, s.sorted())
	before, _ := p.Size()

	// The shop moves to another database and another topic; an hour later nobody knows the old ones.
	moved := func(spans []span) []span {
		for i := range spans {
			switch spans[i].Peer.Kind {
			case call.NodeDatabase:
				spans[i].Peer.Name = "new"
			case call.NodeMessaging:
				spans[i].Peer.Name = "new"
			}
		}
		return spans
	}
	for k := range int64(70) {
		s.run(dawn+2*minute+k*minute, dawn+2*minute+k*minute+20*second, 3)
		p.feed(512, moved(s.sorted()))
	}
	after, _ := p.Size()
	assert.Equal(t, before.Nodes, after.Nodes)
	assert.Equal(t, before.Ops, after.Ops)
	idle := p.Counts().Idle
	assert.EqualValues(t, 2, idle.Nodes, "the old database and the old topic")
	assert.GreaterOrEqual(t, idle.Edges, int64(2))
	assert.GreaterOrEqual(t, idle.Ops, int64(2))
	for i := range p.ops {
		for _, a := range p.ops[i].awaits {
			if a.node != 0 {
				assert.NotEmpty(t, p.NodeName(a.node), "an operation that awaits what is gone")
			}
		}
	}
	assert.Empty(t, p.incidents)
}

// A batch after a long pause: whom it names first is not forgotten while it is read.
func TestBatchAcrossAPause(t *testing.T) {
	s := newShop(12)
	s.run(dawn, dawn+minute, 10)
	p := newProbe(testSettings())
	p.feed(512, s.sorted())
	s.run(dawn+200*minute, dawn+202*minute, 10)
	later := s.sorted()
	p.feed(len(later), later) // everything in one: the clock moves on, and evicts, while it is read
	p.Idle()
	for i := 1; i < p.graph.NumOps(); i++ {
		o := p.graph.OpAt(graph.OpID(i))
		assert.NotEmpty(t, p.NodeName(o.Node))
	}
	for i := 1; i < p.graph.NumInstances(); i++ {
		if in := p.graph.InstanceAt(graph.InstanceID(i)); in.Name != "" {
			assert.NotEmpty(t, p.NodeName(in.Node))
		}
	}
	size, _ := p.Size()
	assert.Equal(t, 6, size.Nodes)
	names := map[string]bool{}
	for i := 1; i < p.graph.NumInstances(); i++ {
		names[p.graph.InstanceAt(graph.InstanceID(i)).Name] = true
	}
	assert.Len(t, p.replicas(p.graph.Lookup(orders[0].Key()), dawn+200*minute), 3)
}

// The first batch is no special one: who sent it is remembered like everybody else.
func TestFirstBatch(t *testing.T) {
	s := newShop(13)
	s.run(dawn, dawn+3*minute, 10)
	p := newProbe(testSettings())
	all := s.sorted()
	p.feed(len(all), all)
	assert.Len(t, p.replicas(p.graph.Lookup(orders[0].Key()), dawn), 3)
	for i := 1; i < p.graph.NumInstances(); i++ {
		assert.NotEmpty(t, p.graph.InstanceAt(graph.InstanceID(i)).Name)
	}
}

// Where it was bad nobody asks any more, once all was well for some seconds: when it was bad is still known.
func TestResolvesNoSoonerWhenTrafficMovesOn(t *testing.T) {
	spans := faulty(14, 150, func(o *order) { o.ordersOutcome = call.Fail })
	for i := range spans {
		if s := &spans[i]; s.Start > dawn+2*minute+42*second && s.Role == call.RoleServer && s.from == gateway {
			s.Operation.Target = "/elsewhere"
		}
	}
	p := told(t, spans)
	require.NotEmpty(t, p.incidents)
	last := p.incidents[len(p.incidents)-1]
	require.Equal(t, incident.Resolved, last.State)
	assert.GreaterOrEqual(t, last.Resolved, dawn+2*minute+30*second+30*second-second)
}

func TestHurtTracesAreBounded(t *testing.T) {
	const limit = 100
	h := newHurtTraces(limit)
	id := func(i int) (id trace.ID) {
		binary.BigEndian.PutUint64(id[:], uint64(i+1))
		return id
	}
	for i := range 10_000 {
		h.add(id(i))
		h.add(id(i))
		require.LessOrEqual(t, len(h.young)+len(h.old), limit)
		require.True(t, h.has(id(max(0, i-limit/2+1))), "the newer half at the least")
	}
	assert.False(t, h.has(id(0)))
	assert.Equal(t, int64(10_000-limit), h.dropped)
	h.clear()
	assert.False(t, h.has(id(9_999)))
}
