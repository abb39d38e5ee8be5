// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/baseline"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

const lapse = dawn + 2*minute // when habits of these tests change

// habitual is the shop's traffic until so many seconds after lapse; change says what becomes of the spans of an order.
func habitual(seed uint64, seconds int64, change func(s *shop, order []span) []span) []span {
	s := newShop(seed)
	var all []span
	for at := dawn + 40*second; at < lapse+seconds*second; at += second / 20 {
		s.request(at)
		order := s.spans
		s.spans = nil
		if change != nil {
			order = change(s, order)
		}
		all = append(all, order...)
	}
	s.spans = all
	return s.sorted()
}

// without leaves out calls of a role with a target, and what follows from them, from lapse until so many seconds later.
func without(role call.Role, target string, seconds int64, but func(*span) bool) func(*shop, []span) []span {
	return func(_ *shop, order []span) []span {
		gone := map[uint64]bool{}
		return slices.DeleteFunc(order, func(s span) bool {
			if order[0].Start >= lapse && order[0].Start < lapse+seconds*second && (but == nil || !but(&s)) {
				gone[s.SpanID] = s.Role == role && s.Operation.Target == target || gone[s.ParentID]
			}
			return gone[s.SpanID]
		})
	}
}

// beside adds a call by orders to each order that pick picks.
func beside(peer call.Peer, change func(*shop, []span) []span, pick func(at int64, i byte) bool) func(*shop, []span) []span {
	return func(s *shop, order []span) []span {
		at := order[0].Start
		if change != nil {
			order = change(s, order)
		}
		for _, o := range order {
			if o.Role == call.RoleServer && o.from.Service == "orders" && pick(at, o.TraceID[0]) {
				c := o.Call
				c.SpanID, c.ParentID, c.HasParent, c.Role = s.id(), o.SpanID, true, call.RoleClient
				c.Start, c.End, c.Peer = o.Start+ms/4, o.Start+ms/2, peer
				c.Operation = call.Operation{Target: "GET"}
				return append(order, span{o.from, c})
			}
		}
		return order
	}
}

func always(int64, byte) bool          { return true }
func sinceLapse(at int64, _ byte) bool { return at >= lapse }

var cachePeer = call.Peer{Kind: call.NodeDatabase, System: "redis", Name: "cache"}

func TestHabits(t *testing.T) {
	quiet := without(call.RoleProducer, "placed", 60, nil)
	part := func(tenths uint64) func(*span) bool {
		return func(s *span) bool { return s.TraceID[0]%10 >= byte(tenths) }
	}
	renamed := func(version string, from int64) func(*shop, []span) []span {
		return func(s *shop, order []span) []span {
			for i := range order {
				if o := &order[i]; o.from.Service == "orders" && o.Start >= from {
					o.from.Version = version
				}
			}
			return quiet(s, order)
		}
	}
	for _, tt := range []struct {
		name   string
		change func(*shop, []span) []span
		lapsed bool
	}{
		{"all is as ever", nil, false},
		{"nothing is published any more", quiet, true},
		{"for a moment", without(call.RoleProducer, "placed", 18, nil), false},
		{"by nearly all", without(call.RoleProducer, "placed", 60, part(9)), true},
		{"by half: somebody else does it now", without(call.RoleProducer, "placed", 60, part(5)), false},
		{"by a third", without(call.RoleProducer, "placed", 60, part(3)), false},
		{"another one, known before, is called instead", beside(cachePeer, quiet, func(at int64, i byte) bool { return at >= lapse || i%10 == 0 }), false},
		{"it is called as often as ever", beside(cachePeer, quiet, func(_ int64, i byte) bool { return i%10 == 0 }), true},
		{"it has always been called", beside(cachePeer, quiet, always), true},
		{"somebody new is called instead", beside(cachePeer, quiet, sinceLapse), false},
		{"a new version does not do it", renamed("v9", lapse), false},
		{"a version that came minutes ago", renamed("v9", lapse-30*second), false},
		{"a version that was there from the start", renamed("v9", 0), true},
		{"a replica is added", func(s *shop, order []span) []span {
			at := order[0].Start
			order = renamed("v9", 0)(s, order)
			for i := range order {
				if o := &order[i]; o.from.Service == "orders" && at >= lapse {
					o.from.Instance = "orders-9"
				}
			}
			return order
		}, true},
		{"spans get lost on their way", func(s *shop, order []span) []span {
			return slices.DeleteFunc(quiet(s, order), func(o span) bool {
				return o.Start >= lapse && o.Role == call.RoleClient && o.from.Service == "gateway" && o.TraceID[0]%4 == 0
			})
		}, false},
		{"it fails: that is no habit but an error", func(s *shop, order []span) []span {
			order = quiet(s, order)
			for i := range order {
				if o := &order[i]; order[0].Start >= lapse && o.from.Service != "fulfilment" && o.Role == call.RoleServer {
					o.Outcome, o.Reason = call.Fail, call.ReasonError
				}
			}
			return order
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := told(t, habitual(1, 100, tt.change))
			lapsed := slices.DeleteFunc(p.incidents, func(in incident.Incident) bool { return in.Verdict.Reason != "vanished" })
			if !tt.lapsed {
				assert.Empty(t, lapsed)
				for _, in := range p.incidents {
					assert.NotEqual(t, incident.Unknown, in.Verdict.Root, in.Verdict.Summary)
				}
				return
			}
			require.NotEmpty(t, lapsed)
			first, last := lapsed[0], lapsed[len(lapsed)-1]
			v := first.Verdict
			assert.Equal(t, []string{"shop/orders", "service", "behaviour_change"}, []string{v.Root, v.Kind, v.Cause})
			assert.Equal(t, []string{"shop/orders /order"}, v.Entries)
			assert.Equal(t, "shop/orders has changed its behaviour: shop/orders /order no longer calls kafka/placed, and nothing fails.", v.Summary)
			assert.Regexp(t, `^\d+ % of the runs of shop/orders /order since \d\d:\d\d:\d\d leave out a call that it always made\.$`, v.Evidence[0])
			assert.InDelta(t, lapse, first.Onset, float64(3*second))
			assert.GreaterOrEqual(t, first.Detected, lapse+brokenFor)
			assert.LessOrEqual(t, first.Detected, lapse+brokenFor+10*second)
			assert.InDelta(t, lapseScore, v.Score, .1)
			assert.Equal(t, incident.Resolved, last.State)
			assert.InDelta(t, lapse+90*second, last.Resolved, float64(4*second))
			assert.Empty(t, p.lapsing)
		})
	}
}

