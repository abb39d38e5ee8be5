// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
)

// peers are two databases that orders calls.
var peers = []call.Peer{shopDB, {Kind: call.NodeDatabase, System: "postgresql", Name: "stock"}}

// down is a world in which both edges are open.
func down(t *testing.T, s Settings) *world {
	t.Helper()
	w := warm(s)
	w.run(30*second, func(int) { w.both(call.OK) })
	w.run(3*second, func(int) { w.both(call.Fail) })
	require.Equal(t, []string{
		"orders->postgresql/shop open fast_failure_rate", "orders->postgresql/stock open fast_failure_rate",
	}, w.events)
	require.Equal(t, 2, w.open)
	return w
}

func (w *world) both(o call.Outcome) {
	for _, p := range peers {
		w.charge("orders", w.client(p, o))
	}
}

func (w *world) states() (out []string) {
	for _, e := range w.order {
		out = append(out, e.Name()+" "+e.Breaker.State().String())
	}
	slices.Sort(out)
	return out
}

// copied has the same values at other addresses, as a configuration that is read again.
func copied(s Settings) Settings {
	c := *s.Circuit
	c.Ramp = slices.Clone(c.Ramp)
	s.Circuit = &c
	s.Rules = slices.Clone(s.Rules)
	for i := range s.Rules {
		if r := &s.Rules[i]; r.Circuit != nil {
			own := *r.Circuit
			r.Circuit = &own
		}
	}
	return s
}

func TestReconfigure(t *testing.T) {
	const shop, stock = "orders->postgresql/shop ", "orders->postgresql/stock "
	for name, tt := range map[string]struct {
		change func(*Settings)
		want   []string // of the states
		told   []string
		open   int
	}{
		"nothing": {func(*Settings) {}, []string{shop + "open", stock + "open"}, nil, 2},
		"a rule with the values of before": {
			func(s *Settings) { s.Rules = []Rule{{Callee: "*shop", Circuit: copied(*s).Circuit}} },
			[]string{shop + "open", stock + "open"}, nil, 2,
		},
		"a rule about an edge": {
			func(s *Settings) {
				lax := *s.Circuit
				lax.FailureRatio, lax.FastRatio = 2, 2
				lax.LoadCalls, lax.SlowRatio = 1e9, 0
				s.Rules = []Rule{{Callee: "*shop", Circuit: &lax}}
			},
			[]string{shop + "closed", stock + "open"}, []string{shop + "closed manual"}, 1,
		},
		"one that still says open": {
			func(s *Settings) {
				strict := *s.Circuit
				strict.FailureRatio = 0.1
				s.Rules = []Rule{{Callee: "*shop", Circuit: &strict}}
			},
			[]string{shop + "open", stock + "open"}, []string{shop + "closed manual", shop + "open fast_failure_rate"}, 2,
		},
		"a default": {
			func(s *Settings) { s.Circuit.FastRatio, s.Circuit.FailureRatio, s.Circuit.LoadCalls = 2, 2, 1e9 },
			[]string{shop + "closed", stock + "closed"}, []string{shop + "closed manual", stock + "closed manual"}, 0,
		},
		"force_open": {
			func(s *Settings) { s.Rules = []Rule{{Callee: "*shop", State: circuit.ForcedOpen}} },
			[]string{shop + "forced_open", stock + "open"}, []string{shop + "forced_open manual"}, 1,
		},
		"disabled": {
			func(s *Settings) { s.Rules = []Rule{{Callee: "*shop", State: circuit.Disabled}} },
			[]string{shop + "disabled", stock + "open"}, []string{shop + "disabled manual"}, 1,
		},
		"by operation": {
			func(s *Settings) { s.Rules = []Rule{{Callee: "*shop", ByOperation: true}} },
			[]string{stock + "open"}, []string{shop + "closed manual"}, 1,
		},
		"bounds": {
			func(s *Settings) { s.MaxEdges, s.MaxOpenShare, s.Idle, s.Settling = 1, 0.1, second, second },
			[]string{shop + "open", stock + "open"}, nil, 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := down(t, testSettings())
			next := copied(testSettings())
			tt.change(&next)
			w.events = nil
			require.True(t, w.Reconfigure(next))
			w.at(w.now + tick)
			assert.Equal(t, tt.want, w.states())
			assert.Equal(t, tt.told, w.events)
			assert.Equal(t, tt.open, w.Table.open)
			w.events = nil
			require.True(t, w.Reconfigure(copied(next)), "the same once more")
			w.at(w.now + tick)
			assert.Equal(t, tt.want, w.states())
			assert.Empty(t, w.events)
			for _, e := range w.order {
				cfg := e.Breaker.Config()
				assert.True(t, cfg == w.set.Circuit || slices.Contains(ruled(w.set.Rules), cfg), "of the settings in force")
			}
		})
	}
}

