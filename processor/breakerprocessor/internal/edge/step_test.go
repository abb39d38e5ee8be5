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
)

func TestOutageOpensAndHeals(t *testing.T) {
	w := warm(testSettings())
	run := func(until int64, outcome call.Outcome) {
		w.run(until-w.now, func(int) {
			w.record("orders", w.client(shopDB, outcome))
			w.record("gateway", w.client(address("orders", 80), call.OK))
		})
	}
	run(120*second, call.OK)
	assert.Empty(t, w.Active(), "nothing to look at in a healthy world")
	run(135*second, call.Fail)
	run(170*second, call.OK)
	assert.Equal(t, []string{"orders->postgresql/shop open fast_failure_rate", "orders->postgresql/shop closed recovered"}, w.events)
	e := w.order[0]
	assert.Equal(t, circuit.Recovered, e.Hot.Last.Reason)
	assert.Equal(t, circuit.FastFailureRate, e.Hot.Cause.Reason)
	assert.Zero(t, w.open)
	run(240*second, call.OK)
	assert.Nil(t, e.Hot, "long ago")
	assert.Empty(t, w.Active())
	assert.NotEmpty(t, e.Name())
}

// While callers obey, half-open is told, and the calls that come then decide.
func TestObeyed(t *testing.T) {
	w := warm(testSettings())
	w.run(60*second, func(int) { w.record("orders", w.client(shopDB, call.OK)) })
	for range 300 {
		w.at(w.now + second/20)
		switch w.order[0].Breaker.State() {
		case circuit.Closed:
			w.record("orders", w.client(shopDB, call.Fail))
		case circuit.HalfOpen:
			w.record("orders", w.client(shopDB, call.OK))
		}
	}
	w.run(20*second, func(int) { w.record("orders", w.client(shopDB, call.OK)) })
	assert.Equal(t, []string{
		"orders->postgresql/shop open fast_failure_rate", "orders->postgresql/shop half_open open_elapsed", "orders->postgresql/shop closed recovered",
	}, w.events)
	assert.Zero(t, w.open)
}

// A deeper breaker is the better place to cut. When it has closed and the failures go on, the one before it opens.
func TestDeeperOpen(t *testing.T) {
	w := warm(testSettings())
	run := func(long int64, behind, front call.Outcome) {
		w.run(long, func(int) {
			w.record("orders", w.client(shopDB, behind))
			w.record("gateway", w.client(named("orders"), front))
		})
	}
	run(20*second, call.OK, call.OK)
	run(20*second, call.Fail, call.Fail)
	assert.Equal(t, []string{"orders->postgresql/shop open fast_failure_rate"}, w.of("open fast")[:1])
	assert.Equal(t, []string{"gateway->orders suppressed deeper_open fast_failure_rate"}, w.of("gateway->orders"), "said once")
	assert.Equal(t, DeeperOpen, w.order[1].Hot.Withheld)
	run(25*second, call.OK, call.Fail)
	assert.Contains(t, w.events, "orders->postgresql/shop closed recovered")
	assert.Len(t, w.of("gateway->orders open"), 1)
	assert.Equal(t, NotWithheld, w.order[1].Hot.Withheld)
}

// What nobody calls any more says nothing of the callee.
func TestDeeperSilent(t *testing.T) {
	w := warm(testSettings())
	w.run(20*second, func(int) { w.record("orders", w.client(shopDB, call.OK)) })
	w.run(5*second, func(int) { w.record("orders", w.client(shopDB, call.Fail)) })
	w.run(20*second, func(int) { w.record("gateway", w.client(named("orders"), call.OK)) })
	w.run(20*second, func(int) { w.record("gateway", w.client(named("orders"), call.Fail)) })
	assert.Len(t, w.of("gateway->orders open"), 1)
	assert.Empty(t, w.of("suppressed"))
}

// One sick replica of the caller, or of the callee, is no reason to cut off all.
func TestSides(t *testing.T) {
	for name, tt := range map[string]struct {
		sick    func(i int) bool // whether call i, of caller i%4 to callee i/4%4, fails
		want    string
		opens   int
		callers int
	}{
		"one caller":  {func(i int) bool { return i%4 != 0 }, "", 1, 4},
		"few callers": {func(i int) bool { return i%16 == 0 || i%16 == 5 }, "", 0, 4},
		"all":         {func(int) bool { return true }, "", 1, 4},
	} {
		t.Run(name, func(t *testing.T) {
			w := warm(testSettings())
			w.run(30*second, func(i int) {
				c := w.client(shopDB, call.OK)
				if tt.sick(i) {
					c.Outcome = call.Fail
				}
				c.Peer.Instance = fmt.Sprint("10.0.0.", i/4%4)
				w.from("orders", fmt.Sprint("orders-", i%tt.callers), c)
			})
			assert.Len(t, w.of("open "), tt.opens, "%v", w.events)
		})
	}
}

// 60 % of the calls are one replica's, which retries wildly and fails: others are well.
func TestCallerSide(t *testing.T) {
	w := warm(testSettings())
	w.run(30*second, func(i int) {
		for k := range 6 {
			w.from("orders", "orders-sick", w.client(shopDB, call.Fail))
			if k < 4 {
				w.from("orders", fmt.Sprint("orders-", k), w.client(shopDB, call.OK))
			}
		}
	})
	assert.Empty(t, w.of("open "))
	assert.Equal(t, []string{"orders->postgresql/shop suppressed caller_side failure_rate"}, w.of("suppressed"))
	assert.Equal(t, []string{"orders-sick"}, w.order[0].Hot.Degraded)
	w.run(5*second, func(i int) {
		for k := range 8 {
			w.from("orders", fmt.Sprint("orders-", k), w.client(shopDB, call.Fail))
		}
	})
	assert.Len(t, w.of("open "), 1, "now all fail")
	assert.Equal(t, NotWithheld, w.order[0].Hot.Withheld)
}

