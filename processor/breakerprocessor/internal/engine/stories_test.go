// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/decision"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/edge"
)

const orders, gateway, payments = 0, 1, 3

// chain is a request: gateway -> orders -> payments -> the database. The calls from the depth on downwards fail, 0: of the
// gateway, and so does what they answer; 3: none does.
func chain(n uint64, at int64, fails func(depth int) bool) []call.Call {
	var out []call.Call
	parent := uint64(0)
	for depth, service := range []int32{gateway, orders, payments} {
		outcome := call.OK
		if fails(depth) {
			outcome = call.Fail
		}
		began, ends := at+int64(depth)*ms, at+int64(50-2*depth)*ms
		peer := call.Peer{Kind: call.NodeService, Name: []string{"orders", "payments", ""}[depth]}
		if depth == 2 {
			peer = call.Peer{Kind: call.NodeDatabase, System: "postgresql", Name: "shop"}
		}
		base := call.Call{TraceID: id(n), Resource: service, Weight: 1, Outcome: outcome}
		if outcome == call.Fail {
			base.Reason = call.ReasonError
		}
		server, client := base, base
		server.Role, server.SpanID, server.ParentID, server.Start, server.End = call.RoleServer, n*10+uint64(2*depth)+1, parent, began, ends
		client.Role, client.SpanID, client.ParentID, client.Start, client.End = call.RoleClient, n*10+uint64(2*depth)+2, server.SpanID, began+ms/2, ends-ms
		client.Peer, parent = peer, client.SpanID
		out = append(out, server, client)
	}
	return out
}

func none(int) bool { return false }
func all(int) bool  { return true }

// traffic is 20 requests a second; fails says of which second and depth.
func traffic(from, until int64, fails func(sec int64, depth int) bool) (out [][]call.Call) {
	for at := from; at < until; at += 50 * ms {
		out = append(out, chain(uint64(at/ms), at, func(depth int) bool { return fails((at-start)/second, depth) }))
	}
	return out
}

func dbOutage(sec int64, _ int) bool { return sec >= 40 && sec < 60 }

func on(e *Engine, name string) *edge.Edge {
	for _, o := range e.table.Edges() {
		if o.Name() == name {
			return o
		}
	}
	return nil
}

func opened(told []string) (out []string) {
	for _, s := range told {
		if f := strings.Fields(s); strings.Contains(s, " is open: ") && !slices.Contains(out, f[1]) {
			out = append(out, f[1])
		}
	}
	return out
}

// H07: the deepest edge alone is charged, in whatever order the spans of a trace arrive.
func TestDeepestAloneIsCharged(t *testing.T) {
	for name, order := range map[string]func(i, j int) bool{
		"callers first": nil,
		"callees first": func(i, j int) bool { return i > j },
		"clients first": func(i, j int) bool { return i%2 > j%2 },
		"servers first": func(i, j int) bool { return i%2 < j%2 },
	} {
		t.Run(name, func(t *testing.T) {
			var calls []call.Call
			for _, c := range traffic(start, start+70*second, dbOutage) {
				at := []int{0, 1, 2, 3, 4, 5}
				if order != nil {
					slices.SortStableFunc(at, func(i, j int) int {
						if order(i, j) {
							return -1
						}
						return 1
					})
				}
				for _, i := range at {
					calls = append(calls, c[i])
				}
			}
			cut := len(calls) * 58 / 70
			e, told, _ := run(calls[:cut], 64)
			assert.Equal(t, []string{"payments->postgresql/shop"}, opened(told), "%v", told)
			assert.NotContains(t, strings.Join(told, "\n"), "stays closed")
			for _, name := range []string{"gateway->orders", "orders->payments"} {
				o := on(e, name)
				assert.Equal(t, circuit.Closed, o.Breaker.State(), name)
				here, deeper := o.Faults()
				assert.Zero(t, here, name)
				assert.Greater(t, deeper, uint32(100), name)
				assert.Equal(t, OriginPropagated, originOf(o))
			}
			db := on(e, "payments->postgresql/shop")
			assert.Equal(t, OriginSelf, originOf(db))
			assert.Equal(t, []string{"gateway", "orders", "payments"}, db.Upstreams())
			f := db.Effects(0, 1<<62)
			assert.Equal(t, f.Entries, f.EntriesFailed)
			assert.InDelta(t, 1, f.Propagation(), 0)
			marks := learn(e, calls[cut:cut+6])
			assert.ElementsMatch(t, []Mark{
				{Name: "gateway->orders", Origin: OriginPropagated}, {Name: "orders->payments", Origin: OriginPropagated},
				{Name: "payments->postgresql/shop", Origin: OriginSelf, State: circuit.Open, Reason: "fast_failure_rate"},
			}, place(marks))
		})
	}
}

