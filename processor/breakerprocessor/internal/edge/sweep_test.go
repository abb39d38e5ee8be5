// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
)

// H30: idle edges go when they are closed; one that waits for calls is forgotten, and told so, before it goes.
func TestIdleEviction(t *testing.T) {
	w := warm(testSettings())
	w.run(5*second, func(int) { w.record("orders", w.client(shopDB, call.OK)) })
	w.run(5*second, func(int) { w.record("orders", w.client(shopDB, call.Fail)) })
	w.record("orders", w.client(address("quiet", 80), call.OK))
	w.at(w.now + 599*second)
	assert.Equal(t, []string{"orders->postgresql/shop", "orders->quiet"}, w.names())
	w.at(w.now + 300*second)
	assert.Empty(t, w.names())
	assert.Empty(t, w.edges)
	assert.Empty(t, w.active)
	assert.Zero(t, w.open)
	assert.Equal(t, "orders->postgresql/shop closed forgotten", w.events[len(w.events)-1])
}

// An outage must not become usual, nor what is withheld.
func TestUsualIsLearnedWhenWell(t *testing.T) {
	w := warm(testSettings())
	run := func(long int64, n int) {
		w.run(long, func(i int) { w.record("orders", w.client(shopDB, bad(i, n))) })
	}
	run(60*second, 10)
	e := w.order[0]
	assert.InDelta(t, 0.1, e.usual.ratio(), 0.01)
	assert.InDelta(t, 20, e.usual.rate(w.span), 1)
	require.Equal(t, circuit.Closed, e.Breaker.State())
	run(300*second, 1)
	require.NotEqual(t, circuit.Closed, e.Breaker.State())
	assert.InDelta(t, 0.1, e.usual.ratio(), 0.1)
	cold := newWorld(testSettings())
	cold.run(9*second, func(int) { cold.record("orders", cold.client(shopDB, call.OK)) })
	assert.Zero(t, cold.order[0].usual.windows, "warming up")
}

// However the windows fall in which it is learned what is usual: an episode does not become usual while it begins.
// Calls that take far longer than usual open too, though none fails.
func TestSlow(t *testing.T) {
	for phase := range 10 {
		slow(t, int64(phase)*second)
	}
}

func slow(t *testing.T, phase int64) {
	w := warm(testSettings())
	run := func(long, took int64) {
		w.run(long, func(int) {
			c := w.client(shopDB, call.OK)
			c.Start = c.End - took
			w.record("orders", c)
		})
	}
	run(120*second, second/2)
	run(phase, second/2)
	require.Empty(t, w.events)
	run(20*second, 10*second)
	require.NotEmpty(t, w.events)
	require.Equal(t, "orders->postgresql/shop open slow_rate", w.events[0])
	assert.NotZero(t, w.order[0].Hot.Cause.Evidence.Slow)
	assert.Zero(t, w.order[0].Hot.Cause.Evidence.Bad)
	run(60*second, second/2)
	assert.Equal(t, "orders->postgresql/shop closed recovered", w.events[len(w.events)-1])
}
