// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/internal/call"
)

// shop is orders, that answers requests and asks the database for each, and the cache.
func (w *world) shop(long int64, each func(i int) (requests, queries int, cache call.Outcome)) {
	w.run(long, func(i int) {
		requests, queries, cache := each(i)
		for range requests {
			w.record("orders", w.root(call.OK))
		}
		for range queries {
			w.record("orders", w.client(shopDB, call.OK))
		}
		w.record("orders", w.client(address("cache", 6379), cache))
	})
}

func asEver(int) (int, int, call.Outcome) { return 2, 2, call.OK }

// H27: calls that hang have no span yet. It is said, and nothing opens.
func TestStall(t *testing.T) {
	w := warm(testSettings())
	w.shop(60*second, asEver)
	assert.Empty(t, w.events)
	from := w.now
	w.shop(20*second, func(int) (int, int, call.Outcome) { return 2, 0, call.OK })
	require.Equal(t, []string{"orders->postgresql/shop stalled true"}, w.events)
	assert.LessOrEqual(t, w.told[0].At-from, 8*second)
	assert.True(t, w.order[1].Stalled())
	w.shop(10*second, func(i int) (int, int, call.Outcome) { return 2, 2 * (i % 5 / 4), call.OK })
	require.Len(t, w.events, 1, "a fifth of them is not enough for it to be over")
	w.shop(20*second, asEver)
	assert.Equal(t, []string{"orders->postgresql/shop stalled true", "orders->postgresql/shop stalled false"}, w.events)
	assert.False(t, w.order[1].Stalled())
}

func TestNoStall(t *testing.T) {
	for name, tt := range map[string]struct {
		before int64
		then   func(i int) (int, int, call.Outcome)
	}{
		"nobody asks":                {60 * second, func(int) (int, int, call.Outcome) { return 0, 0, call.OK }},
		"half ask, none is answered": {60 * second, func(i int) (int, int, call.Outcome) { return 2 * (i % 4 / 3), 0, call.OK }},
		"it fails before":            {60 * second, func(i int) (int, int, call.Outcome) { return 2, 0, bad(i, 5) }},
		"what is usual is not known": {20 * second, func(int) (int, int, call.Outcome) { return 2, 0, call.OK }},
		"fewer, as fewer ask":        {60 * second, func(i int) (int, int, call.Outcome) { return 2 - i%2, (i + 1) % 2, call.OK }},
		"a fifth still comes":        {60 * second, func(i int) (int, int, call.Outcome) { return 2, 2 * (i % 5 / 4), call.OK }},
	} {
		t.Run(name, func(t *testing.T) {
			w := warm(testSettings())
			w.shop(tt.before, asEver)
			w.shop(20*second, tt.then)
			assert.Empty(t, w.of("stalled"))
		})
	}
}

// On a quiet edge silence means nothing.
func TestQuietEdgeDoesNotStall(t *testing.T) {
	w := warm(testSettings())
	w.shop(100*second, func(i int) (int, int, call.Outcome) { return 2, (i % 20) / 19, call.OK })
	w.shop(20*second, func(int) (int, int, call.Outcome) { return 2, 0, call.OK })
	assert.Empty(t, w.events)
}

// How many calls a service gets is forgotten as it changes.
func TestUsualLoadFades(t *testing.T) {
	w := warm(testSettings())
	by := w.by("orders")
	take := func(windows, calls int) {
		for range windows {
			for range 10 {
				w.at(w.now + second)
				for range calls {
					by.receive(w.Table, w.now-1)
				}
			}
			by.load(w.Table, w.now)
		}
	}
	take(stallWindows, 10)
	_, usually := by.load(w.Table, w.now)
	assert.InDelta(t, 10, usually, 0.5)
	take(100, 10)
	take(400, 1)
	lately, usually := by.load(w.Table, w.now)
	assert.InDelta(t, 1, usually, 0.2)
	assert.EqualValues(t, 5, lately)
	assert.LessOrEqual(t, by.usual.windows, uint8(usualWindows))
}
