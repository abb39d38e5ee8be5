// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
)

func TestWhatCounts(t *testing.T) {
	kafka := call.Peer{Kind: call.NodeMessaging, System: "kafka", Name: "orders"}
	op := func(role call.Role, verb string) func(*call.Call) {
		return func(c *call.Call) {
			c.Role, c.Protocol, c.Peer, c.Operation.Verb = role, call.ProtocolMessaging, kafka, verb
		}
	}
	tests := map[string]struct {
		change func(*call.Call)
		want   Result
		edge   string
	}{
		"database":         {func(*call.Call) {}, Counted, "orders->postgresql/shop"},
		"failed":           {func(c *call.Call) { c.Outcome = call.Fail }, Counted, "orders->postgresql/shop"},
		"throttled":        {func(c *call.Call) { c.Outcome = call.Throttled }, Counted, "orders->postgresql/shop"},
		"address":          {func(c *call.Call) { c.Peer = address("catalog", 8080) }, Counted, "orders->catalog:8080"},
		"service":          {func(c *call.Call) { c.Peer = named("catalog") }, Counted, "orders->catalog"},
		"publish":          {op(call.RoleProducer, "publish"), Counted, "orders->kafka/orders"},
		"send as client":   {op(call.RoleClient, "send"), Counted, "orders->kafka/orders"},
		"receive":          {op(call.RoleClient, "receive"), NotACall, ""},
		"settle":           {op(call.RoleClient, "settle"), NotACall, ""},
		"process":          {op(call.RoleConsumer, "process"), NotACall, ""},
		"internal":         {func(c *call.Call) { c.Role = call.RoleInternal }, NotACall, ""},
		"says nothing":     {func(c *call.Call) { c.Outcome = call.Ignored }, Ignored, "orders->postgresql/shop"},
		"no peer":          {func(c *call.Call) { c.Peer = call.Peer{} }, NoPeer, ""},
		"late":             {func(c *call.Call) { c.End -= 10 * second }, Late, "orders->postgresql/shop"},
		"late, in window":  {func(c *call.Call) { c.End -= 9 * second }, Counted, "orders->postgresql/shop"},
		"called by nobody": {func(c *call.Call) { c.Role, c.ParentID = call.RoleServer, 0 }, Counted, "unknown->orders"},
		"called by whom?":  {func(c *call.Call) { c.Role = call.RoleServer }, NotACall, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := warm(testSettings())
			c := w.client(shopDB, call.OK)
			tt.change(&c)
			e, fault, got := w.Record(&c, w.by("orders"), nil, c.End)
			assert.Equal(t, tt.want, got)
			if tt.edge == "" {
				assert.Nil(t, e)
				return
			}
			require.NotNil(t, e)
			assert.Equal(t, tt.edge, e.Name())
			if got != Counted {
				assert.Zero(t, w.total(e))
				return
			}
			s := e.Sums(c.End, c.End+1)
			assert.EqualValues(t, 1, s.Calls, "in its own second")
			assert.Equal(t, s, w.total(e))
			assert.Equal(t, c.Outcome.Bad(), e.Hot != nil)
			if c.Outcome.Bad() {
				assert.Equal(t, Charged, fault)
				assert.EqualValues(t, 1, s.Bad)
				assert.Equal(t, c.Outcome == call.Throttled, s.Throttled == 1)
				assert.Equal(t, c.SpanID, e.Hot.BadSpan)
				assert.Equal(t, c.TraceID, e.Hot.BadTrace)
				assert.Equal(t, []*Edge{e}, w.Active())
			} else {
				assert.Equal(t, NoFault, fault)
				assert.Zero(t, s.Bad)
			}
		})
	}
}

// Where the callee sends spans, it is waited for what they say; not where the callee was not even reached.
func TestFirstFault(t *testing.T) {
	for name, tt := range map[string]struct {
		peer   call.Peer
		reason call.Reason
		speaks bool
		want   Fault
	}{
		"speaks":           {named("catalog"), call.ReasonError, true, Pending},
		"speaks, timeout":  {named("catalog"), call.ReasonTimeout, true, Pending},
		"not reached":      {named("catalog"), call.ReasonUnreachable, true, Charged},
		"sends no spans":   {named("catalog"), call.ReasonError, false, Charged},
		"is no service":    {shopDB, call.ReasonError, true, Charged},
		"is not known yet": {address("catalog", 80), call.ReasonError, true, Charged},
	} {
		t.Run(name, func(t *testing.T) {
			w := warm(testSettings())
			w.by("catalog")
			if tt.speaks {
				w.record("catalog", w.server(w.client(named("catalog"), call.OK)))
			}
			c := w.client(tt.peer, call.Fail)
			c.Reason = tt.reason
			_, fault, _ := w.Record(&c, w.by("orders"), nil, c.End)
			assert.Equal(t, tt.want, fault)
			w.at(w.now + 601*second)
			c = w.client(tt.peer, call.Fail)
			_, fault, _ = w.Record(&c, w.by("orders"), nil, c.End)
			assert.Equal(t, Charged, fault, "it has been silent for long")
		})
	}
}

