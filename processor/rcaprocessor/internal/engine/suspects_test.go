// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/baseline"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/contrast"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

// While a gate is open the live engine ranks by the same evidence; an incident in the hour before is no part of normal.
func TestSuspectsOfALiveEngine(t *testing.T) {
	s := newShop(4)
	at := dawn
	run := func(long int64, fault func(*order)) {
		s.alter = fault
		s.run(at, at+long, 15)
		at += long
	}
	run(3*minute, nil)
	run(6*minute, slowDatabase) // most of the time before
	run(4*minute, nil)
	onset := at
	run(40*second, func(o *order) { o.ordersOwn += 100 * ms })
	p := newProbe(testSettings())
	p.feed(256, s.sorted())
	require.NotNil(t, p.Open())

	found := p.Suspects(onset, p.now)
	require.NotEmpty(t, found)
	assert.Equal(t, "shop/orders", p.NodeName(graph.NodeID(found[0].Node)))
	for _, c := range found {
		for _, e := range c.Evidence {
			if e.Family == contrast.OwnTime && p.graph.OpAt(graph.OpID(e.Op)).Peer != 0 {
				assert.Less(t, e.Normal, 100.0, "the database was slow for six of the minutes before")
			}
		}
	}
	assert.Equal(t, found, p.Suspects(onset, p.now))
	assert.Equal(t, found, restarted(t, p).Suspects(onset, p.now), "and after a restart")
}

func TestTheIncidentBeforeIsNotNormal(t *testing.T) {
	s := newShop(4)
	s.run(dawn, dawn+3*minute, 15)
	s.alter = slowDatabase
	s.run(dawn+3*minute, dawn+9*minute, 15)
	s.alter = nil
	s.run(dawn+9*minute, dawn+13*minute, 15)
	s.alter = slowDatabase // once more
	s.run(dawn+13*minute, dawn+14*minute, 15)
	p := newProbe(testSettings())
	p.feed(256, s.sorted())
	found := p.Explain(dawn+13*minute, dawn+14*minute, contrast.Options{})
	require.NotEmpty(t, found)
	assert.False(t, found[0].Service)
	assert.Less(t, found[0].Evidence[0].Normal, 100.0)
}

func same[H any](h H) H { return h }

func TestCallsMerge(t *testing.T) {
	a := study{store: contrast.New(), calls: []calls{{}, {answered: true, callee: 2}}}
	b := study{store: contrast.New(), calls: []calls{{}, {answered: true, callee: 3, busy: true}, {}, {answered: true, callee: 4}}}
	a.merge(&b, same[graph.NodeID], same[graph.OpID], same[graph.InstanceID])
	assert.Equal(t, []calls{{}, {answered: true, callee: 2, busy: true, several: true}, {}, {answered: true, callee: 4}}, a.calls)
}

// The engine knows of cells under suspicion for some minutes only; the evidence goes back for an hour.
func TestSuspicionOutlivesTheTaints(t *testing.T) {
	x := New(testSettings(), nil)
	for at := dawn; at < dawn+11*minute; at += second {
		x.study.store.Unit(at)
		if at < dawn+4*minute || at >= dawn+10*minute {
			x.study.store.Origin(at, 1)
		}
		if at < dawn+4*minute {
			x.taint(baseline.CellOf(at))
		}
		if at%minute == 0 {
			x.evict(at)
			clear(x.taints[:])
		}
	}
	x.graph.Node(1, call.NodeService, dawn+11*minute, func() string { return "a" })
	found := x.study.store.Rank(dawn+10*minute, dawn+11*minute, facts{x}, contrast.Options{})
	require.Len(t, found, 1)
	assert.Zero(t, found[0].Evidence[0].Normal)
}

// Two engines that saw half of the traces each know together what one knows that saw all.
func TestStudiesMerge(t *testing.T) {
	s := newShop(9)
	s.run(dawn, studyFault, 8)
	s.alter = slowDatabase
	s.run(studyFault, studyEnd, 8)
	var halves [2][]span
	spans := s.sorted()
	for _, sp := range spans {
		k := sp.TraceID[15] & 1
		halves[k] = append(halves[k], sp)
	}
	whole, a, b := learned(spans, 512, false), learned(halves[0], 512, false), learned(halves[1], 512, false)
	for _, x := range []*Engine{whole, a, b} {
		x.Idle()
	}
	node := func(n graph.NodeID) (to graph.NodeID) {
		a.graph.Named(b.NodeName(n), func(m graph.NodeID) {
			if a.graph.NodeAt(m).Kind == b.graph.NodeAt(n).Kind {
				to = m
			}
		})
		return to
	}
	op := func(o graph.OpID) graph.OpID {
		from := b.graph.OpAt(o)
		for i := 1; i < a.graph.NumOps(); i++ {
			to := a.graph.OpAt(graph.OpID(i))
			if to.Name == from.Name && to.Role == from.Role && from.Node != 0 && to.Node == node(from.Node) && (from.Peer == 0) == (to.Peer == 0) && (from.Peer == 0 || to.Peer == node(from.Peer)) {
				return graph.OpID(i)
			}
		}
		return 0
	}
	instance := func(in graph.InstanceID) graph.InstanceID {
		for i := 1; i < a.graph.NumInstances(); i++ {
			if from, to := b.graph.InstanceAt(in), a.graph.InstanceAt(graph.InstanceID(i)); to.Name == from.Name && to.Version == from.Version && to.Node == node(from.Node) {
				return graph.InstanceID(i)
			}
		}
		return 0
	}
	a.study.merge(&b.study, node, op, instance)
	text := func(x *Engine) string {
		var out []Suspect
		for _, c := range x.study.store.Rank(studyFault, studyEnd, facts{x}, contrast.Options{}) {
			out = append(out, Suspect{Name: x.NodeName(graph.NodeID(c.Node)), Candidate: c})
		}
		return wordsOf(x, out)
	}
	assert.Equal(t, text(whole), text(a))
}