func place(marks []Mark) []Mark {
	for i := range marks {
		marks[i].Call = 0
	}
	return marks
}

// feed gives single traces to an engine in quiet times.
type feed struct {
	*Engine
	at   int64
	told []string
}

func newFeed(set Settings) *feed {
	f := &feed{at: start}
	f.Engine = New(set, func(ev decision.Event) { f.told = append(f.told, tell(&ev)) })
	f.quiet(30 * second)
	return f
}

func (f *feed) quiet(long int64) {
	for until := f.at + long; f.at < until; f.at += 50 * ms {
		learn(f.Engine, chain(uint64(f.at/ms), f.at, none))
	}
}

func (f *feed) sums(name string) circuit.Sums { return on(f.Engine, name).Sums(0, 1<<62) }

// A failure counts as pending at first, and is taken back when its story is told.
func TestPendingIsTakenBack(t *testing.T) {
	f := newFeed(settings())
	learn(f.Engine, chain(77, f.at, all))
	for _, name := range []string{"gateway->orders", "orders->payments"} {
		s := f.sums(name)
		assert.Equal(t, []uint32{1, 1, 0}, []uint32{s.Bad, s.Pending, s.Deeper}, name)
	}
	s := f.sums("payments->postgresql/shop")
	assert.Equal(t, []uint32{1, 0, 0}, []uint32{s.Bad, s.Pending, s.Deeper}, "a database tells nothing")
	f.quiet(second)
	for _, name := range []string{"gateway->orders", "orders->payments"} {
		s := f.sums(name)
		assert.Equal(t, []uint32{0, 0, 1}, []uint32{s.Bad, s.Pending, s.Deeper}, name)
	}
	s = f.sums("payments->postgresql/shop")
	assert.EqualValues(t, 1, s.Bad)
	f.quiet(5 * second)
	assert.Positive(t, f.Counts().Looks)
	assert.Equal(t, edge.Effects{Hurt: 1, Entries: 1, EntriesFailed: 1}, on(f.Engine, "payments->postgresql/shop").Effects(0, 1<<62))
}