// One of two replicas of the callee gets most of the calls, and fails.
func TestInstanceSide(t *testing.T) {
	w := warm(testSettings())
	run := func(long int64, other call.Outcome) {
		w.run(long, func(i int) {
			for k := range 3 {
				c := w.client(shopDB, call.Fail)
				c.Peer.Instance, c.Peer.InstancePort = "10.0.0.7", 5432
				if k == 0 {
					c.Outcome, c.Peer.Instance = other, "10.0.0.8"
				}
				w.from("orders", "orders-1", c)
			}
		})
	}
	w.run(20*second, func(int) { w.record("orders", w.client(shopDB, call.OK)) })
	run(30*second, call.OK)
	assert.Empty(t, w.of("open "))
	assert.Equal(t, []string{"orders->postgresql/shop suppressed instance_side failure_rate"}, w.of("suppressed"))
	assert.Equal(t, []string{"10.0.0.7:5432"}, w.order[0].Hot.Ejected)
	run(12*second, call.Fail)
	assert.Len(t, w.of("open "), 1, "now both fail")
}

// H24: when all break at once, it is likely that what sees them is at fault: no more than a share opens.
func TestMaxOpenShare(t *testing.T) {
	for _, tt := range []struct {
		share       float64
		edges, want int
	}{{0.5, 10, 5}, {0, 10, 1}, {0.05, 10, 1}, {1, 10, 10}, {0.34, 3, 1}, {0.5, 1, 1}} {
		s := testSettings()
		s.MaxOpenShare = tt.share
		w := warm(s)
		all := func(outcome call.Outcome) func(int) {
			return func(int) {
				for k := range tt.edges {
					w.record("orders", w.client(address(fmt.Sprint("h", k), 80), outcome))
				}
			}
		}
		w.run(20*second, all(call.OK))
		w.run(20*second, all(call.Fail))
		assert.Len(t, w.of("open fast"), tt.want, "%v", tt)
		assert.Len(t, w.of("suppressed max_open_share fast_failure_rate"), tt.edges-tt.want, "once each: %v", tt)
		assert.Equal(t, tt.want, w.open)
	}
}

// It is said once an episode, and again when it was over in between.
func TestSuppressedOnceAnEpisode(t *testing.T) {
	s := testSettings()
	s.MaxOpenShare = 0
	w := warm(s)
	run := func(long int64, second call.Outcome) {
		w.run(long, func(int) {
			w.record("orders", w.client(shopDB, call.Fail))
			w.record("cart", w.client(address("h", 80), second))
		})
	}
	run(20*second, call.OK)
	for episode := 1; episode <= 2; episode++ {
		run(30*second, call.Fail)
		require.Len(t, w.of("cart->h suppressed max_open_share"), episode)
		require.Equal(t, Capped, w.order[1].Hot.Withheld)
		run(40*second, call.OK)
		require.Equal(t, NotWithheld, w.order[1].Hot.Withheld, "over, and nothing fails any more")
	}
	assert.Empty(t, w.of("cart->h open"))
	assert.Less(t, w.order[1].usual.ratio(), 0.25, "what was held back has not become usual")
}

// Most of the time is spent in few failing calls: those of one replica only.
func TestLoadOfOneReplica(t *testing.T) {
	for name, tt := range map[string]struct {
		sick int // of four callers so many fail
		want string
	}{"one of four": {1, "suppressed caller_side failure_load"}, "all": {4, "open failure_load"}} {
		t.Run(name, func(t *testing.T) {
			w := warm(testSettings())
			w.run(30*second, func(i int) {
				for k := range 4 {
					c := w.client(shopDB, call.OK)
					if k < tt.sick && (tt.sick == 1 || i%4 == k) {
						c.Outcome, c.Start = call.Fail, c.End-5*second
					}
					w.from("orders", fmt.Sprint("orders-", k), c)
				}
			})
			require.NotEmpty(t, w.of("failure_load"), "%v", w.events)
			assert.Contains(t, w.of("failure_load")[0], tt.want)
		})
	}
}

// How many failed one after the other: whole buckets without a success.
func TestConsecutive(t *testing.T) {
	s := testSettings()
	cfg := *s.Circuit
	cfg.Consecutive = 4
	s.Circuit = &cfg
	w := warm(s)
	record := func(outcome call.Outcome) {
		w.at(w.now + second)
		w.record("orders", w.client(shopDB, outcome))
	}
	for range 30 {
		record(call.OK)
	}
	e := w.order[0]
	for range 3 {
		record(call.Fail)
		assert.Empty(t, w.events)
	}
	record(call.OK)
	w.at(w.now + second/4)
	assert.Zero(t, e.row(w.now))
	for range 3 {
		record(call.Fail)
		assert.Empty(t, w.events)
	}
	record(call.Fail)
	w.at(w.now + second/4)
	assert.EqualValues(t, 4, e.row(w.now))
	assert.Equal(t, []string{"orders->postgresql/shop open consecutive"}, w.events)
}