func ruled(rules []Rule) (out []*circuit.Config) {
	for _, r := range rules {
		out = append(out, r.Circuit)
	}
	return out
}

// Edges whose callers send no spans have settings made of the defaults, and never one for each operation.
func TestReconfigureUnknownCaller(t *testing.T) {
	w := warm(testSettings())
	served := func(o call.Outcome) { w.charge("shop", w.root(o)) }
	w.run(30*second, func(int) { served(call.OK) })
	w.run(3*second, func(int) { served(call.Fail) })
	e := w.order[0]
	require.Equal(t, []string{"unknown->shop open fast_failure_rate"}, w.events)
	handle := e.Handle()
	s := testSettings()
	s.Rules = []Rule{{Callee: "shop", ByOperation: true}}
	for _, next := range []Settings{copied(testSettings()), s} {
		require.True(t, w.Reconfigure(next))
		assert.Equal(t, circuit.Open, e.Breaker.State())
		assert.Same(t, e, w.Edge(handle))
	}
	next := testSettings()
	next.Circuit.OpenDuration *= 2
	require.True(t, w.Reconfigure(next))
	assert.Equal(t, circuit.Closed, e.Breaker.State())
	assert.Same(t, &w.crowd, e.Breaker.Config())
}

// Settings that no breaker reads but that say what is slow, and who is asked when it is to open fast.
func TestReconfigureShared(t *testing.T) {
	w := down(t, testSettings())
	e := w.order[0]
	s := testSettings()
	s.SlowFactor = 7
	require.True(t, w.Reconfigure(s))
	assert.Equal(t, circuit.Closed, e.Breaker.State())
	require.NotEmpty(t, e.Hot.callers.Total(w.now).Calls)
	s = copied(s)
	s.Circuit.FastWindow = second
	require.True(t, w.Reconfigure(s))
	assert.Zero(t, e.Hot.callers.Total(w.now).Calls, "cells of another width")
}

// What is set by hand is lifted when its rule is gone, and the breaker judges at once: the window goes on.
func TestReconfigureLifts(t *testing.T) {
	for _, state := range []circuit.State{circuit.ForcedOpen, circuit.Disabled} {
		s := testSettings()
		s.Rules = []Rule{{Callee: "*shop", State: state}}
		w := warm(s)
		w.run(30*second, func(int) { w.both(call.OK) })
		w.events = nil
		require.True(t, w.Reconfigure(testSettings()))
		w.at(w.now + tick)
		assert.Equal(t, []string{"orders->postgresql/shop closed manual"}, w.events)
		w.run(3*second, func(int) { w.both(call.Fail) })
		assert.Equal(t, []string{"orders->postgresql/shop open fast_failure_rate"}, w.of("shop open"), "not mute: %v", w.events)
	}
}

func TestReconfigureOperations(t *testing.T) {
	split := testSettings()
	split.Rules = []Rule{{Callee: "*shop", ByOperation: true}}
	w := warm(testSettings())
	do := func() {
		for _, verb := range []string{"SELECT", "UPDATE"} {
			c := w.client(shopDB, call.OK)
			c.Operation.Verb = verb
			w.record("orders", c)
		}
	}
	do()
	require.Len(t, w.names(), 1)
	require.True(t, w.Reconfigure(split))
	assert.Empty(t, w.names())
	do()
	assert.Equal(t, []string{"orders->postgresql/shop SELECT", "orders->postgresql/shop UPDATE"}, w.names())
	require.True(t, w.Reconfigure(copied(split)))
	assert.Len(t, w.names(), 2)
	require.True(t, w.Reconfigure(testSettings()))
	assert.Empty(t, w.names())
	assert.Empty(t, w.operations)
	do()
	assert.Equal(t, []string{"orders->postgresql/shop"}, w.names())
}