// When a service is gone for long, nothing of it is left behind under a handle that another may get.
func TestEvidenceOfTheIdleIsForgotten(t *testing.T) {
	set := testSettings()
	set.IdleAfter = minute
	x := New(set, nil)
	feed := func(from int64, who string) {
		for k := range int64(30) {
			at := from + k*second
			x.Learn(batchOf([]span{{service(who, who+"-0", "v1"), call.Call{
				TraceID: [16]byte{0: byte(k), 1: byte(from / minute), 15: 1}, SpanID: uint64(k + 1), Start: at, End: at + 5*ms,
				Role: call.RoleServer, Operation: call.Operation{Target: "/" + who}, Weight: 1,
			}}}), nil)
		}
	}
	feed(dawn, "old")
	for m := int64(1); m < 12; m++ {
		feed(dawn+m*minute, "young")
	}
	x.Idle()
	require.Equal(t, 1, x.graph.NumOps()-1-func() (free int) {
		for i := 1; i < x.graph.NumOps(); i++ {
			if !x.graph.HasOp(graph.OpID(i)) {
				free++
			}
		}
		return free
	}())
	assert.Equal(t, 2, x.study.store.Series(), "own time and features of the young")
}

// What was filed under a time that turned out wrong is void.
func TestRewindVoidsEvidence(t *testing.T) {
	x := New(testSettings(), nil)
	s := newShop(2)
	s.run(dawn, dawn+5*second, 5)
	x.Learn(batchOf(s.sorted()), nil)
	x.study.store.Origin(dawn, 1)
	x.study.store.Origin(dawn+3600*second, 2)
	x.LearnLog(&LogLine{Trace: trace.ID{1}, Span: 1, Template: 1})
	held := x.study.store.Series()
	x.rewind()
	assert.Equal(t, held-1, x.study.store.Series())
	assert.EqualValues(t, 1, x.Counts().LogsLost)
}

// BenchmarkSuspects is a ranking at a tick of an open gate: 500 operations on three replicas each, half of them calls.
func BenchmarkSuspects(b *testing.B) {
	x := New(testSettings(), nil)
	const services = 125
	at := dawn
	id := uint64(0)
	step := func(slow bool) {
		var spans []span
		for k := range services {
			for c := range 2 {
				replica := fmt.Sprintf("r%d", (at/second+int64(c))%3)
				from, to := service(fmt.Sprintf("s%d", k), replica, "v1"), service(fmt.Sprintf("s%d", (k+c+1)%services), replica, "v1")
				id += 3
				trace := [16]byte{0: byte(id), 1: byte(id >> 8), 2: byte(id >> 16), 3: byte(id >> 24), 15: 1}
				took := 5 * ms
				if slow && k == 7 {
					took = 90 * ms
				}
				add := func(r call.Resource, n, parent uint64, role call.Role, what string, took int64) {
					spans = append(spans, span{r, call.Call{
						TraceID: trace, SpanID: n, ParentID: parent, HasParent: parent != 0, Start: at, End: at + took, Role: role,
						Operation: call.Operation{Target: fmt.Sprintf("%s%d", what, c)}, Weight: 1,
					}})
				}
				add(from, id, 0, call.RoleServer, "/in", took+3*ms)
				add(from, id+1, id, call.RoleClient, "/call", took+ms)
				add(to, id+2, id+1, call.RoleServer, "/out", took)
			}
		}
		x.Learn(batchOf(spans), nil)
		at += 2 * second
	}
	for at < dawn+50*minute {
		step(false)
	}
	onset := at
	for at < onset+40*second {
		step(true)
	}
	_, ops, _ := x.graph.Size()
	for _, reuse := range []bool{true, false} {
		b.Run(fmt.Sprintf("%d operations, %d series, reuse %v", ops, x.study.store.Series(), reuse), func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				if reuse {
					x.Suspects(onset, at)
				} else {
					x.study.store.Rank(onset, at, facts{x}, contrast.Options{})
				}
			}
		})
	}
}