// What no unit of work needs may change its habits.
func TestHabitsOfTheUnessential(t *testing.T) {
	advisor := service("advisor", "advisor-0", "v1")
	advised := func(share uint64) []span {
		return habitual(2, 60, func(s *shop, order []span) []span {
			g := order[0]
			if g.TraceID[0]%10 >= byte(share) {
				return order
			}
			out, in := g.Call, g.Call
			out.SpanID, out.ParentID, out.HasParent, out.Role = s.id(), g.SpanID, true, call.RoleClient
			out.Start, out.End, out.Peer = g.Start+ms/8, g.End-ms/8, call.Peer{Kind: call.NodeExternal, Address: "advisor", Port: 80}
			in.SpanID, in.ParentID, in.HasParent, in.Start, in.End = s.id(), out.SpanID, true, out.Start, out.End
			in.Operation = call.Operation{Target: "/advice"}
			order = append(order, span{g.from, out}, span{advisor, in})
			if g.Start < lapse {
				c := in
				c.SpanID, c.ParentID, c.Role, c.Peer = s.id(), in.SpanID, call.RoleClient, cachePeer
				c.Start, c.End, c.Operation = in.Start+ms/8, in.Start+ms/4, call.Operation{Target: "GET"}
				order = append(order, span{advisor, c})
			}
			return order
		})
	}
	assert.Empty(t, told(t, advised(3)).incidents, "three in ten orders are advised")
	p := told(t, advised(10))
	require.NotEmpty(t, p.incidents, "all of them are")
	assert.Equal(t, "shop/advisor", p.incidents[0].Verdict.Root)
}

// habitsOf returns what is known of the habits of a service's incoming operation.
func (p *probe) habitsOf(node string) (*opStats, graph.OpID) {
	for i := 1; i < len(p.ops); i++ {
		if o := p.graph.OpAt(graph.OpID(i)); o.Role == call.RoleServer && p.NodeName(o.Node) == node {
			return &p.ops[i], graph.OpID(i)
		}
	}
	return nil, 0
}

// until is the spans that ended before a time.
func until(spans []span, at int64) []span {
	return spans[:slices.IndexFunc(spans, func(s span) bool { return s.End >= at })]
}

