// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/storm"
)

// spread calls from and to four instances each; sick says whether the call of caller a to callee b fails.
func (w *world) spread(long int64, sick func(a, b int) bool) {
	w.run(long, func(i int) {
		for k := range 4 {
			c := w.client(shopDB, call.OK)
			if sick(k, (i+k)%4) {
				c.Outcome = call.Fail
			}
			c.Peer.Instance, c.Peer.InstancePort = fmt.Sprint("10.0.0.", (i+k)%4), 5432
			w.from("orders", fmt.Sprint("orders-", k), c)
		}
	})
}

func nobody(int, int) bool { return false }

func TestInstanceSickBeginsAndEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		sick func(a, b int) bool
		want string
	}{
		"of the callee": {func(_, b int) bool { return b == 2 }, "orders->postgresql/shop sick [10.0.0.2:5432] []"},
		"of the caller": {func(a, _ int) bool { return a == 3 }, "orders->postgresql/shop sick [] [orders-3]"},
	} {
		t.Run(name, func(t *testing.T) {
			w := warm(testSettings())
			w.spread(20*second, nobody)
			w.spread(20*second, tt.sick)
			require.Equal(t, []string{tt.want}, w.events, "once")
			w.spread(30*second, nobody)
			require.Equal(t, []string{tt.want, "orders->postgresql/shop sick [] []"}, w.events)
			assert.NotZero(t, w.told[0].Evidence.Calls)
		})
	}
}

func TestNoInstanceStandsOut(t *testing.T) {
	for name, sick := range map[string]func(a, b int) bool{
		"few failures":   func(a, b int) bool { return a == 1 && b == 2 },
		"all fail alike": func(a, b int) bool { return (a+b)%4 == 0 },
	} {
		w := warm(testSettings())
		w.spread(40*second, sick)
		assert.Empty(t, w.of("sick"), name)
	}
}

// While it is open there is nobody to be left out.
func TestOpenEjectsNobody(t *testing.T) {
	w := warm(testSettings())
	w.spread(20*second, nobody)
	w.spread(10*second, func(_, b int) bool { return b == 2 })
	w.spread(20*second, func(int, int) bool { return true })
	w.spread(5*second, func(_, b int) bool { return b == 2 })
	require.NotEqual(t, circuit.Closed, w.order[0].Breaker.State())
	assert.Equal(t, []string{
		"orders->postgresql/shop sick [10.0.0.2:5432] []", "orders->postgresql/shop open fast_failure_rate", "orders->postgresql/shop sick [] []",
	}, w.events)
}

// Who answered is known by the callee's own span, if calls do not say it.
func TestInstanceByServerSpan(t *testing.T) {
	for _, serverFirst := range []bool{false, true} {
		w := warm(testSettings())
		run := func(long int64, sick bool) {
			w.run(long, func(i int) {
				for k := range 4 {
					c := w.client(named("catalog"), call.OK)
					if sick && k == 1 {
						c.Outcome = call.Fail
					}
					s := w.server(c)
					answer := func() { w.Record(&s, w.by("catalog"), w.inst(fmt.Sprint("catalog-", k)), s.End) }
					if serverFirst {
						answer()
					}
					e, fault, _ := w.Record(&c, w.by("orders"), w.inst(fmt.Sprint("orders-", i%4)), c.End)
					if !serverFirst {
						answer()
					}
					w.settle(e, c, fault, Charged)
				}
			})
		}
		run(20*second, false)
		run(10*second, true)
		assert.Equal(t, []string{"orders->catalog sick [catalog-1] []"}, w.events, "server first: %v", serverFirst)
	}
}

// retrying makes calls of which n of ten fail, and each failure is tried again so often.
func (w *world) retrying(long int64, n, again int) {
	w.run(long, func(i int) {
		c := w.client(shopDB, call.OK)
		if i%10 < n {
			c.Outcome = call.Fail
		}
		e, _ := w.record("orders", c)
		for range again * min(1, n*int(c.Outcome)) {
			w.at(w.now + second/1000)
			r := w.client(shopDB, call.Fail)
			w.record("orders", r)
			w.Effect(e, r.End, Effects{Retries: 1})
		}
	})
}

