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

func TestMatches(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "anything", true},
		{"", "", true},
		{"*", "", true},
		{"*", "shop/orders", true},
		{"orders", "orders", true},
		{"orders", "orders2", false},
		{"orders", "shop/orders", false},
		{"orders*", "orders", true},
		{"orders*", "orders-v2/x", true},
		{"*orders", "shop/orders", true},
		{"*orders", "orders-v2", false},
		{"postgresql/*", "postgresql/shop", true},
		{"postgresql/*", "postgresql", false},
		{"a*b*c", "abc", true},
		{"a*b*c", "a-b-b-c", true},
		{"a*b*c", "acb", false},
		{"a*b*c", "ac", false},
		{"*a*", "bab", true},
		{"*a*", "bbb", false},
		{"**", "x", true},
		{"a*a", "a", false},
		{"a*a", "aa", true},
		{"?rders", "orders", false},
	} {
		assert.Equal(t, tt.want, Matches(tt.pattern, tt.name), "%q %q", tt.pattern, tt.name)
	}
}

func TestFirstRuleThatMatchesHolds(t *testing.T) {
	s := testSettings()
	strict, lax := *s.Circuit, *s.Circuit
	s.Rules = []Rule{
		{Caller: "orders", Callee: "postgresql/*", Circuit: &strict},
		{Caller: "orders", Circuit: &lax},
		{Callee: "redis*", State: circuit.ForcedOpen},
		{Callee: "postgresql/shop", State: circuit.Disabled},
	}
	w := warm(s)
	for _, tt := range []struct {
		by    string
		peer  call.Peer
		cfg   *circuit.Config
		state circuit.State
	}{
		{"orders", shopDB, &strict, circuit.Closed},
		{"orders", address("redis", 6379), &lax, circuit.Closed},
		{"cart", address("redis", 6379), s.Circuit, circuit.ForcedOpen},
		{"cart", shopDB, s.Circuit, circuit.Disabled},
		{"cart", named("orders"), s.Circuit, circuit.Closed},
	} {
		e, r := w.record(tt.by, w.client(tt.peer, call.Fail))
		assert.Equal(t, Counted, r, e.Name())
		assert.Same(t, tt.cfg, e.Breaker.Config(), e.Name())
		assert.Equal(t, tt.state, e.Breaker.State(), e.Name())
		if tt.state != circuit.Closed {
			assert.Equal(t, circuit.Manual, e.Hot.Last.Reason)
			assert.Equal(t, e.Hot.Last, e.Hot.Cause)
		}
	}
}

// What was set by hand stays, whatever the calls do.
func TestForcedStays(t *testing.T) {
	for state, admit := range map[circuit.State]float64{circuit.ForcedOpen: 0, circuit.Disabled: 1} {
		s := testSettings()
		s.Rules = []Rule{{Callee: "postgresql/*", State: state}}
		w := warm(s)
		w.run(30*second, func(int) { w.record("orders", w.client(shopDB, call.OK)) })
		w.run(30*second, func(int) { w.record("orders", w.client(shopDB, call.Fail)) })
		e := w.order[0]
		assert.Equal(t, state, e.Breaker.State())
		assert.InDelta(t, admit, e.Breaker.Admit(), 0)
		assert.Equal(t, []string{"orders->postgresql/shop " + state.String() + " manual"}, w.events, "once")
		assert.Equal(t, []*Edge{e}, w.Active(), "it is one of those that are not closed")
		assert.Zero(t, w.open, "nor does it count as one that opened")
		w.at(w.now + 700*second)
		assert.Empty(t, w.names(), "idle")
		assert.Empty(t, w.Active())
	}
}

// Once an address has become a service, the rules about the service hold.
func TestRenameAsksTheRulesAnew(t *testing.T) {
	s := testSettings()
	own := *s.Circuit
	s.Rules = []Rule{{Callee: "catalog", Circuit: &own}, {Callee: "stock", State: circuit.Disabled}, {Callee: "10.0.0.9*", State: circuit.ForcedOpen}}
	w := warm(s)
	learn := func(peer call.Peer, service string) *Edge {
		c := w.client(peer, call.OK)
		w.record("orders", c)
		w.record(service, w.server(c))
		e, _ := w.record("orders", w.client(peer, call.OK))
		return e
	}
	assert.Same(t, &own, learn(address("10.0.0.1", 80), "catalog").Breaker.Config())
	assert.Equal(t, circuit.Disabled, learn(address("10.0.0.2", 80), "stock").Breaker.State())
	e, _ := w.record("orders", w.client(address("10.0.0.9", 80), call.OK))
	assert.Equal(t, circuit.ForcedOpen, e.Breaker.State())
	same := learn(address("10.0.0.9", 80), "pay")
	assert.Same(t, e, same)
	assert.Equal(t, circuit.Closed, same.Breaker.State(), "the rule was about the address")
	assert.Equal(t, circuit.Closed, learn(address("10.0.0.9", 81), "pay").Breaker.State(), "nor does it come with a second one")
}

// An edge that opened by itself and is then found to be one that a rule is about.
func TestRenameOfAnOpenEdgeOntoARule(t *testing.T) {
	s := testSettings()
	s.Rules = []Rule{{Callee: "stock", State: circuit.Disabled}}
	w := warm(s)
	peer := address("10.0.0.2", 80)
	w.run(5*second, func(int) { w.record("orders", w.client(peer, call.Fail)) })
	require.Equal(t, 1, w.open)
	c := w.client(peer, call.Fail)
	w.record("orders", c)
	w.record("stock", w.server(c))
	assert.Equal(t, circuit.Disabled, w.order[0].Breaker.State())
	assert.Zero(t, w.open)
}
