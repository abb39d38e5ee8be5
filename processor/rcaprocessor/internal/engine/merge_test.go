// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/baseline"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/detect"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/queue"
)

// verdictOf asks an engine who is to blame for what was hurt in [from, to).
func verdictOf(e *Engine, from, to int64) incident.Verdict {
	return e.verdicts(from, to, nil)[0]
}

// split gives each trace to one of two.
func split(spans []span) (even, odd []span) {
	for _, s := range spans {
		if s.TraceID[0]&1 == 0 {
			even = append(even, s)
		} else {
			odd = append(odd, s)
		}
	}
	return even, odd
}

// sums is what an engine has counted, in names.
type sums struct {
	Began, Now, Units   int64
	Counts              Counts
	Ops                 map[string]opSums
	Replicas            map[string]instanceStats
	Nodes               map[string]nodeStats
	Nearby              []string
	Orphans, OrphansNow baseline.Cell
	Sent                map[uint64]string
}

type opSums struct {
	Total, Own, TotalNow, OwnNow baseline.Cell
	Median                       int64
	Awaits                       map[string][2]uint32
	Runs, Asked, Answered        uint32
	Units, Bad                   int64
	Retries, RetriesNow          baseline.Tally
	Reader                       *readerSums
}

type readerSums struct {
	Lag, LagNow baseline.Cell
	Units, Late int64
	Lanes       map[queue.Lane][2]baseline.Tally
}

func talliesOf(c *baseline.Counts) (out [2]baseline.Tally) {
	out[0], _ = c.Normal()
	out[1], _ = c.Window(0, math.MaxInt64)
	return out
}

func sumsOf(e *Engine) sums {
	s := sums{Began: e.began, Now: e.now, Units: e.units, Counts: e.Counts(),
		Ops: map[string]opSums{}, Replicas: map[string]instanceStats{}, Nodes: map[string]nodeStats{}, Sent: map[uint64]string{}}
	for i := 1; i < len(e.ops); i++ {
		st := &e.ops[i]
		o := opSums{
			Total: st.total.Normal(), Own: st.own.Normal(),
			TotalNow: st.total.Window(0, math.MaxInt64), OwnNow: st.own.Window(0, math.MaxInt64), Median: st.total.Median(),
			Awaits: map[string][2]uint32{}, Runs: st.runs, Asked: st.asked, Answered: st.answered,
			Units: st.entry.allUnits, Bad: st.entry.allBad,
		}
		if st.retries != nil {
			n := talliesOf(st.retries)
			o.Retries, o.RetriesNow = n[0], n[1]
		}
		if r := st.reader; r != nil {
			o.Reader = &readerSums{Lag: r.lag.Normal(), LagNow: r.lag.Window(0, math.MaxInt64), Units: r.allUnits, Late: r.allLag,
				Lanes: map[queue.Lane][2]baseline.Tally{}}
			for k := range r.lanes {
				o.Reader.Lanes[r.lanes[k].lane] = talliesOf(&r.lanes[k].counts)
			}
		}
		for _, a := range st.awaits {
			if a.node != 0 { // each one learns by itself which service is behind an address
				was := o.Awaits[e.NodeName(e.graph.Resolve(a.node))]
				o.Awaits[e.NodeName(e.graph.Resolve(a.node))] = [2]uint32{was[0] + a.n, was[1] + a.calls}
			}
		}
		g := e.graph.OpAt(graph.OpID(i))
		s.Ops[e.OpName(graph.OpID(i))+fmt.Sprint(g.Role)+e.NodeName(g.Peer)] = o
	}
	for i := 1; i < len(e.instances); i++ {
		in := e.graph.InstanceAt(graph.InstanceID(i))
		st := e.instances[i]
		st.advance(e.now)
		s.Replicas[e.NodeName(in.Node)+" "+in.Name+" "+in.Version] = st
	}
	for i := 1; i < len(e.nodes); i++ {
		n := e.nodes[i]
		for k := range n.seconds {
			n.seconds[k].hurt = 0 // by each one's own idea of slow
		}
		if n.topic != nil { // partitions come in any order
			n.topic = &topicStats{all: n.topic.all, lanes: slices.Clone(n.topic.lanes)}
			slices.SortFunc(n.topic.lanes, func(a, b topicLane) int { return cmp.Compare(a.lane, b.lane) })
		}
		if n != (nodeStats{}) {
			s.Nodes[kindName(e.graph.NodeAt(graph.NodeID(i)).Kind)+" "+e.NodeName(graph.NodeID(i))] = n
		}
	}
	e.graph.Edges(func(edge graph.Edge) { s.Nearby = append(s.Nearby, e.NodeName(edge.From)+" > "+e.NodeName(edge.To)) })
	slices.Sort(s.Nearby)
	s.Orphans, s.OrphansNow = e.orphans.Normal(), e.orphans.Window(0, math.MaxInt64)
	for span := range uint64(100_000) { // tests count them up
		if p := e.sent.Find(span); p != nil {
			s.Sent[span] = fmt.Sprint(p.Value, p.Lane, e.NodeName(p.Node))
		}
	}
	return s
}