// What failed on its own is charged, be the callee's span there or not.
func TestPendingIsCharged(t *testing.T) {
	for _, missing := range []bool{false, true} {
		f := newFeed(settings())
		c := chain(77, f.at, func(depth int) bool { return depth < 2 })
		c = c[:4+2*btoi(!missing)]
		learn(f.Engine, c)
		f.quiet(4 * second)
		s := f.sums("orders->payments")
		assert.Equal(t, []uint32{1, 0, 0}, []uint32{s.Bad, s.Pending, s.Deeper})
		s = f.sums("gateway->orders")
		assert.Equal(t, []uint32{0, 0, 1}, []uint32{s.Bad, s.Pending, s.Deeper})
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Spans that come after the first look correct what it found.
func TestLateCorrection(t *testing.T) {
	f := newFeed(settings())
	c := chain(77, f.at, all)
	learn(f.Engine, c[:2])
	f.quiet(f.Settling() + second/2)
	s := f.sums("gateway->orders")
	require.Equal(t, []uint32{1, 0, 0}, []uint32{s.Bad, s.Pending, s.Deeper}, "nobody answered, as it seems")
	learn(f.Engine, c[2:])
	f.quiet(4 * second)
	s = f.sums("gateway->orders")
	assert.Equal(t, []uint32{0, 0, 1}, []uint32{s.Bad, s.Pending, s.Deeper})
	s = f.sums("payments->postgresql/shop")
	assert.EqualValues(t, 1, s.Bad)
}

// A call whose clock is ahead counts at the head, where what its trace tells is not looked for: it stays charged.
func TestFutureIsNotCorrected(t *testing.T) {
	f := newFeed(settings())
	c := chain(77, f.at, all)
	for i := range c {
		if c[i].Resource == orders {
			c[i].Start, c[i].End = c[i].Start+3600*second, c[i].End+3600*second
		}
	}
	learn(f.Engine, c)
	require.EqualValues(t, 2, f.Counts().Future)
	for range 2 {
		s := f.sums("orders->payments")
		assert.Equal(t, []uint32{1, 0, 0}, []uint32{s.Bad, s.Pending, s.Deeper})
		f.quiet(4 * second)
	}
	s := f.sums("gateway->orders")
	assert.EqualValues(t, 1, s.Deeper, "others are corrected")
	assert.EqualValues(t, 1, f.sums("payments->postgresql/shop").Bad)
}

// Those for which there is no room are counted; what they were counted as stays.
func TestFailingBound(t *testing.T) {
	set := settings()
	set.MaxFailing = 3
	f := newFeed(set)
	for n := range uint64(10) {
		learn(f.Engine, chain(100+n, f.at, all))
	}
	assert.EqualValues(t, 7*2, f.Counts().Skipped, "soon and at rest")
	f.quiet(5 * second)
	s := f.sums("gateway->orders")
	assert.EqualValues(t, 3, s.Deeper)
	assert.EqualValues(t, 7, s.Pending)
	assert.EqualValues(t, 14, f.Counts().Skipped, "there is room again")
}

// However many calls of a trace fail, it is looked at few times; and of one too large it is said.
func TestLooks(t *testing.T) {
	f := newFeed(settings())
	for i := range uint64(90) {
		c := chain(77, f.at, all)[:2]
		c[0].SpanID, c[1].SpanID, c[1].ParentID = 1000+2*i, 1001+2*i, 1000+2*i
		learn(f.Engine, c)
	}
	f.quiet(6 * second)
	got := f.Counts()
	assert.LessOrEqual(t, got.Looks, int64(3))
	assert.Positive(t, got.Unfound, "180 spans, of which 100 are looked at")
}

// Tracers that make ids of 64 bits leave one half empty: each trace is looked at all the same, and counted as failing.
func TestShortIDs(t *testing.T) {
	for name, make := range map[string]func(n uint64) [16]byte{
		"low": id,
		"high": func(n uint64) (out [16]byte) {
			low := id(n)
			copy(out[:8], low[8:])
			return out
		},
	} {
		f := newFeed(settings())
		for n := range uint64(500) {
			c := chain(5_000_000+n*4096, f.at, all)
			for i := range c {
				c[i].TraceID = make(5_000_000 + n)
			}
			learn(f.Engine, c)
		}
		f.quiet(5 * second)
		assert.EqualValues(t, 500, f.sums("gateway->orders").Deeper, name)
	}
}

// The clock was wrong: what waited is given up.
func TestForget(t *testing.T) {
	f := newFeed(settings())
	learn(f.Engine, chain(77, f.at, all))
	f.stories.forget()
	f.quiet(5 * second)
	assert.Zero(t, f.Counts().Looks)
	learn(f.Engine, chain(78, f.at, all))
	f.quiet(5 * second)
	assert.Positive(t, f.Counts().Looks)
}

// A pipeline in which all traces fail from the start keeps failures alone.
func TestOnlyFailuresFromTheStart(t *testing.T) {
	var calls []call.Call
	for _, c := range traffic(start, start+60*second, func(int64, int) bool { return true }) {
		calls = append(calls, c...)
	}
	_, told, _ := run(calls, 64)
	assert.Empty(t, opened(told))
	assert.Contains(t, strings.Join(told, "\n"), "nothing but traces with failures")
}

// However the spans of a second are shuffled, the same edge opens.
func TestShuffleOpensTheSame(t *testing.T) {
	type arrival struct {
		call.Call
		at int64
	}
	for deepest, want := range []string{"gateway->orders", "orders->payments", "payments->postgresql/shop"} {
		traces := traffic(start, start+35*second, func(sec int64, depth int) bool { return sec >= 20 && depth <= deepest })
		for seed := range uint64(4) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			var in []arrival
			for _, c := range traces {
				for _, one := range c {
					in = append(in, arrival{one, one.End + rnd.Int64N(second)})
				}
			}
			slices.SortStableFunc(in, func(a, b arrival) int { return int(a.at - b.at) })
			calls := make([]call.Call, len(in))
			for i := range in {
				calls[i] = in[i].Call
			}
			_, told, _ := run(calls, 64)
			require.Equal(t, []string{want}, opened(told), "seed %d: %v", seed, told)
		}
	}
}

// However the stream of failing traces is cut, the same is told.
func TestCutsOfTraces(t *testing.T) {
	var calls []call.Call
	for _, c := range traffic(start, start+70*second, dbOutage) {
		calls = append(calls, c...)
	}
	_, want, marked := run(calls, len(calls))
	require.NotEmpty(t, want)
	for _, n := range []int{1, 5, 64} {
		_, told, m := run(calls, n)
		require.Equal(t, want, told)
		require.Equal(t, marked, m)
	}
}

// Since when a service is known does not depend on where its batch began: one that is the only witness of the calls to it
// counts them from the same moment on.
func TestCutsDoNotMakeServicesOlder(t *testing.T) {
	var calls []call.Call
	for at := start; at < start+40*second; at += 100 * ms {
		n := uint64(at / ms)
		c := call.Call{TraceID: id(n), SpanID: n, ParentID: 7, Start: at - ms, End: at, Resource: gateway, Role: call.RoleServer, Weight: 1}
		if at >= start+20*second {
			c.Resource = payments
		}
		calls = append(calls, c)
	}
	count := func(n int) int64 {
		e, _, _ := run(calls, n)
		return e.Counts().Results[edge.Counted]
	}
	want := count(1)
	require.InDelta(t, 200, want, 1, "each for all but the first ten seconds")
	for _, n := range []int{7, 300, len(calls)} {
		require.Equal(t, want, count(n), "%d", n)
	}
}

// A trace that goes on after its story was told is told again, and nothing of it counted twice.
func TestToldOnce(t *testing.T) {
	f := newFeed(settings())
	c := chain(77, f.at, all)
	learn(f.Engine, c)
	f.quiet(5 * second)
	looks := f.Counts().Looks
	again := c[1]
	again.SpanID, again.Start = 999, again.Start+2*ms
	learn(f.Engine, []call.Call{again})
	f.quiet(6 * second)
	assert.Greater(t, f.Counts().Looks, looks)
	assert.EqualValues(t, 1, on(f.Engine, "payments->postgresql/shop").Effects(0, 1<<62).Hurt)
}

// Where most failures of an edge began further down, one more is taken for such.
func TestOrigin(t *testing.T) {
	f := newFeed(settings())
	assert.Equal(t, OriginUnknown, originOf(on(f.Engine, "gateway->orders")))
	for n, want := range []Origin{OriginSelf, OriginSelf, OriginPropagated} {
		fails := all
		if n == 0 {
			fails = func(depth int) bool { return depth == 0 }
		}
		learn(f.Engine, chain(uint64(100+n), f.at, fails))
		f.quiet(2 * second)
		assert.Equal(t, want, originOf(on(f.Engine, "gateway->orders")), "%d", n)
	}
}
