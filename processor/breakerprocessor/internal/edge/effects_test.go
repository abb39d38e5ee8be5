// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/firebreak-otel/firebreak/internal/call"
)

func TestPropagation(t *testing.T) {
	for want, f := range map[float64]Effects{0: {}, 1: {Hurt: 3}, 0.25: {Hurt: 1, Absorbed: 3}, 0.5: {Hurt: math.MaxUint32, Absorbed: math.MaxUint32}} {
		assert.InDelta(t, want, f.Propagation(), 1e-12)
	}
	f := Effects{1, 2, 3, 4, 5}
	f.Add(&Effects{10, 20, 30, 40, 50})
	assert.Equal(t, Effects{11, 22, 33, 44, 55}, f)
	f.Add(&Effects{math.MaxUint32, math.MaxUint32, math.MaxUint32, math.MaxUint32, math.MaxUint32})
	assert.Equal(t, Effects{math.MaxUint32, math.MaxUint32, math.MaxUint32, math.MaxUint32, math.MaxUint32}, f)
}

func TestEffectsCountByTime(t *testing.T) {
	w := warm(testSettings())
	e, _ := w.record("orders", w.client(shopDB, call.OK))
	w.Effect(e, w.now, Effects{Retries: 1})
	assert.Zero(t, e.Effects(0, 1<<62), "nothing is kept of an edge without failures")
	e.Upstream("gateway")
	assert.Nil(t, e.Upstreams())
	w.record("orders", w.client(shopDB, call.Fail))
	w.Effect(e, w.now-5*second, Effects{Retries: 1})
	w.Effect(e, w.now+3600*second, Effects{Hurt: 1, Entries: 1})
	w.Effect(e, w.now-3600*second, Effects{Hurt: 1})
	assert.Equal(t, Effects{Retries: 1}, e.Effects(w.now-10*second, w.now-second))
	assert.Equal(t, Effects{Retries: 1, Hurt: 1, Entries: 1}, e.Effects(0, 1<<62))
}

// Upstreams are bounded, and those of a larger number that are kept do not depend on the order.
func TestUpstreams(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfN(rapid.SampledFrom(letters), 0, 60).Draw(t, "names")
		var a, b, left, right upstream
		for i, n := range names {
			a.add(n)
			if i%2 == 0 {
				left.add(n)
			} else {
				right.add(n)
			}
		}
		for _, n := range rapid.Permutation(names).Draw(t, "order") {
			b.add(n)
		}
		right.merge(&left)
		want := slices.Clone(names)
		slices.Sort(want)
		want = slices.DeleteFunc(slices.Compact(want), func(s string) bool { return s == "" })
		want = want[:min(len(want), maxUpstream)]
		require.Equal(t, fmt.Sprint(want), fmt.Sprint(a.names))
		require.Equal(t, a.names, b.names)
		require.Equal(t, fmt.Sprint(want), fmt.Sprint(right.names))
	})
}

var letters = func() (out []string) {
	for c := 'a'; c <= 'z'; c++ {
		out = append(out, string(c))
	}
	return append(out, "")
}()

func TestLately(t *testing.T) {
	w := warm(testSettings())
	w.run(600*second, func(int) { w.request(call.OK) })
	e := w.order[0]
	assert.Zero(t, e.Limit(), "20 a second, of 10 ms each: a limit of 1 would refuse the first burst")
	here, deeper := e.Faults()
	assert.Zero(t, here+deeper)
	w.run(10*second, func(i int) {
		c := w.client(shopDB, bad(i, 2))
		c.Start = c.End - 2*second
		if w.record("gateway", c); c.Outcome.Bad() {
			w.Effect(e, c.End, Effects{Retries: 1, Hurt: 1})
			if i%4 == 0 {
				w.settle(e, c, Charged, Deeper)
			}
		}
		w.record("gateway", w.root(call.OK))
	})
	l := w.Lately(e, w.now)
	assert.InDelta(t, 200, l.Sums.Calls, 20)
	assert.InDelta(t, 200, l.Entries, 20)
	assert.InDelta(t, 40, l.InFlight, 4)
	assert.False(t, l.Saturated, "far more are in flight than usually")
	assert.InDelta(t, 2, l.Amplification, 0.2)
	assert.InDelta(t, 100, l.Effects.Retries, 10)
	here, deeper = e.Faults()
	assert.InDelta(t, 50, here, 5)
	assert.InDelta(t, 50, deeper, 5)
}

// As many in flight as ever, and each takes longer: they queue for a place.
func TestSaturated(t *testing.T) {
	w := warm(testSettings())
	w.run(600*second, func(int) {
		c := w.client(shopDB, call.OK)
		c.Start = c.End - second
		w.record("orders", c)
	})
	e := w.order[0]
	assert.InDelta(t, 28, e.Limit(), 3, "1.3 times 20, within a sixth")
	assert.False(t, w.Lately(e, w.now).Saturated)
	w.run(15*second, func(i int) {
		if i%4 == 0 {
			c := w.client(shopDB, call.OK)
			c.Start = c.End - 9*second/2
			w.record("orders", c)
		}
	})
	assert.True(t, w.Lately(e, w.now).Saturated)
	assert.Empty(t, w.events)
}
