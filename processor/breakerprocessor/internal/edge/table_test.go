// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
)

const second = int64(1e9)

func testSettings() Settings {
	return Settings{
		Circuit: &circuit.Config{
			Window: 10 * second, FailureRatio: 0.5, MinimumCalls: 5, Confidence: 3.09, FailureFloor: 0.25,
			FastWindow: 2 * second, FastRatio: 0.9, FastCalls: 20, LoadConfidence: 5, LoadCalls: 50, CloseRatio: 0.1, ProbeCalls: 10,
			OpenDuration: 5 * second, MaxOpenDuration: 300 * second,
		},
		Buckets: 10, Bucket: second, MaxEdges: 100, Idle: 600 * second,
	}
}

// world feeds a table as the engine does.
type world struct {
	*Table
	now    int64
	spans  uint64
	events []string
}

func newWorld(s Settings) *world { return &world{Table: NewTable(s), spans: 1} }

func service(name string) *call.Resource { return &call.Resource{Service: name} }

func address(host string, port int32) call.Peer {
	return call.Peer{Kind: call.NodeExternal, Address: host, Port: port}
}

var shopDB = call.Peer{Kind: call.NodeDatabase, System: "postgresql", Name: "shop"}

// at moves the head, and lets the breakers decide every quarter of a second on the way.
func (w *world) at(now int64) {
	for ; w.now < now; w.now += second / 4 {
		w.Advance(w.now)
		w.Step(w.now, func(e *Edge, tr circuit.Transition) {
			w.events = append(w.events, fmt.Sprintf("%s %s %s", e.Name(), tr.To, tr.Reason))
		})
	}
	w.now = now
	w.Advance(now)
}

// client makes a caller's span that ends now.
func (w *world) client(peer call.Peer, outcome call.Outcome) call.Call {
	w.spans++
	return call.Call{TraceID: [16]byte{1}, SpanID: w.spans, Start: w.now - second/100, End: w.now,
		Role: call.RoleClient, Peer: peer, Outcome: outcome, Weight: 1}
}

// server makes the span of the one who answers c.
func (w *world) server(c call.Call) call.Call {
	w.spans++
	return call.Call{TraceID: c.TraceID, SpanID: w.spans, ParentID: c.SpanID, Start: c.Start, End: c.End,
		Role: call.RoleServer, Outcome: c.Outcome, Weight: 1}
}

func (w *world) by(name string) *Service { return w.Service(service(name).Key(), service(name)) }

func (w *world) record(by string, c call.Call) (*Edge, Result) { return w.Record(&c, w.by(by), c.End) }

func (w *world) names() (out []string) {
	for _, e := range w.order {
		out = append(out, e.Name())
	}
	return out
}

func (w *world) total(e *Edge) circuit.Sums { return e.Sums(0, 1<<62) }

func TestWhatCounts(t *testing.T) {
	queue := call.Peer{Kind: call.NodeMessaging, System: "kafka", Name: "orders"}
	op := func(role call.Role, verb string) func(*call.Call) {
		return func(c *call.Call) {
			c.Role, c.Protocol, c.Peer, c.Operation.Verb = role, call.ProtocolMessaging, queue, verb
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
		"called by nobody": {func(c *call.Call) { c.Role = call.RoleServer }, Counted, "unknown->orders"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(testSettings())
			w.at(60 * second)
			c := w.client(shopDB, call.OK)
			tt.change(&c)
			e, got := w.record("orders", c)
			assert.Equal(t, tt.want, got)
			if tt.edge == "" {
				assert.Nil(t, e)
				return
			}
			require.NotNil(t, e)
			assert.Equal(t, tt.edge, e.Name())
			bad := uint32(0)
			if c.Outcome.Bad() {
				bad = 1
				assert.Equal(t, c.SpanID, e.BadSpan)
			}
			if got == Counted {
				assert.Equal(t, uint32(1), w.total(e).Calls)
				assert.Equal(t, bad, w.total(e).Bad)
				assert.Equal(t, tt.edge == "orders->postgresql/shop", e.Sums(c.End, c.End+1).Calls == 1 && e.Caller == "orders" && e.Kind == call.NodeDatabase, "in its own second")
			} else {
				assert.Zero(t, w.total(e))
			}
		})
	}
}