// Fewer edges than there are: those that were not seen for longest go, but none that is not closed.
func TestReconfigureShrinks(t *testing.T) {
	w := down(t, testSettings())
	for i := range 10 {
		w.at(w.now + second)
		w.record("orders", w.client(address("h", int32(i+1)), call.OK))
	}
	s := testSettings()
	s.MaxEdges = 4
	require.True(t, w.Reconfigure(s))
	assert.ElementsMatch(t, []string{"orders->postgresql/shop", "orders->postgresql/stock", "orders->h:9", "orders->h:10"}, w.names())
	_, r := w.record("orders", w.client(address("new", 1), call.OK))
	assert.Equal(t, Full, r)
}

func TestReconfigureWindow(t *testing.T) {
	for name, change := range map[string]func(*Settings){
		"buckets": func(s *Settings) { s.Buckets, s.Bucket = 5, 2*second },
		"window":  func(s *Settings) { s.Bucket, s.Circuit.Window = 2*second, 20*second },
	} {
		t.Run(name, func(t *testing.T) {
			w := down(t, testSettings())
			s := testSettings()
			change(&s)
			s.MaxEdges = 1
			assert.False(t, w.Reconfigure(s))
			assert.Equal(t, testSettings().MaxEdges, w.set.MaxEdges, "as it was")
		})
	}
}

func TestReconfigureSettlingAndSlow(t *testing.T) {
	w := warm(testSettings())
	w.run(120*second, func(int) { w.both(call.OK) })
	s := testSettings()
	s.Settling, s.SlowFloor = second, 7*second
	require.True(t, w.Reconfigure(s))
	assert.Equal(t, second, w.Settling())
	for _, e := range w.order {
		assert.Equal(t, 7*second, e.usual.over)
	}
	require.True(t, w.Reconfigure(testSettings()))
	assert.Equal(t, 2*second, w.Settling(), "as before anything is known")
}

// Settings that are read again and are the same in value change nothing, whenever that happens.
func TestReconfigureSameIsNothing(t *testing.T) {
	s := testSettings()
	s.MaxOpenShare = 0.5
	own := *s.Circuit
	own.FailureRatio = 0.3
	s.Rules = []Rule{{Callee: "h:1", Circuit: &own}, {Callee: "h:2", State: circuit.ForcedOpen}, {Callee: "*/shop", ByOperation: true}}
	rapid.Check(t, func(t *rapid.T) {
		a, b := warm(copied(s)), warm(copied(s))
		steps := rapid.IntRange(20, 200).Draw(t, "steps")
		for i := range steps {
			by := rapid.SampledFrom([]string{"orders", "web"}).Draw(t, "by")
			peer := rapid.SampledFrom([]call.Peer{shopDB, address("h", 1), address("h", 2), named("web"), named("orders")}).Draw(t, "peer")
			outcome := rapid.SampledFrom([]call.Outcome{call.OK, call.Fail}).Draw(t, "outcome")
			answered := rapid.Bool().Draw(t, "answered")
			n := rapid.IntRange(1, 30).Draw(t, "n")
			for range n {
				for _, w := range []*world{a, b} {
					w.at(w.now + second/20)
					c := w.client(peer, outcome)
					c.Operation.Verb = fmt.Sprint(n % 2)
					w.charge(by, c)
					if answered {
						w.record("back", w.server(c))
					}
				}
			}
			if rapid.IntRange(0, 9).Draw(t, "reload") == 0 || i == steps-1 {
				require.True(t, b.Reconfigure(copied(s)))
			}
		}
		a.at(a.now + 30*second)
		b.at(b.now + 30*second)
		require.Equal(t, a.events, b.events)
		require.Equal(t, a.names(), b.names())
		require.Equal(t, a.states(), b.states())
		require.Equal(t, a.Table.open, b.Table.open)
	})
}
