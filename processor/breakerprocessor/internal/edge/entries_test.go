// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/internal/call"
)

// request is one that enters the system at the gateway, which asks the database.
func (w *world) request(outcome call.Outcome) {
	w.record("gateway", w.client(shopDB, outcome))
	s := w.root(outcome)
	w.record("gateway", s)
	if outcome.Bad() {
		w.Failing(s.End)
	}
}

// Where nothing but failures comes by from the start, what samples keeps these alone: nothing opens, and it is said.
func TestOnlyFailures(t *testing.T) {
	w := warm(testSettings())
	w.run(60*second, func(int) { w.request(call.Fail) })
	assert.True(t, w.onlyFailures)
	assert.Empty(t, w.of("open "))
	assert.Equal(t, []string{"gateway->postgresql/shop suppressed only_failures failure_rate"}, w.of("gateway->postgresql/shop"))
	w.run(60*second, func(i int) { w.request(bad(i, 2)) })
	assert.False(t, w.onlyFailures, "it was an outage from the start, and is over")
	w.run(20*second, func(int) { w.request(call.Fail) })
	assert.NotEmpty(t, w.of("gateway->postgresql/shop open"))
}

func TestHealthySeenOnceIsEnough(t *testing.T) {
	w := warm(testSettings())
	w.run(15*second, func(i int) { w.request(bad(i, 8)) })
	w.run(60*second, func(int) { w.request(call.Fail) })
	assert.False(t, w.onlyFailures)
	assert.Len(t, w.of("gateway->postgresql/shop open fast_failure_rate"), 1)
}

// What keeps failures alone lets few pass: one a second is as good as many.
func TestFewFailuresAlone(t *testing.T) {
	w := warm(testSettings())
	for range 60 {
		w.at(w.now + second)
		w.request(call.Fail)
	}
	assert.True(t, w.onlyFailures)
	assert.Equal(t, []string{"gateway->postgresql/shop suppressed only_failures failure_rate"}, w.of("gateway->postgresql/shop"))
}

// That others come as well is believed when enough came, after the warm-up.
func TestHealthyNeedsEnough(t *testing.T) {
	w := warm(testSettings())
	for i := range entriesEnough {
		require.False(t, w.sawHealthy, "%d", i)
		w.at(w.now + second)
		w.request(call.OK)
	}
	w.at(w.now + second)
	require.True(t, w.sawHealthy)
	cold := newWorld(testSettings())
	cold.run(9*second, func(int) { cold.request(call.OK) })
	require.False(t, cold.sawHealthy, "warming up")
}

// Where no request is seen to enter, it can't be told, and breakers open.
func TestNoEntries(t *testing.T) {
	w := warm(testSettings())
	w.run(10*second, func(int) {
		w.record("orders", w.client(shopDB, call.Fail))
		w.Failing(w.now)
	})
	assert.False(t, w.onlyFailures)
	assert.Len(t, w.of("open fast"), 0)
	assert.Len(t, w.of("orders->postgresql/shop open"), 1)
}

func TestEntries(t *testing.T) {
	w := warm(testSettings())
	for range 7 {
		w.request(call.OK)
	}
	w.Failing(w.now + 3600*second) // a clock that is ahead
	w.Failing(w.now - 3600*second)
	assert.EqualValues(t, 7, w.Entries(w.now-10*second, w.now+1))
	r := w.entries.Sum(0, 1<<62)
	assert.EqualValues(t, 1, r.failing)
	assert.Zero(t, w.Entries(w.now-20*second, w.now-second))
}