// H14: exporter retries and double pipelines deliver twice.
func TestSameSpanTwiceCountsOnce(t *testing.T) {
	w := warm(testSettings())
	c := w.client(shopDB, call.Fail)
	e, _ := w.record("orders", c)
	_, again := w.record("orders", c)
	assert.Equal(t, Duplicate, again)
	assert.EqualValues(t, 1, w.total(e).Calls)
	c.TraceID[0]++
	_, other := w.record("orders", c)
	assert.Equal(t, Counted, other, "the same span id in another trace")
	s := w.root(call.OK)
	_, first := w.record("orders", s)
	_, again = w.record("orders", s)
	assert.Equal(t, []Result{Counted, Duplicate}, []Result{first, again})
	c = w.client(shopDB, call.OK)
	s.SpanID = c.SpanID
	w.record("orders", c)
	_, shared := w.record("stock", s)
	assert.Equal(t, Counted, shared, "both sides of a call may have one id")
}

// A call that began before what the breaker verifies tells of the past, however late it ends.
func TestStale(t *testing.T) {
	w := warm(testSettings())
	w.run(10*second, func(int) { w.record("orders", w.client(shopDB, call.Fail)) })
	w.run(60*second, func(int) { w.record("orders", w.client(shopDB, call.OK)) })
	e := w.order[0]
	require.Equal(t, circuit.Closed, e.Breaker.State())
	before := w.total(e)
	c := w.client(shopDB, call.Fail)
	c.Start = 65 * second
	_, got := w.record("orders", c)
	assert.Equal(t, Stale, got)
	assert.Equal(t, before, w.total(e))
}

// H26: after a start the breakers are mute until a whole window was seen.
func TestWarmUp(t *testing.T) {
	w := &world{Table: NewTable(testSettings()), spans: 1, now: 1000 * second, next: 1000 * second}
	for w.now < 1010*second-tick {
		require.Empty(t, w.events)
		w.at(w.now + second/20)
		require.True(t, w.Warming())
		w.record("orders", w.client(shopDB, call.Fail))
	}
	w.at(w.now + second)
	assert.False(t, w.Warming())
	assert.Len(t, w.of("open"), 1)
}

func TestBounded(t *testing.T) {
	s := testSettings()
	w := warm(s)
	full := 0
	for i := range 20_000 {
		c := w.client(address("host-"+fmt.Sprint(i), 80), call.Fail)
		if i%3 == 0 {
			w.record("svc-"+fmt.Sprint(i), w.server(c))
		}
		if _, r := w.record("orders", c); r == Full {
			full++
		}
	}
	assert.LessOrEqual(t, w.Len(), s.MaxEdges)
	assert.LessOrEqual(t, len(w.edges), 2*s.MaxEdges)
	assert.LessOrEqual(t, len(w.mixed), s.MaxEdges)
	assert.LessOrEqual(t, len(w.nodes), 2*s.MaxEdges)
	assert.LessOrEqual(t, len(w.handles.edges), s.MaxEdges)
	assert.Greater(t, full, 19_000)
	w.at(w.now + 1300*second)
	w.record("orders", w.client(shopDB, call.OK))
	assert.Contains(t, w.names(), "orders->postgresql/shop", "there is room again when the storm is over")
	w.at(w.now + 1300*second)
	assert.Empty(t, w.nodes)
	assert.Empty(t, w.edges)
	assert.Empty(t, w.aliases)
	assert.Zero(t, w.aliasCount)
}

// One that is idle goes at once when a new one needs its place.
func TestRoomIsMadeOfIdleEdges(t *testing.T) {
	s := testSettings()
	s.MaxEdges = 1
	w := warm(s)
	w.record("orders", w.client(address("old", 80), call.OK))
	w.head += s.Idle + second
	w.now = w.head
	_, r := w.record("orders", w.client(address("new", 80), call.OK))
	assert.Equal(t, Counted, r)
	assert.Equal(t, []string{"orders->new"}, w.names())
}

func TestMove(t *testing.T) {
	w := newWorld(testSettings())
	w.at(3600 * second)
	w.run(5*second, func(int) { w.record("orders", w.client(shopDB, call.Fail)) })
	require.Len(t, w.of("open"), 1)
	w.move(60 * second)
	e := w.order[0]
	assert.Zero(t, w.total(e), "the windows begin anew")
	w.run(30*second, func(int) { w.record("orders", w.client(shopDB, call.OK)) })
	assert.Equal(t, circuit.Closed, e.Breaker.State(), "not stuck for an hour")
	w.at(w.now + 700*second)
	assert.Empty(t, w.names(), "moved edges still go when idle")
}

func (w *world) move(to int64) {
	from := w.now
	w.now, w.next = to, to-to%tick+tick
	w.Move(to, to-from)
}