// messages gives records of the shop's traffic partitions, has one in ten statements repeated, and loses some spans.
func messages(spans []span) []span {
	for i := range spans {
		switch s := &spans[i]; s.Role {
		case call.RoleProducer, call.RoleConsumer:
			s.Partition = fmt.Sprint(s.TraceID[1] % 6)
		case call.RoleClient:
			if s.Peer == database && s.TraceID[1]%10 == 0 {
				s.Attempt = 1
			}
		}
	}
	return slices.DeleteFunc(spans, func(s span) bool {
		return s.Role == call.RoleClient && s.Peer != database && s.TraceID[1]%50 == 7
	})
}

// State of A and state of B, merged, is the state of A and B together, in every sum.
func TestMergeIsAddition(t *testing.T) {
	t.Parallel()
	for name, seconds := range map[string][2]int64{"together": {180, 180}, "one stops early": {180, 150}, "the other does": {100, 180}, "one is empty": {0, 60}, "the other is": {60, 0}} {
		t.Run(name, func(t *testing.T) {
			s := newShop(41)
			s.alter = func(o *order) { // failures, too few to raise suspicion
				if s.r.IntN(400) == 0 {
					o.ordersOutcome = 1
				}
			}
			s.run(dawn, dawn+180*second, 12)
			even, odd := split(messages(s.sorted()))
			a, b, whole := newProbe(testSettings()), newProbe(testSettings()), newProbe(testSettings())
			var all []span
			until := func(half []span, seconds int64) (out []span) {
				for _, s := range half {
					if s.End < dawn+seconds*second {
						out = append(out, s)
					}
				}
				all = append(all, out...)
				return out
			}
			a.feed(100, until(even, seconds[0]))
			b.feed(100, until(odd, seconds[1]))
			slices.SortStableFunc(all, func(x, y span) int { return int(x.End - y.End) })
			whole.feed(100, all)
			whole.Idle()
			a.Merge(b.Engine)
			want, got := sumsOf(whole.Engine), sumsOf(a.Engine)
			require.NotEmpty(t, want.Sent)
			require.NotZero(t, want.OrphansNow.Bad)
			for _, o := range want.Ops {
				require.True(t, o.Reader == nil || len(o.Reader.Lanes) == 6)
			}
			require.Zero(t, whole.taints, "nothing was under suspicion")
			assert.Equal(t, want, got)
			assert.Equal(t, whole.Ready(), a.Ready())
			assert.Equal(t, whole.table.Told(), a.table.Told())

			// And it goes on.
			s.run(dawn+200*second, dawn+230*second, 12)
			later := messages(s.sorted())
			for _, p := range []*probe{whole, a} {
				p.feed(100, later)
				p.Idle()
			}
			assert.Equal(t, sumsOf(whole.Engine), sumsOf(a.Engine))
		})
	}
}

// The incident of one of both is that of the merged engine, which marks its spans, updates it and ends it.
func TestMergeInAnIncident(t *testing.T) {
	s := newShop(42)
	s.run(dawn, dawn+2*minute, 30)
	s.alter = slowDatabase
	s.run(dawn+2*minute, dawn+2*minute+30*second, 30)
	even, odd := split(s.sorted())
	for _, mine := range []bool{true, false} {
		a, b := newProbe(testSettings()), newProbe(testSettings())
		a.feed(100, even)
		b.feed(100, odd)
		a.Idle()
		b.Idle()
		require.Len(t, a.Open(), 1)
		require.Len(t, b.Open(), 1)
		id := a.Open()[0].ID
		if !mine { // only the other has one
			id = b.Open()[0].ID
			a.keeper = incident.Keeper{Policy: a.set.Incident}
			a.publish(nil)
		}
		b.hurt.dropped = 3
		suspect, lastBad := baseline.CellOf(dawn+minute), b.now+1
		b.taint(suspect)
		b.lastBad = lastBad
		a.Merge(b.Engine)
		assert.True(t, a.tainted(suspect))
		assert.Equal(t, lastBad, a.lastBad)
		require.Len(t, a.Open(), 1)
		assert.Equal(t, id, a.Open()[0].ID)
		assert.Equal(t, a.Open()[0].ID, a.Published()[0].ID)
		assert.NotEmpty(t, a.parts)
		assert.NotEmpty(t, a.hurt.young)
		assert.Equal(t, int64(3), a.Counts().HurtForgotten)
		for cell := range b.hurt.young {
			assert.True(t, a.hurt.has(cell))
		}
		s.alter = nil
		s.run(dawn+2*minute+32*second, dawn+4*minute, 30)
		a.feed(100, s.sorted())
		a.Idle()
		assert.Empty(t, a.Open())
		assert.Equal(t, id, a.incidents[len(a.incidents)-1].ID)
	}
}