// Under suspicion nothing new becomes a habit; what goes on for ten minutes does.
func TestHabitsFreezeAndThaw(t *testing.T) {
	for _, tt := range []struct {
		name         string
		seconds, end int64
	}{{"it comes back", 60, 120}, {"it is the new way of doing things", 1 << 20, 900}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			spans := habitual(3, tt.end, without(call.RoleProducer, "placed", tt.seconds, nil))
			p := newProbe(testSettings())
			p.set.WarmUp = 1 << 60 // no incident keeps anything from being learned
			p.feed(512, until(spans, lapse))
			st, _ := p.habitsOf("shop/orders")
			assert.False(t, st.habits.frozen)
			p.feed(512, spans[len(until(spans, lapse)):len(until(spans, lapse+30*second))])
			st, op := p.habitsOf("shop/orders")
			assert.True(t, st.habits.frozen)
			assert.True(t, st.habits.listed)
			assert.Contains(t, p.lapsing, op)
			k := slices.IndexFunc(st.awaits[:], func(a await) bool { return p.NodeName(a.node) == "kafka/placed" && a.node != 0 })
			assert.Positive(t, st.habits.left[k])
			runs, kept := st.runs, st.awaits[k].n
			p.feed(512, spans[len(until(spans, lapse+30*second)):len(until(spans, lapse+50*second))])
			assert.Equal(t, []uint32{runs, kept}, []uint32{st.runs, st.awaits[k].n}, "nothing is learned")
			p.feed(512, spans[len(until(spans, lapse+50*second)):])
			p.Idle()
			st, _ = p.habitsOf("shop/orders")
			assert.False(t, st.habits.frozen)
			assert.Greater(t, st.runs, runs)
			if tt.seconds == 60 {
				assert.True(t, st.habit(k))
				assert.False(t, st.habits.listed)
				assert.Equal(t, [2][maxAwaits]int64{}, [2][maxAwaits]int64{st.habits.left, st.habits.with})
			} else {
				assert.False(t, st.habit(k), "%d of %d runs", st.awaits[k].n, st.runs)
			}
		})
	}
}

// A lapse that is being watched goes on after a restart, and with what another engine saw of it.
func TestHabitsOutliveAndMerge(t *testing.T) {
	spans := habitual(4, 60, without(call.RoleProducer, "placed", 1<<20, nil))
	early, late := until(spans, lapse+12*second), spans[len(until(spans, lapse+12*second)):]

	whole := newProbe(testSettings())
	whole.feed(512, early)
	q := restarted(t, whole)
	a, _ := whole.habitsOf("shop/orders")
	b, _ := q.habitsOf("shop/orders")
	require.True(t, a.habits.listed)
	require.Positive(t, a.habits.gate.Onset())
	assert.Equal(t, a.habits, b.habits)
	whole.feed(512, late)
	q.feed(512, late)
	require.NotEmpty(t, whole.identities())
	assert.Equal(t, whole.identities(), q.identities())

	for _, quietFirst := range []bool{false, true} {
		even, odd := split(early)
		x, y := newProbe(testSettings()), newProbe(testSettings())
		if quietFirst { // x knows of no lapse
			even = until(even, lapse-second)
		}
		x.feed(512, even)
		y.feed(512, odd)
		x.Idle()
		y.Idle()
		mine, _ := x.habitsOf("shop/orders")
		other, _ := y.habitsOf("shop/orders")
		require.True(t, other.habits.listed)
		was, add := mine.habits, other.habits
		x.Merge(y.Engine)
		mine, op := x.habitsOf("shop/orders")
		got := mine.habits
		assert.Contains(t, x.lapsing, op)
		assert.Len(t, x.lapsing, 1, "once")
		assert.True(t, got.listed)
		assert.True(t, got.frozen)
		assert.Equal(t, was.runs+add.runs, got.runs)
		assert.Equal(t, was.broken+add.broken, got.broken)
		assert.Equal(t, was.allRuns+add.allRuns, got.allRuns)
		assert.Equal(t, was.allBroken+add.allBroken, got.allBroken)
		sum := func(of [maxAwaits]int64) (n int64) {
			for _, x := range of {
				n += x
			}
			return n
		}
		assert.Equal(t, sum(was.left)+sum(add.left), sum(got.left))
		assert.Equal(t, sum(was.with)+sum(add.with), sum(got.with))
		k := slices.IndexFunc(mine.awaits[:], func(a await) bool { return a.node != 0 && x.NodeName(a.node) == "kafka/placed" })
		assert.Equal(t, sum(got.left), got.left[k], "of whom they were left out")
		_, of := was.gate.Counts()
		_, with := add.gate.Counts()
		_, all := got.gate.Counts()
		assert.Equal(t, of+with, all)
		x.feed(512, late)
		require.NotEmpty(t, x.identities())
		assert.Equal(t, "shop/orders", x.identities()[0].Root)
	}
}

// A run counts as torn where far more traces than usual have lost spans.
func TestTorn(t *testing.T) {
	e := New(testSettings(), nil)
	add := func(from, to int64, of, bad int) {
		for at := from; at < to; at += second {
			for i := range of {
				e.orphans.Observe(at, 0, i < bad, func(cell int64) bool { return cell >= baseline.CellOf(lapse) })
			}
		}
	}
	add(dawn, lapse, 100, 2)
	add(lapse, lapse+10*second, 100, 8)
	add(lapse+10*second, lapse+20*second, 100, 10)
	assert.False(t, e.torn(dawn, lapse))
	assert.False(t, e.torn(lapse, lapse+10*second), "twice the usual share, and five in a hundred: nine are the most")
	assert.True(t, e.torn(lapse+10*second, lapse+20*second))
	assert.False(t, e.torn(lapse+40*second, lapse+50*second), "nothing was seen")
}
