// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
)

// Two edges that turn out to be one are as if they had been one from the start.
func TestMergedIsAsIfOneFromTheStart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := map[bool]call.Peer{true: address("10.0.0.7", 8080), false: named("catalog")}
		w, one := warm(testSettings()), warm(testSettings())
		calls := drawCalls(t, w, func() call.Peer { return at[rapid.Bool().Draw(t, "address")] })
		// One of each, and what shows that they are the same.
		calls = append(calls, w.client(at[false], call.OK), w.client(at[true], call.OK))
		var e, want *Edge
		for _, c := range calls {
			w.from("orders", "orders-1", c)
		}
		w.record("catalog", w.server(calls[len(calls)-1]))
		for _, c := range calls {
			c.Peer = at[false]
			want = one.from("orders", "orders-1", c)
		}
		require.Equal(t, []string{"orders->catalog"}, w.names())
		e = w.order[0]
		require.Equal(t, eachSecond(want), eachSecond(e))
		require.Equal(t, want.lastSeen, e.lastSeen)
		require.Equal(t, want.Hot != nil, e.Hot != nil)
		require.Equal(t, want.active, e.active)
		require.Len(t, w.Active(), len(one.Active()))
		if e.Hot == nil {
			return
		}
		require.Equal(t, want.Hot.badAt, e.Hot.badAt)
		require.True(t, e.Hot.dirty)
		require.Equal(t, want.Hot.callers.Total(w.now).Bad, e.Hot.callers.Total(w.now).Bad)
	})
}

func TestMerge(t *testing.T) {
	w := warm(testSettings())
	both := func(outcome call.Outcome) {
		for k, p := range []call.Peer{named("catalog"), address("10.0.0.7", 8080)} {
			c := w.client(p, outcome)
			c.Start = c.End - second
			e := w.from("orders", fmt.Sprint("orders-", k), c)
			if outcome.Bad() {
				w.Effect(e, c.End, Effects{Retries: 1, Hurt: 1})
				e.Upstream([]string{"gateway", "app"}[k])
			}
		}
	}
	w.run(60*second, func(int) { both(call.OK) })
	w.run(second/2, func(int) { both(call.Fail) })
	rate := w.order[0].usual.rate(w.span)
	c := w.client(address("10.0.0.7", 8080), call.Fail)
	e := w.from("orders", "orders-1", c)
	w.record("catalog", w.server(c))
	require.Equal(t, []string{"orders->catalog"}, w.names())
	assert.Nil(t, w.Edge(e.Handle()).Hot.Ejected)
	e = w.order[0]
	assert.Equal(t, Effects{Retries: 20, Hurt: 20}, e.Effects(0, 1<<62))
	assert.Equal(t, []string{"app", "gateway"}, e.Upstreams())
	assert.EqualValues(t, 21, w.total(e).Bad)
	assert.EqualValues(t, 21, e.Hot.callers.Total(w.now).Bad)
	assert.Len(t, e.Hot.callers.Hosts(w.now), 2)
	assert.InDelta(t, 2*rate, e.usual.rate(w.span), 1)
	assert.InDelta(t, second, e.usual.duration(), float64(second)/100)
	assert.Positive(t, e.usual.over)
	assert.Equal(t, []*Edge{e}, w.Active())
}

// An edge without failures that turns out to be one with failures, and the other way round.
func TestMergeOfColdAndHot(t *testing.T) {
	for _, cold := range []call.Peer{named("catalog"), address("10.0.0.7", 8080)} {
		w := warm(testSettings())
		hot := address("10.0.0.7", 8080)
		if cold.Kind == call.NodeExternal {
			hot = named("catalog")
		}
		w.record("orders", w.client(cold, call.OK))
		w.record("orders", w.client(hot, call.Fail))
		c := w.client(address("10.0.0.7", 8080), call.OK)
		w.record("orders", c)
		w.record("catalog", w.server(c))
		e := w.order[0]
		assert.Equal(t, []string{"orders->catalog"}, w.names())
		assert.EqualValues(t, 1, w.total(e).Bad)
		assert.Equal(t, []*Edge{e}, w.Active())
		w.at(w.now + second)
	}
}

// The clock was wrong: what was counted is void, who is how is not.
func TestHotMoves(t *testing.T) {
	w := newWorld(testSettings())
	w.at(3600 * second)
	w.run(5*second, func(int) {
		e := w.from("orders", "orders-1", w.client(shopDB, call.Fail))
		w.Effect(e, w.now, Effects{Retries: 1})
		e.Upstream("gateway")
	})
	e := w.order[0]
	ago := w.now - e.Hot.badAt
	w.move(60 * second)
	assert.Zero(t, e.Effects(0, 1<<62))
	assert.Zero(t, e.Hot.callers.Total(w.now))
	assert.Equal(t, []string{"gateway"}, e.Upstreams())
	assert.Equal(t, ago, w.now-e.Hot.badAt)
	assert.Equal(t, circuit.Open, e.Breaker.State())
	w.run(30*second, func(int) { w.from("orders", "orders-1", w.client(shopDB, call.OK)) })
	assert.NotZero(t, e.Hot.callers.Total(w.now))
	w.run(60*second, func(int) { w.from("orders", "orders-1", w.client(shopDB, call.OK)) })
	assert.Nil(t, e.Hot)
}

// Withheld when the clock moves: it is over when nothing fails any more.
func TestWithheldMoves(t *testing.T) {
	s := testSettings()
	s.MaxOpenShare = 0
	w := newWorld(s)
	w.at(3600 * second)
	both := func(second call.Outcome) func(int) {
		return func(int) {
			w.record("orders", w.client(shopDB, call.Fail))
			w.record("cart", w.client(address("h", 80), second))
		}
	}
	w.run(20*second, both(call.OK))
	w.run(20*second, both(call.Fail))
	require.Equal(t, Capped, w.order[1].Hot.Withheld)
	w.move(60 * second)
	w.run(25*second, both(call.OK))
	assert.Equal(t, NotWithheld, w.order[1].Hot.Withheld)
}