// What is most called is kept where both together know more callees than there is room for.
func TestMergeOfAwaits(t *testing.T) {
	var a, b opStats
	nodes := make([]graph.NodeID, 30)
	for i := range nodes {
		nodes[i] = graph.NodeID(i)
	}
	for i := range a.awaits {
		a.awaits[i] = await{node: graph.NodeID(i + 1), n: 10, calls: 20, mark: 5}
		b.awaits[i] = await{node: graph.NodeID(i + 6), n: uint32(5 + i), calls: 30, mark: 5}
	}
	b.awaits[0].node = 1
	a.runs, b.runs, a.asked, b.asked = awaitCap, awaitCap, 10, awaitCap
	a.merge(&b, &graph.Translation{Nodes: nodes}, func(int64) bool { return false })
	assert.Equal(t, uint32(awaitCap), a.runs, "halved")
	assert.Equal(t, uint32((awaitCap+10)/2), a.asked)
	got := map[graph.NodeID]await{}
	for _, w := range a.awaits {
		got[w.node] = w
	}
	assert.Len(t, got, len(a.awaits))
	assert.Equal(t, await{node: 1, n: 7, calls: 25, mark: 5}, got[1])
	assert.Equal(t, await{node: 13, n: 6, calls: 15}, got[13], "a mark is a serial of its engine")
	assert.NotContains(t, got, graph.NodeID(9))
}

// What each saw of an entry adds up, with the evidence of its gates.
func TestMergeOfEntries(t *testing.T) {
	seen := func(n, heard int64) *entryStats {
		en := &entryStats{units: n, bad: n + 1, slow: n + 2, allUnits: n + 3, allBad: n + 4, allSlow: n + 5, heard: heard}
		en.errors.Step(dawn, 20, n, detect.ErrorTest(0), 17, minBad)
		en.slowness.Step(dawn, 20, n+1, detect.SlowTest(0), 17, minBad)
		return en
	}
	a, b := seen(11, dawn), seen(17, dawn+second)
	b.listed = true
	assert.True(t, a.merge(b))
	assert.True(t, a.listed)
	assert.False(t, a.merge(&entryStats{listed: true}), "once")
	assert.Equal(t, []int64{28, 30, 32, 34, 36, 38, dawn + second}, []int64{a.units, a.bad, a.slow, a.allUnits, a.allBad, a.allSlow, a.heard})
	units, bad := a.errors.Counts()
	assert.Equal(t, []int64{40, 28}, []int64{units, bad})
	units, slow := a.slowness.Counts()
	assert.Equal(t, []int64{40, 30}, []int64{units, slow})
}

// Of every field of an engine it has been decided how it merges.
func TestEveryFieldMerges(t *testing.T) {
	for _, tt := range []struct {
		of      reflect.Type
		decided []string
	}{
		{reflect.TypeFor[Engine](), []string{
			"clock", "table", "graph", "ledger", "keeper", "hurt", "ops", "instances", "nodes", "touched", "taints", "began", "now",
			"units", "evictedAt", "lastBad", "parts", "published", "counts", "walker",
			"orphans", "lapsing", "lagging", "sideBytes", "study", "sent", // merged
			"receipts",                                       // looked at with their traces, which come first
			"set", "onChange", "visit", "tick", "restoredAt", // e's own
			"walk", "serial", "traces", "called", "batch", "sources", "levels", // of the moment
		}},
		{reflect.TypeFor[opStats](), []string{
			"total", "own", "awaits", "runs", "answered", "asked", "called", "entry", "habits", "reader", "retries",
			"try", // of the moment
		}},
		{reflect.TypeFor[habits](), []string{"runs", "broken", "allRuns", "allBroken", "left", "with", "gate", "listed", "frozen"}},
		{reflect.TypeFor[readerStats](), []string{"lag", "gate", "units", "late", "allUnits", "allLag", "lanes", "listed"}},
		{reflect.TypeFor[readerLane](), []string{"lane", "counts", "gate", "units", "bad"}},
		{reflect.TypeFor[topicStats](), []string{"all", "lanes"}},
		{reflect.TypeFor[topicLane](), []string{"lane", "counts"}},
		{reflect.TypeFor[entryStats](), []string{"units", "bad", "slow", "allUnits", "allBad", "allSlow", "errors", "slowness", "heard", "listed"}},
		{reflect.TypeFor[nodeStats](), []string{"seconds", "topic"}},
		{reflect.TypeFor[instanceStats](), []string{"cells", "cell", "last"}},
	} {
		for f := range tt.of.Fields() {
			assert.Contains(t, tt.decided, f.Name, "merge it in merge.go, or say here that it need not be, for %s", tt.of.Name())
		}
	}
}