// Whatever comes, in whatever order: bounds hold, the indexes agree with each other, and nothing panics.
func TestTableInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := testSettings()
		s.MaxEdges, s.Idle = 5, 3*second
		s.Rules = []Rule{{Caller: "c", ByOperation: true}, {Caller: "b", Callee: "h:3", State: circuit.ForcedOpen}, {Callee: "h:2", State: circuit.Disabled}}
		w := newWorld(s)
		w.at(second)
		var sent []call.Call
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			by := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "by")
			switch rapid.IntRange(0, 9).Draw(t, "do") {
			case 0:
				w.at(w.now + rapid.Int64Range(0, 8).Draw(t, "quarters")*tick)
			case 1:
				if len(sent) > 0 {
					w.record(by, w.server(rapid.SampledFrom(sent).Draw(t, "answer")))
				}
			case 2:
				w.move(w.now + rapid.Int64Range(-100*second, 100*second).Draw(t, "move"))
			case 3:
				if len(sent) > 0 {
					c := w.root(call.OK)
					c.Role, c.Links = call.RoleConsumer, []call.Link{{TraceID: [16]byte{1}, SpanID: rapid.SampledFrom(sent).Draw(t, "sent").SpanID}}
					w.record(by, c)
				}
			case 4:
				e := w.Edge(uint32(rapid.IntRange(0, 6).Draw(t, "handle")))
				if e != nil {
					f := rapid.SampledFrom([]Fault{NoFault, Pending, Charged, Deeper})
					w.Settle(e, Failed{Start: w.now - second, End: w.now, Weight: 16}, f.Draw(t, "from"), f.Draw(t, "to"))
				}
			default:
				peer := address("h", int32(rapid.IntRange(1, 6).Draw(t, "port")))
				if rapid.Bool().Draw(t, "named") {
					peer = named(by)
				}
				c := w.client(peer, call.Outcome(rapid.IntRange(0, 3).Draw(t, "outcome")))
				c.Operation.Verb = fmt.Sprint(rapid.IntRange(0, 5).Draw(t, "operation"))
				sent = append(sent, c)
				if rapid.Bool().Draw(t, "answered first") {
					w.record(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "by whom"), w.server(c))
				}
				w.record(by, c)
			}
			consistent(t, w)
		}
	})
}

func consistent(t *rapid.T, w *world) {
	require.LessOrEqual(t, w.Len(), w.set.MaxEdges)
	aliases, handles, refs, open := 0, w.Len(), map[*Node]int32{}, 0
	for i, e := range w.order {
		require.EqualValues(t, i, e.place)
		require.Same(t, e, w.edges[e.key])
		require.Same(t, e, w.Edge(e.Handle()))
		for _, a := range w.aliases[e.key] {
			require.Same(t, e, w.edges[a.key])
			if a.handle != 0 {
				require.Same(t, e, w.Edge(a.handle))
				handles++
			}
			aliases++
		}
		refs[e.Caller]++
		refs[e.Callee]++
		require.True(t, e.active || e.Breaker.State() == circuit.Closed)
		require.Equal(t, e.active, e.Hot != nil)
		if s := e.Breaker.State(); s == circuit.Open || s == circuit.HalfOpen {
			open++
		}
		want := circuit.Closed
		if e.rule != nil {
			want = e.rule.State
		}
		require.Equal(t, want == circuit.ForcedOpen, e.Breaker.State() == circuit.ForcedOpen, e.Name())
		require.Equal(t, want == circuit.Disabled, e.Breaker.State() == circuit.Disabled, e.Name())
	}
	require.Equal(t, open, w.open)
	require.Equal(t, len(w.handles.edges), handles+len(w.handles.free))
	require.Equal(t, aliases, w.aliasCount)
	require.Len(t, w.edges, w.Len()+aliases)
	require.Len(t, w.nodes, len(refs))
	for n, k := range refs {
		require.Equal(t, k, n.refs)
		require.Same(t, n, w.nodes[n.Key])
	}
	for _, e := range w.active {
		require.True(t, e.active)
		require.GreaterOrEqual(t, e.place, int32(0))
	}
	require.LessOrEqual(t, len(w.queues), w.set.MaxEdges)
}

func TestHotPathAllocatesNothing(t *testing.T) {
	for name, outcome := range map[string]call.Outcome{"well": call.OK, "failing": call.Fail} {
		t.Run(name, func(t *testing.T) {
			w := warm(testSettings())
			by, from := w.by("orders"), w.inst("orders-1")
			peer := named("stock")
			peer.Instance = "10.0.0.7"
			c := w.client(peer, outcome)
			w.Record(&c, by, from, w.now)
			assert.Zero(t, testing.AllocsPerRun(2000, func() {
				c.SpanID++
				w.Record(&c, by, from, w.now)
			}))
		})
	}
}

func BenchmarkRecord(b *testing.B) {
	w := warm(testSettings())
	by, from := w.by("orders"), w.inst("orders-1")
	c := w.client(shopDB, call.OK)
	b.ReportAllocs()
	for i := range b.N {
		binary.LittleEndian.PutUint64(c.TraceID[:], uint64(i))
		c.SpanID++
		w.Record(&c, by, from, w.now)
	}
}