func TestRetryStorm(t *testing.T) {
	w := warm(testSettings())
	w.retrying(60*second, 0, 0)
	w.retrying(30*second, 10, 3)
	require.Equal(t, []string{"orders->postgresql/shop storm started"}, w.of("storm"))
	assert.True(t, w.order[0].Storm())
	assert.False(t, w.order[0].Hot.Metastable)
	w.retrying(60*second, 0, 0)
	require.Equal(t, []string{"orders->postgresql/shop storm started", "orders->postgresql/shop storm ended"}, w.of("storm"))
	assert.False(t, w.order[0].Storm())
	last := w.told[len(w.told)-1].Storm
	assert.Equal(t, storm.Ended, last.Kind)
	assert.InDelta(t, 4, last.Amplification, 0.4)
}

// An outage without retries is no storm, nor are few retries.
func TestNoStorm(t *testing.T) {
	for failing, again := range map[int]int{10: 0, 1: 1} {
		w := warm(testSettings())
		w.retrying(60*second, 0, 0)
		w.retrying(30*second, failing, again)
		assert.Empty(t, w.of("storm"), "%d", again)
	}
}

// On a path on which several layers retry, the deepest alone should.
func TestRetryLayer(t *testing.T) {
	w := warm(testSettings())
	retries := map[string]int{}
	request := func(int) {
		for _, on := range []struct {
			by   string
			peer call.Peer
		}{{"gateway", named("orders")}, {"orders", named("payments")}, {"payments", shopDB}} {
			e, _ := w.record(on.by, w.client(on.peer, call.Fail))
			for range retries[on.by] {
				r := w.client(on.peer, call.Fail)
				w.record(on.by, r)
				w.Effect(e, r.End, Effects{Retries: 1})
			}
		}
	}
	for _, tt := range []struct {
		gateway, orders, payments int
		want                      string
		amplification             float64
	}{
		{0, 0, 2, "", 3}, {2, 0, 2, "payments->postgresql/shop", 9}, {0, 1, 2, "payments->postgresql/shop", 6},
		{1, 1, 2, "payments->postgresql/shop", 12}, {1, 2, 0, "orders->payments", 6}, {0, 0, 0, "", 1},
	} {
		w = warm(testSettings())
		retries = map[string]int{"gateway": tt.gateway, "orders": tt.orders, "payments": tt.payments}
		w.run(30*second, request)
		keep, amplification := w.RetryLayer(w.order[2])
		assert.Equal(t, tt.want, keep, "%v", tt)
		assert.InDelta(t, tt.amplification, amplification, 0.1, "%v", tt)
	}
}

// Services that call each other in a circle are looked at once each.
func TestRetryLayerOfACircle(t *testing.T) {
	w := warm(testSettings())
	w.run(30*second, func(int) {
		for k := range 12 {
			r := w.client(named(fmt.Sprint("s", (k+1)%12)), call.Fail)
			e, _ := w.record(fmt.Sprint("s", k), r)
			w.Effect(e, r.End, Effects{Retries: 1})
		}
	})
	assert.NotPanics(t, func() { w.RetryLayer(w.order[0]) })
}

func TestDeeperHealthy(t *testing.T) {
	w := warm(testSettings())
	w.run(20*second, func(int) {
		w.record("orders", w.client(shopDB, call.Fail))
		w.record("gateway", w.client(named("orders"), call.OK))
	})
	require.Equal(t, circuit.Open, w.order[0].Breaker.State())
	assert.False(t, w.deeperHealthy(w.order[1]))
	assert.False(t, w.deeperHealthy(w.order[0]), "it is open itself")
	w.run(60*second, func(int) { w.record("orders", w.client(shopDB, call.OK)) })
	assert.True(t, w.deeperHealthy(w.order[1]))
	assert.True(t, w.deeperHealthy(w.order[0]))
}