// H14: exporter retries and double pipelines deliver twice.
func TestSameSpanTwiceCountsOnce(t *testing.T) {
	w := newWorld(testSettings())
	w.at(60 * second)
	c := w.client(shopDB, call.Fail)
	e, _ := w.record("orders", c)
	_, again := w.record("orders", c)
	assert.Equal(t, Duplicate, again)
	assert.Equal(t, uint32(1), w.total(e).Calls)
	c.TraceID[0]++
	_, other := w.record("orders", c)
	assert.Equal(t, Counted, other, "the same span id in another trace")
	s := w.client(call.Peer{}, call.OK)
	s.Role = call.RoleServer
	_, first := w.record("orders", s)
	_, again = w.record("orders", s)
	assert.Equal(t, []Result{Counted, Duplicate}, []Result{first, again})
	c = w.client(shopDB, call.OK)
	s.SpanID = c.SpanID
	w.record("orders", c)
	_, shared := w.record("stock", s)
	assert.Equal(t, Counted, shared, "both sides of a call may have one id")
}

func TestOutageOpensAndHeals(t *testing.T) {
	w := newWorld(testSettings())
	run := func(until int64, outcome call.Outcome) {
		for w.now < until {
			w.at(w.now + second/20)
			w.record("orders", w.client(shopDB, outcome))
			w.record("gateway", w.client(address("orders", 80), call.OK))
		}
	}
	run(60*second, call.OK)
	assert.Empty(t, w.Active(), "nothing to look at in a healthy world")
	run(75*second, call.Fail)
	run(100*second, call.OK)
	assert.Equal(t, []string{
		"orders->postgresql/shop open fast_failure_rate",
		"orders->postgresql/shop half_open open_elapsed",
		"orders->postgresql/shop open still_failing",
		"orders->postgresql/shop half_open open_elapsed",
		"orders->postgresql/shop closed recovered",
	}, w.events)
	assert.Empty(t, w.Active())
}

// H26: after a start the breakers are mute until a whole window was seen.
func TestWarmUp(t *testing.T) {
	w := newWorld(testSettings())
	w.now = 1000 * second
	for w.now < 1010*second {
		require.True(t, w.begun == false || w.Warming())
		require.Empty(t, w.events)
		w.at(w.now + second/20)
		w.record("orders", w.client(shopDB, call.Fail))
	}
	w.at(w.now + second)
	assert.False(t, w.Warming())
	assert.Len(t, w.events, 1)
}

// H30: idle edges go when they are closed; one that waits for calls is forgotten, and told so, before it goes.
func TestIdleEviction(t *testing.T) {
	w := newWorld(testSettings())
	w.at(60 * second)
	for range 100 {
		w.at(w.now + second/20)
		w.record("orders", w.client(shopDB, call.Fail))
	}
	w.record("orders", w.client(address("quiet", 80), call.OK))
	w.at(w.now + 599*second)
	assert.Equal(t, []string{"orders->postgresql/shop", "orders->quiet"}, w.names())
	w.at(w.now + 100*second)
	assert.Empty(t, w.names())
	assert.Equal(t, "orders->postgresql/shop closed forgotten", w.events[len(w.events)-1])
	assert.Empty(t, w.edges)
}

func TestBounded(t *testing.T) {
	s := testSettings()
	w := newWorld(s)
	w.at(60 * second)
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
	assert.Greater(t, full, 19_000)
	w.at(w.now + 1300*second)
	w.record("orders", w.client(shopDB, call.OK))
	assert.Contains(t, w.names(), "orders->postgresql/shop", "there is room again when the storm is over")
}

func TestMove(t *testing.T) {
	w := newWorld(testSettings())
	w.at(3600 * second)
	for range 100 {
		w.at(w.now + second/20)
		w.record("orders", w.client(shopDB, call.Fail))
	}
	require.Len(t, w.events, 1)
	from := w.now
	w.now = 60 * second
	w.Move(w.now, w.now-from)
	e := w.order[0]
	assert.Zero(t, w.total(e), "the windows begin anew")
	for range 500 {
		w.at(w.now + second/20)
		w.record("orders", w.client(shopDB, call.OK))
	}
	assert.Equal(t, circuit.Closed, e.Breaker.State(), "not stuck for an hour")
}

// The same calls in any order, within the window and between two decisions, give the same sums.
func TestOrderIndependence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := newWorld(testSettings())
		base.at(60 * second)
		n := rapid.IntRange(1, 60).Draw(t, "calls")
		calls := make([]call.Call, n)
		for i := range calls {
			calls[i] = base.client(shopDB, call.Outcome(rapid.IntRange(0, 3).Draw(t, "outcome")))
			calls[i].End -= rapid.Int64Range(0, 9*second).Draw(t, "age")
			calls[i].Weight = float64(rapid.IntRange(1, 9).Draw(t, "weight"))
		}
		sums := func(in []call.Call) (out []circuit.Sums) {
			w := newWorld(testSettings())
			w.at(60 * second)
			var e *Edge
			for _, c := range in {
				e, _ = w.record("orders", c)
			}
			for s := int64(49); s < 62; s++ {
				out = append(out, e.Sums(s*second, (s+1)*second))
			}
			return out
		}
		want := sums(calls)
		shuffled := rapid.Permutation(calls).Draw(t, "order")
		require.Equal(t, want, sums(shuffled))
	})
}

func TestMovedEdgesStillGoWhenIdle(t *testing.T) {
	w := newWorld(testSettings())
	w.at(36000 * second)
	w.record("orders", w.client(shopDB, call.OK))
	w.now = 60 * second
	w.Move(w.now, w.now-36000*second)
	w.at(w.now + 700*second)
	assert.Empty(t, w.names())
}

// Whatever comes, in whatever order: bounds hold, the indexes agree with each other, and nothing panics.
func TestTableInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := testSettings()
		s.MaxEdges, s.Idle = 5, 3*second
		w := newWorld(s)
		w.at(second)
		var sent []call.Call
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			by := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "by")
			switch rapid.IntRange(0, 9).Draw(t, "do") {
			case 0:
				w.at(w.now + rapid.Int64Range(0, 8).Draw(t, "quarters")*second/4)
			case 1:
				if len(sent) > 0 {
					w.record(by, w.server(rapid.SampledFrom(sent).Draw(t, "answer")))
				}
			case 2:
				d := rapid.Int64Range(-100*second, 100*second).Draw(t, "move")
				w.now += d
				w.Move(w.now, d)
			default:
				peer := address("h", int32(rapid.IntRange(1, 6).Draw(t, "port")))
				if rapid.Bool().Draw(t, "named") {
					peer = call.Peer{Kind: call.NodeService, Name: by}
				}
				c := w.client(peer, call.Outcome(rapid.IntRange(0, 3).Draw(t, "outcome")))
				sent = append(sent, c)
				if rapid.Bool().Draw(t, "answered first") {
					w.record(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "by whom"), w.server(c))
				}
				w.record(by, c)
			}
			require.LessOrEqual(t, w.Len(), s.MaxEdges)
			aliases := 0
			for i, e := range w.order {
				require.Equal(t, i, e.place)
				require.Same(t, e, w.edges[e.key])
				aliases += len(e.aliases)
				for _, k := range e.aliases {
					require.Same(t, e, w.edges[k])
				}
				require.True(t, e.active || e.Breaker.State() == circuit.Closed)
			}
			require.Equal(t, aliases, w.aliases)
			require.Len(t, w.edges, w.Len()+aliases)
			for _, e := range w.active {
				require.True(t, e.active)
				require.GreaterOrEqual(t, e.place, 0)
			}
		}
	})
}

func TestHotPathAllocatesNothing(t *testing.T) {
	w := newWorld(testSettings())
	w.at(60 * second)
	by := w.by("orders")
	c := w.client(shopDB, call.OK)
	w.Record(&c, by, w.now)
	assert.Zero(t, testing.AllocsPerRun(2000, func() {
		c.SpanID++
		w.Record(&c, by, w.now)
	}))
}

func TestBytesAnEdge(t *testing.T) {
	const n = 10_000
	s := testSettings()
	s.MaxEdges = n
	w := newWorld(s)
	w.at(60 * second)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range n {
		w.record("orders", w.client(address(fmt.Sprint("host-", i), 80), call.OK))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := float64(after.HeapAlloc-before.HeapAlloc) / n
	t.Logf("%.0f bytes an edge at %d edges", each, w.Len())
	assert.Equal(t, n, w.Len())
	assert.Less(t, each, 1000.0)
	runtime.KeepAlive(w)
}

func BenchmarkRecord(b *testing.B) {
	w := newWorld(testSettings())
	w.at(60 * second)
	by := w.by("orders")
	c := w.client(shopDB, call.OK)
	b.ReportAllocs()
	for i := range b.N {
		binary.LittleEndian.PutUint64(c.TraceID[:], uint64(i))
		c.SpanID++
		w.Record(&c, by, w.now)
	}
}
